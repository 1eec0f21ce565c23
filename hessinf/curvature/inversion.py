"""Inversions of a damped symmetric matrix, and the exact one."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from hessinf.curvature.errors import CurvatureError
from hessinf.registry import Registrable
from hessinf.registry.plan import registered_name
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.curvature import cholesky, indefinite
else:
    torch = lazy_import("torch")
    cholesky = lazy_import("hessinf.curvature.cholesky")
    indefinite = lazy_import("hessinf.curvature.indefinite")

logger = logging.getLogger(__name__)

MOST_DECOMPOSED = 3000
"""Rows of a matrix whose eigenvalues are computed where nothing but a plot needs them: about a
second of one core."""

ROUNDING = 10
"""Pivots and eigenvalues up to this many times P units of rounding of the largest count as zero."""

Factors = dict[str, Any]
"""What a factorisation keeps: tensors by name."""

Facts = dict[str, Any]
"""What results say about a factorisation: counts, such as that of the negative eigenvalues."""


class Inversion(Registrable):
    """A way to invert ``C + λI`` for a dense symmetric ``C``."""

    default_implementation = "exact"

    matrices_held: ClassVar[float] = 4
    """How much memory :meth:`factorize` may take, the matrix's own included: in units of it."""

    @abstractmethod
    def factorize(self, matrix: torch.Tensor, damping: float) -> tuple[Factors, Facts]:
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

    def redamp(self, factors: Factors, damping: float) -> tuple[Factors, Facts]:
        """Prepare the inverse of the same matrix at another damping.

        Parameters
        ----------
        factors
            From :meth:`factorize`, at any damping. They are left as they are.
        damping
            The new λ, which may be negative: a part of the matrix that is a multiple of I.

        Returns
        -------
        dict of str to torch.Tensor, dict
            As from :meth:`factorize`.
        """
        raise CurvatureError(
            f"{self._described} does not keep what another damping needs; fit again, or give it "
            "a method `redamp`"
        )

    def eigenvalues(self, factors: Factors) -> torch.Tensor | None:
        """Return the eigenvalues of C, ``[P]``, before they are damped or mended.

        Parameters
        ----------
        factors
            From :meth:`factorize`, at any damping.

        Returns
        -------
        torch.Tensor or None
            None where they are not known and would take long.
        """
        return None

    def half_solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Map row vectors so that inner products become those of the inverse.

        Parameters
        ----------
        factors
            From :meth:`factorize`.
        vectors
            ``[K, P]``, float64.

        Returns
        -------
        torch.Tensor
            ``[K, P]``, float64: ``half(v) · half(w) = vᵀ (C + λI)⁻¹ w``.

        Raises
        ------
        CurvatureError
            When the inverse is not positive semidefinite, so that there is no such map.
        """
        raise CurvatureError(
            f"{self._described} has no vectors whose inner products are those of the inverse; "
            "give it a method `half_solve`"
        )

    @property
    def _described(self) -> str:
        return f'the inversion "{registered_name(type(self)) or type(self).__name__}"'


@Inversion.register("exact")
class ExactInversion(Inversion):
    """The inverse itself: by Cholesky, or by LDLᵀ when ``C + λI`` is indefinite.

    Registered as an `Inversion` with name "exact".

    LDLᵀ costs half of LU, keeps the symmetry, and tells the number of negative eigenvalues
    (Sylvester's law of inertia). Both work in the place of the lower triangle; the upper one keeps
    the entries of ``C``, so that another damping costs one more factorisation and no pass over the
    data.
    """

    matrices_held: ClassVar[float] = 2.25

    def factorize(self, matrix: torch.Tensor, damping: float) -> tuple[Factors, Facts]:
        """Factorise ``C + λI``; see the base class."""
        size = len(matrix)
        # A sum is finite only where all numbers are, and needs no second matrix.
        if not bool(matrix.sum().isfinite()) and not bool(matrix.isfinite().all()):
            raise CurvatureError(f"the curvature ({size} × {size}) is not finite")
        # Row-major, as it is read back from a file: the same bytes of scores either way.
        matrix = matrix.contiguous()
        diagonal = matrix.diagonal().clone()  # [P]
        matrix.diagonal().add_(damping)
        if not cholesky.shows_indefinite(matrix) and cholesky.factorize_in_place(matrix):
            _require_regular(matrix.diagonal().square(), size, damping)
            return {"cholesky": matrix, "diagonal": diagonal}, {"negative_eigenvalues": 0}
        matrix.diagonal().copy_(diagonal + damping)
        cholesky.mirror_upper(matrix)
        found = indefinite.factorize_indefinite(matrix)
        eigenvalues = diagonal.new_zeros(1) if found is None else found.eigenvalues  # [P]
        _require_regular(eigenvalues.abs(), size, damping)
        assert found is not None
        negative = int((eigenvalues < 0).sum())
        logger.warning(
            "the damped curvature is not positive definite: %d of %d eigenvalues are negative at "
            "damping %g, so the parameters are no minimum and scores may mean little; train longer,"
            " raise damping, or use a positive semidefinite curvature such as Gauss-Newton",
            negative,
            size,
            damping,
        )
        return (
            {
                "ldl": matrix,
                "below": found.below,
                "permutation": found.permutation,
                "diagonal": diagonal,
            },
            {"negative_eigenvalues": negative},
        )

    def solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Solve with the factorisation; see the base class."""
        if "cholesky" not in factors:
            found = indefinite.Indefinite(factors["ldl"], factors["below"], factors["permutation"])
            return found.solve(vectors)
        lower: torch.Tensor = factors["cholesky"]
        halfway = torch.linalg.solve_triangular(lower, vectors.T, upper=False)  # [P, K]
        solved: torch.Tensor = torch.linalg.solve_triangular(lower.T, halfway, upper=True)
        return solved.T  # [K, P]

    def redamp(self, factors: Factors, damping: float) -> tuple[Factors, Facts]:
        """Factorise again; see the base class."""
        return self.factorize(self.original(factors), damping)

    def original(self, factors: Factors) -> torch.Tensor:
        """Give back the matrix before damping, ``[P, P]``, as it was factorised."""
        packed = factors["cholesky"] if "cholesky" in factors else factors["ldl"]
        matrix: torch.Tensor = packed.clone(memory_format=torch.contiguous_format)  # [P, P]
        matrix.diagonal().copy_(factors["diagonal"])
        cholesky.mirror_upper(matrix)
        return matrix

    def eigenvalues(self, factors: Factors) -> torch.Tensor | None:
        """Decompose the matrix, where it is small; see the base class."""
        if len(factors["diagonal"]) > MOST_DECOMPOSED:
            return None
        found: torch.Tensor = torch.linalg.eigvalsh(self.original(factors))
        return found

    def multiply(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply row vectors ``[K, P]`` with the matrix before damping; no copy of it is made."""
        packed = factors["cholesky"] if "cholesky" in factors else factors["ldl"]
        return cholesky.multiply_upper(packed, factors["diagonal"], vectors)

    def half_solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Solve with the Cholesky factor alone; see the base class."""
        if "cholesky" not in factors:
            raise CurvatureError(
                "the damped curvature has negative eigenvalues, so that scores are no inner "
                "products; train longer, raise damping, or use a positive semidefinite curvature "
                "such as Gauss-Newton"
            )
        solved: torch.Tensor = torch.linalg.solve_triangular(
            factors["cholesky"], vectors.T, upper=False
        )
        return solved.T  # [K, P]


def _require_regular(pivots: torch.Tensor, size: int, damping: float) -> None:
    """Refuse a factorisation whose pivots, magnitudes ``[P]``, say nothing but rounding errors."""
    smallest, largest = float(pivots.min()), float(pivots.max())
    if smallest <= ROUNDING * size * torch.finfo(pivots.dtype).eps * largest:
        raise CurvatureError(
            f"the damped curvature ({size} × {size}, damping {damping:g}) is singular to working "
            f"precision (pivots from {smallest:.3g} to {largest:.3g}); raise damping, or use the "
            'inversion "pseudo"'
        )
