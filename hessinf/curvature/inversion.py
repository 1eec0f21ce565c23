"""Inversions of a damped symmetric matrix: exact, pseudo-inverse, by thresholded eigenvalues."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from hessinf.curvature.errors import CurvatureError
from hessinf.registry import AtLeast, Registrable
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

logger = logging.getLogger(__name__)

ROUNDING = 10
"""Pivots and eigenvalues up to this many times P units of rounding of the largest count as zero."""

Factors = dict[str, Any]
"""What a factorisation keeps: tensors by name."""


class Inversion(Registrable):
    """A way to invert ``C + λI`` for a dense symmetric ``C``."""

    default_implementation = "exact"

    @abstractmethod
    def factorize(self, matrix: torch.Tensor, damping: float) -> tuple[Factors, dict[str, Any]]:
        """Prepare the inverse.

        Parameters
        ----------
        matrix
            C, ``[P, P]``, float64, symmetric. It may be overwritten.
        damping
            λ.

        Returns
        -------
        dict of str to torch.Tensor
            What :meth:`solve` needs.
        dict
            What the result should say about it, such as the number of negative eigenvalues.
        """

    @abstractmethod
    def solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Apply the inverse to row vectors.

        Parameters
        ----------
        factors
            From :meth:`factorize`.
        vectors
            ``[K, P]``, float64.

        Returns
        -------
        torch.Tensor
            ``[K, P]``, float64.
        """


@Inversion.register("exact")
class ExactInversion(Inversion):
    """The inverse itself: by Cholesky, or by LDLᵀ when ``C + λI`` is indefinite.

    Registered as an `Inversion` with name "exact".

    LDLᵀ costs half of LU, keeps the symmetry, and tells the number of negative eigenvalues
    (Sylvester's law of inertia).
    """

    def factorize(self, matrix: torch.Tensor, damping: float) -> tuple[Factors, dict[str, Any]]:
        """Factorise ``C + λI``; see the base class."""
        size = len(matrix)
        if not bool(matrix.isfinite().all()):
            raise CurvatureError(f"the curvature ({size} × {size}) is not finite")
        matrix.diagonal().add_(damping)
        factor, info = torch.linalg.cholesky_ex(matrix)
        if int(info) == 0:
            _require_regular(factor.diagonal().square(), size, damping)
            return {"cholesky": factor}, {"negative_eigenvalues": 0}
        # On the CPU wherever the matrix lives: solvers on GPUs are missing from many builds.
        packed, pivots, info = torch.linalg.ldl_factor_ex(matrix.cpu())
        eigenvalues = _pivot_eigenvalues(packed, pivots)  # [P]
        _require_regular(eigenvalues.abs() * (int(info) == 0), size, damping)
        negative = int((eigenvalues < 0).sum())
        logger.warning(
            "the damped curvature is not positive definite: %d of %d eigenvalues are negative at "
            "damping %g, so the parameters are no minimum and scores may mean little; train longer,"
            " raise damping, or use a positive semidefinite curvature such as Gauss-Newton",
            negative,
            size,
            damping,
        )
        return {"ldl": packed, "pivots": pivots}, {"negative_eigenvalues": negative}

    def solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Solve with the factorisation; see the base class."""
        if "cholesky" in factors:
            return torch.cholesky_solve(vectors.T, factors["cholesky"]).T  # [K, P]
        columns = vectors.T.cpu().contiguous()  # [P, K]
        solved: torch.Tensor = torch.linalg.ldl_solve(
            factors["ldl"].cpu(), factors["pivots"].cpu(), columns
        )
        return solved.T.to(vectors.device)  # [K, P]


def _pivot_eigenvalues(packed: torch.Tensor, pivots: torch.Tensor) -> torch.Tensor:
    """Compute the eigenvalues of D in LDLᵀ, ``[P]``: as many are negative as of the matrix itself.

    D has 1 × 1 blocks, and 2 × 2 blocks, both of whose rows LAPACK marks with a negative pivot.
    """
    size = len(packed)
    diagonal = packed.diagonal().clone()  # [P]
    below = packed.diagonal(-1).tolist()  # [P - 1]
    double = (pivots < 0).tolist()
    row = 0
    while row < size:
        if double[row]:
            corner = diagonal[row : row + 2]
            block = torch.diag(corner)  # [2, 2]
            block[0, 1] = block[1, 0] = below[row]
            diagonal[row : row + 2] = torch.linalg.eigvalsh(block)
            row += 1
        row += 1
    return diagonal


def _require_regular(pivots: torch.Tensor, size: int, damping: float) -> None:
    """Refuse a factorisation whose pivots, magnitudes ``[P]``, say nothing but rounding errors."""
    smallest, largest = float(pivots.min()), float(pivots.max())
    if smallest <= ROUNDING * size * torch.finfo(pivots.dtype).eps * largest:
        raise CurvatureError(
            f"the damped curvature ({size} × {size}, damping {damping:g}) is singular to working "
            f"precision (pivots from {smallest:.3g} to {largest:.3g}); raise damping, or use the "
            'inversion "pseudo"'
        )


@Inversion.register("pseudo")
class PseudoInversion(Inversion):
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

    def factorize(self, matrix: torch.Tensor, damping: float) -> tuple[Factors, dict[str, Any]]:
        """Decompose ``C + λI``; see the base class."""
        eigenvalues, eigenvectors = torch.linalg.eigh(matrix)  # [P], [P, P]
        damped = eigenvalues + damping  # [P]
        share = self.threshold
        if share is None:
            share = len(matrix) * torch.finfo(matrix.dtype).eps
        kept = damped.abs() > share * damped.abs().max()  # [P]
        if not bool(kept.any()):
            raise CurvatureError(
                "the damped curvature is zero: nothing is left to invert; raise damping"
            )
        inverse = torch.where(kept, 1 / torch.where(kept, damped, 1.0), 0.0)  # [P]
        return (
            # Row-major, as it is read back from a file: the same bytes of scores either way.
            {"eigenvectors": eigenvectors.contiguous(), "inverse_eigenvalues": inverse},
            {
                "rank": int(kept.sum()),
                "negative_eigenvalues": _count_negative(damped[kept]),
            },
        )

    def solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply in the eigenbasis; see the base class."""
        return _in_eigenbasis(factors, vectors)


