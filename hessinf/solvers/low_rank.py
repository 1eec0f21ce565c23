"""A low rank in place of a matrix: ``C ≈ VᵀΘV`` with orthonormal rows V, and its damped inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.errors import SolverError

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

ROUNDING = 10
"""Damped eigenvalues up to this many times the rank units of rounding of the largest are zero."""


@dataclass(frozen=True)
class LowRank:
    """Eigenpairs that stand for a symmetric matrix.

    Parameters
    ----------
    eigenvalues
        ``[R]``, float64, the largest magnitude first.
    eigenvectors
        ``[R, P]``, orthonormal rows.
    """

    eigenvalues: torch.Tensor
    eigenvectors: torch.Tensor

    @property
    def complete(self) -> bool:
        """Whether nothing is left beside the eigenvectors."""
        return len(self.eigenvalues) == self.eigenvectors.shape[1]

    def project(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the coordinates ``[K, R]`` of row vectors ``[K, P]``."""
        return vectors @ self.eigenvectors.T  # [K, R]

    def product(self, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply row vectors ``[K, P]`` with the low rank."""
        scaled = self.project(vectors) * self.eigenvalues.to(vectors.dtype)  # [K, R]
        return scaled @ self.eigenvectors  # [K, P]

    def power(
        self, vectors: torch.Tensor, damping: float, exponent: float, beside: float | None
    ) -> torch.Tensor:
        """Multiply row vectors with ``(VᵀΘV + κ(I − VᵀV) + λI)`` to a power.

        Parameters
        ----------
        vectors
            ``[K, P]``.
        damping
            λ.
        exponent
            -1 for the inverse, by Woodbury's identity; -½ for its square root.
        beside
            κ, the curvature of directions beside the eigenvectors; None where those are dropped.

        Returns
        -------
        torch.Tensor
            ``[K, P]``.
        """
        inside = (self.eigenvalues + damping) ** exponent  # [R]
        dropped = beside is None or self.complete
        outside = 0.0 if dropped else (damping + beside) ** exponent  # type: ignore[operator]
        scaled = self.project(vectors) * (inside - outside).to(vectors.dtype)  # [K, R]
        powered = scaled @ self.eigenvectors  # [K, P]
        return powered if dropped else powered + outside * vectors

    def require_invertible(self, damping: float, beside: float | None) -> None:
        """Refuse a damping at which the inverse would be rounding errors.

        Parameters
        ----------
        damping, beside
            As for :meth:`power`.

        Raises
        ------
        SolverError
            Which says what is zero.
        """
        damped = (self.eigenvalues + damping).abs()  # [R]
        if beside is not None and not self.complete and not damping + beside > 0:
            raise SolverError(
                f"a low rank of {len(damped)} for {self.eigenvectors.shape[1]} parameters can only "
                "be inverted with damping or weight decay above 0: beside the low rank there is "
                "nothing else; raise damping"
            )
        # What eigenvalues are rounded to is a share of the largest of them, damped or not.
        largest = float(torch.maximum(damped, self.eigenvalues.abs()).max()) if len(damped) else 0.0
        unit = torch.finfo(self.eigenvectors.dtype).eps
        zeros = int((damped <= ROUNDING * len(damped) * unit * largest).sum())
        if zeros:
            raise SolverError(
                f"{zeros} of {len(damped)} eigenvalues are zero to working precision with damping "
                f"and weight decay of {damping:g} together; raise damping, or lower rank"
            )
