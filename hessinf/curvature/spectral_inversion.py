"""Inversions by eigenvalues: the pseudo-inverse, and that of mended eigenvalues."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.inversion import ROUNDING, Factors, Facts, Inversion
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


class SpectralInversion(Inversion):
    """An inverse that is a function of the eigenvalues of ``C``.

    The eigenbasis is kept, so that another damping costs nothing.
    """

    @abstractmethod
    def invert_eigenvalues(
        self, eigenvalues: torch.Tensor, damping: float, counts: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, Facts]:
        """Compute the eigenvalues of the inverse.

        Parameters
        ----------
        eigenvalues
            Of C, ``[E]``.
        damping
            λ.
        counts
            How often each of them occurs, ``[E]``; once, when None.

        Returns
        -------
        torch.Tensor
            ``[E]``, zero where a direction is left out.
        dict
            Counts for the result.
        """

    def factorize(self, matrix: torch.Tensor, damping: float) -> tuple[Factors, Facts]:
        """Decompose C; see the base class."""
        eigenvalues, eigenvectors = torch.linalg.eigh(matrix)  # [P], [P, P]
        # Row-major, as it is read back from a file: the same bytes of scores either way.
        factors = {"eigenvectors": eigenvectors.contiguous(), "eigenvalues": eigenvalues}
        return self.redamp(factors, damping)

    def redamp(self, factors: Factors, damping: float) -> tuple[Factors, Facts]:
        """Invert the eigenvalues anew; see the base class."""
        inverse, facts = self.invert_eigenvalues(factors["eigenvalues"], damping)
        return {**factors, "inverse_eigenvalues": inverse}, facts

    def solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply in the eigenbasis; see the base class."""
        basis: torch.Tensor = factors["eigenvectors"]  # [P, P]
        inverse: torch.Tensor = factors["inverse_eigenvalues"]  # [P]
        return ((vectors @ basis) * inverse) @ basis.T  # [K, P]

    def eigenvalues(self, factors: Factors) -> torch.Tensor:
        """Return what was decomposed; see the base class."""
        found: torch.Tensor = factors["eigenvalues"]
        return found

    def half_solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Project on the eigenvectors, scaled; see the base class."""
        basis: torch.Tensor = factors["eigenvectors"]  # [P, P]
        return (vectors @ basis) * square_roots(factors["inverse_eigenvalues"])  # [K, P]


def square_roots(inverse_eigenvalues: torch.Tensor) -> torch.Tensor:
    """Take square roots of the eigenvalues of an inverse, ``[E]``; refuse negative ones."""
    negative = int((inverse_eigenvalues < 0).sum())
    if negative:
        raise CurvatureError(
            f"{negative} eigenvalues of the inverse are negative, so that scores are no inner "
            "products; raise damping, use a positive semidefinite curvature such as Gauss-Newton, "
            'or the inversion {"type": "eigen", "negative": "clamp"}'
        )
    return inverse_eigenvalues.sqrt()


@Inversion.register("pseudo")
class PseudoInversion(SpectralInversion):
    """The pseudo-inverse of ``C + λI``: directions with hardly any curvature are left out.

    Registered as an `Inversion` with name "pseudo".

    Parameters
    ----------
    threshold
        Eigenvalues of ``C + λI`` whose magnitude is at most this share of the largest are treated
        as zero; null for P times the machine precision, as numpy does.
    """

    def __init__(self, threshold: Annotated[float, AtLeast(0)] | None = None) -> None:
        self.threshold = threshold

    def invert_eigenvalues(
        self, eigenvalues: torch.Tensor, damping: float, counts: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, Facts]:
        """Leave the small ones out; see the base class."""
        counts = torch.ones_like(eigenvalues) if counts is None else counts  # [E]
        damped = eigenvalues + damping  # [E]
        share = self.threshold
        if share is None:
            share = float(counts.sum()) * torch.finfo(eigenvalues.dtype).eps
        kept = damped.abs() > share * damped.abs().max()  # [E]
        if not bool(kept.any()):
            raise CurvatureError(
                "the damped curvature is zero: nothing is left to invert; raise damping"
            )
        return _reciprocals(damped, kept), {
            "rank": int(counts[kept].sum()),
            "negative_eigenvalues": _count_negative(damped[kept], counts[kept]),
        }


@Inversion.register("eigen")
class EigenInversion(SpectralInversion):
    """The inverse with eigenvalues of ``C`` mended first: negative ones, and those too small.

    Registered as an `Inversion` with name "eigen".

    Parameters
    ----------
    threshold
        Eigenvalues of C below this are too small.
    kind
        Whether the threshold is absolute or a share of the largest eigenvalue.
    small
        What becomes of those too small: raised to the threshold ("clamp") or left out of the
        inverse ("drop").
    negative
        What becomes of negative ones before that: "clamp" to zero, "flip" the sign, or "keep".
    """

    def __init__(
        self,
        threshold: Annotated[float, AtLeast(0)] = 0.0,
        kind: Literal["absolute", "relative"] = "absolute",
        small: Literal["clamp", "drop"] = "clamp",
        negative: Literal["clamp", "flip", "keep"] = "clamp",
    ) -> None:
        self.threshold = threshold
        self.kind = kind
        self.small = small
        self.negative = negative

    def invert_eigenvalues(
        self, eigenvalues: torch.Tensor, damping: float, counts: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, Facts]:
        """Mend them first; see the base class."""
        counts = torch.ones_like(eigenvalues) if counts is None else counts  # [E]
        total = int(counts.sum())
        mended = eigenvalues
        if self.negative == "clamp":
            mended = eigenvalues.clamp(min=0.0)  # [E]
        elif self.negative == "flip":
            mended = eigenvalues.abs()  # [E]
        threshold = self.threshold
        if self.kind == "relative":
            threshold *= float(mended.abs().max())
        too_small = mended.abs() < threshold  # [E]
        if self.small == "clamp":
            bound = torch.full_like(mended, threshold)  # [E]
            bound = torch.where(mended < 0, -bound, bound)  # [E]
            mended = torch.where(too_small, bound, mended)  # [E]
        damped = mended + damping  # [E]
        kept = torch.ones_like(too_small) if self.small == "clamp" else ~too_small  # [E]
        if not bool(kept.any()):
            raise CurvatureError(
                f"all {total} eigenvalues are below the threshold {threshold:g}: nothing is "
                'left to invert; lower the threshold, or choose small: "clamp"'
            )
        rounding = ROUNDING * total * torch.finfo(damped.dtype).eps * float(damped.abs().max())
        zeros = int((counts * (kept & (damped.abs() <= rounding))).sum())
        if zeros:
            raise CurvatureError(
                f"{zeros} of {total} eigenvalues are zero to working precision after mending "
                f"(threshold {threshold:g}, damping {damping:g}); raise one of the two"
            )
        return _reciprocals(damped, kept), {
            "rank": int(counts[kept].sum()),
            "negative_eigenvalues": _count_negative(eigenvalues, counts),
            "mended_eigenvalues": int(counts[(mended - eigenvalues).abs() > rounding].sum()),
        }


def _reciprocals(damped: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Return ``1 / damped`` where kept and zero elsewhere, ``[E]``."""
    return torch.where(kept, 1 / torch.where(kept, damped, 1.0), 0.0)


def _count_negative(eigenvalues: torch.Tensor, counts: torch.Tensor) -> int:
    """Count the eigenvalues that are negative beyond rounding."""
    eps = torch.finfo(eigenvalues.dtype).eps
    rounding = float(counts.sum()) * eps * eigenvalues.abs().max()
    return int(counts[eigenvalues < -rounding].sum())