@Inversion.register("eigen")
class EigenInversion(Inversion):
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

    def factorize(self, matrix: torch.Tensor, damping: float) -> tuple[Factors, dict[str, Any]]:
        """Decompose C and mend its eigenvalues; see the base class."""
        eigenvalues, eigenvectors = torch.linalg.eigh(matrix)  # [P], [P, P]
        mended = eigenvalues
        if self.negative == "clamp":
            mended = eigenvalues.clamp(min=0.0)  # [P]
        elif self.negative == "flip":
            mended = eigenvalues.abs()  # [P]
        threshold = self.threshold
        if self.kind == "relative":
            threshold *= float(mended.abs().max())
        too_small = mended.abs() < threshold  # [P]
        if self.small == "clamp":
            bound = torch.full_like(mended, threshold)  # [P]
            bound = torch.where(mended < 0, -bound, bound)  # [P]
            mended = torch.where(too_small, bound, mended)  # [P]
        damped = mended + damping  # [P]
        kept = torch.ones_like(too_small) if self.small == "clamp" else ~too_small  # [P]
        if not bool(kept.any()):
            raise CurvatureError(
                f"all {len(kept)} eigenvalues are below the threshold {threshold:g}: nothing is "
                'left to invert; lower the threshold, or choose small: "clamp"'
            )
        rounding = (
            ROUNDING * len(matrix) * torch.finfo(matrix.dtype).eps * float(damped.abs().max())
        )
        zeros = int((damped[kept].abs() <= rounding).sum())
        if zeros:
            raise CurvatureError(
                f"{zeros} of {len(kept)} eigenvalues are zero to working precision after mending "
                f"(threshold {threshold:g}, damping {damping:g}); raise one of the two"
            )
        inverse = torch.where(kept, 1 / torch.where(kept, damped, 1.0), 0.0)  # [P]
        return (
            # Row-major, as it is read back from a file: the same bytes of scores either way.
            {"eigenvectors": eigenvectors.contiguous(), "inverse_eigenvalues": inverse},
            {
                "rank": int(kept.sum()),
                "negative_eigenvalues": _count_negative(eigenvalues),
                "mended_eigenvalues": int((mended != eigenvalues).sum()),
            },
        )

    def solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply in the eigenbasis; see the base class."""
        return _in_eigenbasis(factors, vectors)


def _count_negative(eigenvalues: torch.Tensor) -> int:
    """Count the eigenvalues that are negative beyond rounding."""
    rounding = len(eigenvalues) * torch.finfo(eigenvalues.dtype).eps * eigenvalues.abs().max()
    return int((eigenvalues < -rounding).sum())


def _in_eigenbasis(factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
    basis: torch.Tensor = factors["eigenvectors"]  # [P, P]
    inverse: torch.Tensor = factors["inverse_eigenvalues"]  # [P]
    return ((vectors @ basis) * inverse) @ basis.T  # [K, P]
