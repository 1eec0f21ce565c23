"""Eigenbases of the two sides of a matrix of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hessinf.curvature.errors import CurvatureError

if TYPE_CHECKING:
    from hessinf.curvature.kronecker_factors import UnitSums
    from hessinf.gradients.layers import MatrixUnit


@dataclass(frozen=True)
class UnitBasis:
    """Eigenvectors of both sides (None for unit vectors), and the eigenvalues of K-FAC."""

    rows: torch.Tensor | None
    columns: torch.Tensor | None
    row_eigenvalues: torch.Tensor
    column_eigenvalues: torch.Tensor
    eigenvalues: torch.Tensor


def unit_basis(
    unit: MatrixUnit,
    sums: UnitSums,
    count: int,
    *,
    settle_ties: bool = False,
    device: torch.device | None = None,
) -> UnitBasis:
    """Decompose the factors of a unit.

    One module: its two factors. Several, that share the weight: ``Σ_u R_u ⊗ C_u`` has no two
    factors; the basis is that of its partial traces ``R = Σ_u R_u tr C_u``, ``C = Σ_u C_u tr R_u``,
    and the eigenvalues are its diagonal in that basis.

    Parameters
    ----------
    unit
        The matrix of parameters.
    sums
        What its modules add up to.
    count
        N.
    settle_ties
        See :func:`decomposed`.
    device
        Where the zeros of a matrix live that no output depends on.

    Raises
    ------
    CurvatureError
        When a factor is not finite.
    """
    pairs = _pairs(sums, count)
    rows, columns = _factors(unit, pairs, device)
    row_eigenvalues, row_basis = decomposed(
        rows, f'the row factor of "{unit.name}"', settle_ties=settle_ties
    )
    column_eigenvalues, column_basis = decomposed(
        columns, f'the column factor of "{unit.name}"', settle_ties=settle_ties
    )
    if len(pairs) == 1:
        eigenvalues = torch.outer(row_eigenvalues, column_eigenvalues)  # [O, I]
    else:
        eigenvalues = _diagonal_of_pairs(unit, pairs, row_basis, column_basis).to(rows.device)
    return UnitBasis(row_basis, column_basis, row_eigenvalues, column_eigenvalues, eigenvalues)


def diagonal_in(
    row_basis: torch.Tensor | None,
    column_basis: torch.Tensor | None,
    unit: MatrixUnit,
    sums: UnitSums,
    count: int,
) -> torch.Tensor:
    """Return the diagonal ``[O, I]`` of a unit's ``Σ_u R_u ⊗ C_u`` in any basis.

    Parameters
    ----------
    row_basis, column_basis
        Orthonormal columns, or None for unit vectors.
    unit, sums, count
        As for :func:`unit_basis`.
    """
    return _diagonal_of_pairs(unit, _pairs(sums, count), row_basis, column_basis)


def _pairs(sums: UnitSums, count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the factors of each module, that of the rows first: means over N, or T."""
    pairs = []
    for module in sums.modules.values():
        inputs = module.inputs / max(module.count, 1)
        gradients = module.gradients / count
        # Ids stand for rows: their second moment is the diagonal [V].
        pairs.append((inputs, gradients) if inputs.ndim == 1 else (gradients, inputs))
    return pairs


def _diagonal_of_pairs(
    unit: MatrixUnit,
    pairs: Sequence[tuple[torch.Tensor, torch.Tensor]],
    row_basis: torch.Tensor | None,
    column_basis: torch.Tensor | None,
) -> torch.Tensor:
    total = torch.zeros(unit.out_features, unit.in_features, dtype=torch.float64)  # [O, I]
    for rows, columns in pairs:
        outer = torch.outer(_diagonal(rows, row_basis), _diagonal(columns, column_basis))
        total = total.to(outer) + outer
    return total


