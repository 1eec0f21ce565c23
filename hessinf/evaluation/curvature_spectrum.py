"""``Spectrum``: the eigenvalues and eigenvectors of a symmetric matrix, and what matrices may be.

Every curvature metric takes a matrix or its :class:`Spectrum`, so that one decomposition serves
many metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hessinf.evaluation.errors import EvaluationError

Places = slice | torch.Tensor
"""Where the parameters of a block lie among the rows."""

Blocks = Mapping[str, Places]
"""The diagonal blocks of a matrix, by name."""

ASYMMETRY_ALLOWED = 1e-6
"""As a share of the largest entry."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """An eigendecomposition ``V diag(w) Vᵀ``.

    Parameters
    ----------
    eigenvalues
        w, ``[P]``, float64, ascending.
    eigenvectors
        V, ``[P, P]``, orthonormal columns.
    """

    eigenvalues: torch.Tensor
    eigenvectors: torch.Tensor

    @property
    def size(self) -> int:
        """P."""
        return len(self.eigenvalues)

    def largest(self, count: int) -> Spectrum:
        """Return the pairs of largest magnitude, the largest first: ``[k]`` and ``[P, k]``."""
        order = self.eigenvalues.abs().argsort(descending=True, stable=True)[:count]  # [k]
        return Spectrum(self.eigenvalues[order], self.eigenvectors[:, order])


def as_matrix(name: str, matrix: Any) -> torch.Tensor:
    """Return a symmetric matrix in float64.

    Parameters
    ----------
    name
        How errors call it.
    matrix
        ``[P, P]``, a tensor or an array.

    Raises
    ------
    EvaluationError
        When it is not square, not finite or not symmetric.
    """
    tensor = torch.as_tensor(matrix).to(torch.float64)  # [P, P]
    if tensor.ndim != 2 or tensor.shape[0] != tensor.shape[1] or tensor.shape[0] == 0:
        raise EvaluationError(
            f"{name} has shape {list(tensor.shape)}, expected a square matrix [P, P]"
        )
    largest = float(tensor.abs().max())
    if not largest < float("inf"):  # NaN too
        raise EvaluationError(f"{name} has entries that are not finite")
    difference = float((tensor - tensor.T).abs().max())
    if difference > ASYMMETRY_ALLOWED * largest:
        raise EvaluationError(
            f"{name} is not symmetric: entries differ by {difference:.3g}, the largest is "
            f"{largest:.3g}; average it with its transpose where that is only rounding"
        )
    return tensor


def as_matrices(reference: Any, approximation: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two symmetric matrices of one size in float64; see :func:`as_matrix`."""
    pair = as_matrix("the reference", reference), as_matrix("the approximation", approximation)
    require_same_size(len(pair[0]), len(pair[1]))
    return pair


def require_same_size(reference: int, approximation: int) -> None:
    """Refuse matrices of different sizes.

    Parameters
    ----------
    reference, approximation
        The number of rows of each.
    """
    if reference != approximation:
        raise EvaluationError(
            f"the reference has {reference:,} rows and the approximation {approximation:,}; they "
            "stand for the same parameters only where both have as many: freeze the same ones"
        )


def spectrum_of(name: str, matrix: Any) -> Spectrum:
    """Decompose a symmetric matrix; a :class:`Spectrum` is returned as it is.

    Parameters
    ----------
    name
        How errors call it.
    matrix
        ``[P, P]``, or a :class:`Spectrum`.
    """
    if isinstance(matrix, Spectrum):
        return matrix
    return Spectrum(*torch.linalg.eigh(as_matrix(name, matrix)))


def joined(size: int, parts: Mapping[str, Spectrum], blocks: Blocks) -> Spectrum:
    """Return the spectrum of a block-diagonal matrix from those of its blocks.

    Parameters
    ----------
    size
        P.
    parts, blocks
        The spectrum and the places of each block.
    """
    first = next(iter(parts.values()))
    eigenvalues = torch.cat([part.eigenvalues for part in parts.values()])  # [P]
    eigenvectors = first.eigenvectors.new_zeros(size, size)  # [P, P]
    start = 0
    for block, part in parts.items():
        eigenvectors[blocks[block], start : start + part.size] = part.eigenvectors
        start += part.size
    order = eigenvalues.argsort(stable=True)  # [P]
    return Spectrum(eigenvalues[order], eigenvectors[:, order])


def cut(matrix: torch.Tensor, places: Places) -> torch.Tensor:
    """Return the diagonal block ``[P_b, P_b]`` at some places."""
    return matrix[places][:, places]


def outside_norm(matrix: torch.Tensor, blocks: Blocks) -> float:
    """Return the Frobenius norm of what lies outside the diagonal blocks, ``‖M − blockdiag(M)‖``.

    Added up from the entries themselves: no difference of large numbers.
    """
    total = 0.0
    for places in blocks.values():
        rows = matrix[places].clone()  # [P_b, P]
        rows[:, places] = 0.0
        total += float(rows.square().sum())
    return math.sqrt(total)


def blocks_of_sizes(sizes: Sequence[int]) -> dict[str, Places]:
    """Return consecutive blocks of given sizes, named by their numbers.

    Parameters
    ----------
    sizes
        How many rows each has.
    """
    blocks: dict[str, Places] = {}
    start = 0
    for number, size in enumerate(sizes):
        blocks[str(number)] = slice(start, start + size)
        start += size
    return blocks
