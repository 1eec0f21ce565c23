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
        matrix.diagonal().add_(damping)
        factor, info = torch.linalg.cholesky_ex(matrix)
        if int(info) == 0:
            return {"cholesky": factor}, {"negative_eigenvalues": 0}
        packed, pivots, info = torch.linalg.ldl_factor_ex(matrix)
        if int(info) != 0:
            raise CurvatureError(
                f"the damped curvature ({size} × {size}, damping {damping:g}) is singular; raise "
                'damping, or use the inversion "pseudo"'
            )
        negative = _negative_pivots(packed, pivots)
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
        return torch.linalg.ldl_solve(
            factors["ldl"], factors["pivots"], vectors.T.contiguous()
        ).T  # [K, P]


def _negative_pivots(packed: torch.Tensor, pivots: torch.Tensor) -> int:
    """Count negative eigenvalues from LDLᵀ: D has 1 × 1 blocks, and 2 × 2 blocks of signs +, −."""
    single = pivots > 0  # [P]; LAPACK marks both rows of a 2 × 2 block with negative pivots
    negative = int((packed.diagonal()[single] < 0).sum())
    return negative + int((~single).sum()) // 2


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
            raise CurvatureError("the damped curvature is zero: nothing is left to invert")
        inverse = torch.where(kept, 1 / torch.where(kept, damped, 1.0), 0.0)  # [P]
        return (
            {"eigenvectors": eigenvectors, "inverse_eigenvalues": inverse},
            {
                "rank": int(kept.sum()),
                "negative_eigenvalues": int((damped[kept] < 0).sum()),
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
            sign = torch.where(mended < 0, -1.0, 1.0)  # [P]
            mended = torch.where(too_small, sign * threshold, mended)  # [P]
        damped = mended + damping  # [P]
        kept = torch.ones_like(too_small) if self.small == "clamp" else ~too_small  # [P]
        if bool((damped[kept] == 0).any()) or not bool(kept.any()):
            raise CurvatureError(
                f"{int((damped[kept] == 0).sum())} eigenvalues are zero after mending "
                f'(threshold {threshold:g}, damping {damping:g}); raise one of them, or choose small: "drop"'
            )
        inverse = torch.where(kept, 1 / torch.where(kept, damped, 1.0), 0.0)  # [P]
        return (
            {"eigenvectors": eigenvectors, "inverse_eigenvalues": inverse},
            {
                "rank": int(kept.sum()),
                "negative_eigenvalues": int((eigenvalues < 0).sum()),
                "mended_eigenvalues": int((mended != eigenvalues).sum()),
            },
        )

    def solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply in the eigenbasis; see the base class."""
        return _in_eigenbasis(factors, vectors)


def _in_eigenbasis(factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
    basis = factors["eigenvectors"]  # [P, P]
    return ((vectors @ basis) * factors["inverse_eigenvalues"]) @ basis.T  # [K, P]