def _factors(
    unit: MatrixUnit,
    pairs: Sequence[tuple[torch.Tensor, torch.Tensor]],
    device: torch.device | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two factors: matrices, or the diagonal ``[O]`` of the first."""
    if len(pairs) == 1:
        return pairs[0]
    if not pairs:  # no output depends on it
        rows, columns = (
            torch.zeros(size, dtype=torch.float64, device=device)
            for size in (unit.out_features, unit.in_features)
        )
        return rows, columns
    scale = float(sum(_trace(rows) * _trace(columns) for rows, columns in pairs))
    scale = scale**-0.5 if scale > 0 else 0.0  # the product then has the trace of the sum
    row_parts = [rows * _trace(columns) for rows, columns in pairs]
    column_parts = [columns * _trace(rows) for rows, columns in pairs]
    return _added(row_parts) * scale, _added(column_parts) * scale


def _trace(matrix: torch.Tensor) -> torch.Tensor:
    """Return the trace of a matrix, or of a diagonal."""
    return matrix.sum() if matrix.ndim == 1 else matrix.trace()


def _added(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Add matrices and diagonals: a diagonal when all are."""
    if any(part.ndim == 2 for part in parts):
        parts = [part if part.ndim == 2 else part.diag() for part in parts]
    return torch.stack(list(parts)).sum(dim=0)


def _diagonal(matrix: torch.Tensor, basis: torch.Tensor | None) -> torch.Tensor:
    """Return the diagonal of ``Qᵀ M Q``."""
    if basis is None:
        return matrix  # a diagonal, in its own basis
    if matrix.ndim == 1:
        return matrix @ basis.square()
    return ((matrix @ basis) * basis).sum(dim=0)


def decomposed(
    matrix: torch.Tensor, what: str, *, settle_ties: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Decompose a positive semidefinite matrix, or a diagonal.

    Parameters
    ----------
    matrix
        ``[D, D]``, or ``[D]``.
    what
        How errors call it.
    settle_ties
        Whether eigenvectors of equal eigenvalues, which are no eigenvectors by themselves but span
        a space together, are chosen in a way that rounding does not decide. It matters where
        something else than the matrix is expressed in the basis.

    Returns
    -------
    torch.Tensor
        The eigenvalues ``[D]``, none below zero.
    torch.Tensor or None
        The eigenvectors ``[D, D]``; None where they are the unit vectors.

    Raises
    ------
    CurvatureError
        When an entry is not finite.
    """
    if not bool(matrix.isfinite().all()):
        raise CurvatureError(
            f"{what} is not finite; likely causes: NaN or huge values in the training data, or a "
            "model whose training diverged"
        )
    if matrix.ndim == 1:
        return matrix, None
    eigenvalues, eigenvectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    if settle_ties:
        eigenvectors = _settled(eigenvalues, eigenvectors)
    # Row-major, as it is read back from a file: the same bytes of scores either way.
    return eigenvalues.clamp(min=0), eigenvectors.contiguous()


def _settled(eigenvalues: torch.Tensor, eigenvectors: torch.Tensor) -> torch.Tensor:
    """Choose eigenvectors within each space of equal eigenvalues.

    They become those of ``diag(1 … D)`` in that space: as if the matrix had a little of it.
    """
    size = len(eigenvalues)
    values = eigenvalues.tolist()
    rounding = 10 * size * torch.finfo(eigenvalues.dtype).eps * max(abs(values[0]), abs(values[-1]))
    numbers = torch.arange(1, size + 1, dtype=eigenvectors.dtype, device=eigenvectors.device)  # [D]
    settled = eigenvectors.clone()
    first = 0
    while first < size:
        last = first + 1
        while last < size and values[last] - values[first] <= rounding:
            last += 1
        if last - first > 1:
            space = eigenvectors[:, first:last]  # [D, n]
            within = torch.linalg.eigh(space.T * numbers @ space).eigenvectors  # [n, n]
            settled[:, first:last] = space @ within
        first = last
    return settled
