"""Inversions of a damped symmetric matrix, and the exact one."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from hessinf.curvature.errors import CurvatureError
from hessinf.registry import Registrable
from hessinf.registry.plan import registered_name
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

Facts = dict[str, Any]
"""What results say about a factorisation: counts, such as that of the negative eigenvalues."""


class Inversion(Registrable):
    """A way to invert ``C + λI`` for a dense symmetric ``C``."""

    default_implementation = "exact"

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
    (Sylvester's law of inertia). Both fill the lower triangle only; the upper one keeps the entries
    of ``C``, so that another damping costs one more factorisation and no pass over the data.
    """

    def factorize(self, matrix: torch.Tensor, damping: float) -> tuple[Factors, Facts]:
        """Factorise ``C + λI``; see the base class."""
        size = len(matrix)
        if not bool(matrix.isfinite().all()):
            raise CurvatureError(f"the curvature ({size} × {size}) is not finite")
        diagonal = matrix.diagonal().clone()  # [P]
        matrix.diagonal().add_(damping)
        factor, info = torch.linalg.cholesky_ex(matrix)
        if int(info) == 0:
            _require_regular(factor.diagonal().square(), size, damping)
            return (
                {"cholesky": _with_upper(factor, matrix), "diagonal": diagonal},
                {"negative_eigenvalues": 0},
            )
        del factor
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
        return (
            {"ldl": _with_upper(packed, matrix.cpu()), "pivots": pivots, "diagonal": diagonal},
            {"negative_eigenvalues": negative},
        )

    def solve(self, factors: Factors, vectors: torch.Tensor) -> torch.Tensor:
        """Solve with the factorisation; see the base class."""
        if "cholesky" in factors:
            return torch.cholesky_solve(vectors.T, factors["cholesky"]).T  # [K, P]
        columns = vectors.T.cpu().contiguous()  # [P, K]
        solved: torch.Tensor = torch.linalg.ldl_solve(
            factors["ldl"].cpu(), factors["pivots"].cpu(), columns
        )
        return solved.T.to(vectors.device)  # [K, P]

    def redamp(self, factors: Factors, damping: float) -> tuple[Factors, Facts]:
        """Factorise again; see the base class."""
        matrix = self.original(factors)
        return self.factorize(matrix, damping)

    def original(self, factors: Factors) -> torch.Tensor:
        """Give back the matrix before damping, ``[P, P]``, as it was factorised."""
        packed = factors["cholesky"] if "cholesky" in factors else factors["ldl"]
        matrix: torch.Tensor = packed.to(factors["diagonal"].device).triu(1)  # [P, P]
        matrix = matrix + matrix.T
        matrix.diagonal().copy_(factors["diagonal"])
        return matrix

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


def _with_upper(lower: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Lay the upper triangle of ``matrix`` above a lower triangular factor; both are used up.

    Row-major, as it is read back from a file: the same bytes of scores either way.
    """
    return lower.tril_().add_(matrix.triu_(1)).contiguous()  # [P, P]


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
