"""Blocks of curvature in their eigenbases: of matrices of parameters, dense ones, diagonal ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch


class EigenBlock(ABC):
    """One block ``Q Λ Qᵀ`` of the curvature, on numbers at given places of θ.

    Parameters
    ----------
    name
        What reports call it.
    places
        Where its numbers lie in the flat vector θ: int64, of a shape that :meth:`coordinates`
        makes use of.
    eigenvalues
        Λ, of the shape of ``places``, float64; without weight decay and damping.
    """

    kind: ClassVar[str]

    def __init__(self, name: str, places: torch.Tensor, eigenvalues: torch.Tensor) -> None:
        self.name = name
        self.places = places
        self.eigenvalues = eigenvalues

    @property
    def size(self) -> int:
        """How many parameters it holds."""
        return self.places.numel()

    @abstractmethod
    def to_basis(self, values: torch.Tensor) -> torch.Tensor:
        """Rotate ``[K, *places.shape]`` into the eigenbasis."""

    @abstractmethod
    def from_basis(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Rotate back."""

    def coordinates(self, vectors: torch.Tensor) -> torch.Tensor:
        """Take the block's numbers out of ``[K, P]`` and rotate them: ``[K, *places.shape]``."""
        return self.to_basis(vectors[:, self.places])

    def write(self, coordinates: torch.Tensor, vectors: torch.Tensor) -> None:
        """Rotate coordinates back, and write them to where they belong in ``[K, P]``."""
        vectors[:, self.places] = self.from_basis(coordinates)

    def damped(self, ridge: float, heuristic: bool) -> torch.Tensor:
        """Return the eigenvalues with damping and weight decay, which ``ridge`` is the sum of."""
        return self.eigenvalues + ridge

    def state(self) -> dict[str, Any]:
        """Return everything, as tensors and texts."""
        return {
            "kind": self.kind,
            "name": self.name,
            "places": self.places,
            "eigenvalues": self.eigenvalues,
        }


class KroneckerBlock(EigenBlock):
    """A matrix ``[O, I]`` of parameters, with a basis for its rows and one for its columns.

    Parameters
    ----------
    name, places, eigenvalues
        See the base class; ``[O, I]``.
    row_basis, column_basis
        Eigenvectors, ``[O, O]`` and ``[I, I]``; None where they are the unit vectors.
    row_eigenvalues, column_eigenvalues
        Those of K-FAC's two factors, ``[O]`` and ``[I]``: what the heuristic damping goes by.
    """

    kind = "kronecker"

    def __init__(
        self,
        name: str,
        places: torch.Tensor,
        eigenvalues: torch.Tensor,
        row_basis: torch.Tensor | None,
        column_basis: torch.Tensor | None,
        row_eigenvalues: torch.Tensor,
        column_eigenvalues: torch.Tensor,
    ) -> None:
        super().__init__(name, places, eigenvalues)
        self.row_basis = row_basis
        self.column_basis = column_basis
        self.row_eigenvalues = row_eigenvalues
        self.column_eigenvalues = column_eigenvalues

    def to_basis(self, values: torch.Tensor) -> torch.Tensor:
        """Compute ``Q_Rᵀ V Q_C``; see the base class."""
        if self.row_basis is not None:
            values = self.row_basis.T @ values
        return values if self.column_basis is None else values @ self.column_basis

    def from_basis(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Compute ``Q_R V Q_Cᵀ``; see the base class."""
        if self.row_basis is not None:
            coordinates = self.row_basis @ coordinates
        return coordinates if self.column_basis is None else coordinates @ self.column_basis.T

    def damped(self, ridge: float, heuristic: bool) -> torch.Tensor:
        """Return the eigenvalues with damping and weight decay.

        Parameters
        ----------
        ridge
            What is added to each: damping and weight decay together.
        heuristic
            Add what adding the root of that to the factors adds to their product: the root times
            and by π, the root of the ratio of their mean eigenvalues (Martens & Grosse 2015,
            section 6.3). For K-FAC that is the product of the damped factors; eigenvalues that
            were corrected (EK-FAC) get the same damping, number by number.
        """
        if not heuristic:
            return super().damped(ridge, heuristic)
        root = ridge**0.5
        rows, columns = self.row_eigenvalues, self.column_eigenvalues
        means = float(rows.mean()), float(columns.mean())
        ratio = (means[1] / means[0]) ** 0.5 if min(means) > 0 else 1.0
        # (r + √λ/π)(c + π√λ) = r c + π√λ r + √λ/π c + λ: nothing is subtracted, so nothing cancels.
        shared = torch.add(root * ratio * rows[:, None], root / ratio * columns)  # [O, I]
        return self.eigenvalues + shared + ridge  # [O, I]

    def state(self) -> dict[str, Any]:
        """Return everything, as tensors and texts."""
        return {
            **super().state(),
            "row_basis": self.row_basis,
            "column_basis": self.column_basis,
            "row_eigenvalues": self.row_eigenvalues,
            "column_eigenvalues": self.column_eigenvalues,
        }


class DenseBlock(EigenBlock):
    """Parameters ``[D]`` with eigenvectors of their own.

    Parameters
    ----------
    name, places, eigenvalues
        See the base class; ``[D]``.
    basis
        Eigenvectors, ``[D, D]``.
    """

    kind = "dense"

    def __init__(
        self, name: str, places: torch.Tensor, eigenvalues: torch.Tensor, basis: torch.Tensor
    ) -> None:
        super().__init__(name, places, eigenvalues)
        self.basis = basis

    def to_basis(self, values: torch.Tensor) -> torch.Tensor:
        """Compute ``v Q``; see the base class."""
        return values @ self.basis

    def from_basis(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Compute ``v Qᵀ``; see the base class."""
        return coordinates @ self.basis.T

    def state(self) -> dict[str, Any]:
        """Return everything, as tensors and texts."""
        return {**super().state(), "basis": self.basis}


class DiagonalBlock(EigenBlock):
    """Parameters ``[D]`` of which only squares are known."""

    kind = "diagonal"

    def to_basis(self, values: torch.Tensor) -> torch.Tensor:
        """Leave them; see the base class."""
        return values

    def from_basis(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Leave them; see the base class."""
        return coordinates


KINDS: dict[str, type[EigenBlock]] = {
    block.kind: block for block in (KroneckerBlock, DenseBlock, DiagonalBlock)
}


def block_from_state(state: dict[str, Any]) -> EigenBlock:
    """Make a block again from its :meth:`EigenBlock.state`."""
    arguments = dict(state)
    return KINDS[arguments.pop("kind")](**arguments)
