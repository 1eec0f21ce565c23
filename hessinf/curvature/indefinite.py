"""LDLᵀ of a symmetric matrix in the place of its lower triangle, its upper one left alone.

LAPACK's factorisation (Bunch & Kaufman 1977) interleaves its row exchanges with the columns of L,
and solving with that goes vector by vector. Here the exchanges are carried out on L first, so that
``P A Pᵀ = L D Lᵀ`` with one permutation P: solving is then done by products of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hessinf.curvature.cholesky import PANEL


@dataclass(frozen=True)
class Indefinite:
    """A factorisation ``P A Pᵀ = L D Lᵀ``; D has blocks of one row and of two.

    Parameters
    ----------
    packed
        ``[P, P]``: L without its unit diagonal below the diagonal, and that of D on it.
    below
        The entries below the diagonal of D, ``[P - 1]``; zero where no block has two rows.
    permutation
        The rows of A in the order of L's, ``[P]``.
    """

    packed: torch.Tensor
    below: torch.Tensor
    permutation: torch.Tensor

    @property
    def eigenvalues(self) -> torch.Tensor:
        """Those of D, ``[P]``: as many are negative as of A itself (Sylvester)."""
        values = self.packed.diagonal().clone()  # [P]
        first = self.below.nonzero()[:, 0]  # of blocks of two rows
        one, other, off = values[first], values[first + 1], self.below[first]
        middle = (one + other) / 2
        large = middle + torch.copysign(torch.hypot((one - other) / 2, off), middle)
        values[first], values[first + 1] = large, (one * other - off * off) / large
        return values

    def solve(self, vectors: torch.Tensor) -> torch.Tensor:
        """Apply the inverse of A to row vectors, ``[K, P]``."""
        permuted = vectors[:, self.permutation].T  # [P, K]
        halfway = torch.linalg.solve_triangular(
            self.packed, permuted, upper=False, unitriangular=True
        )
        whole = torch.linalg.solve_triangular(
            self.packed.T, self._divided(halfway), upper=True, unitriangular=True
        )
        solved = torch.empty_like(vectors)  # [K, P]
        solved[:, self.permutation] = whole.T
        return solved

    def _divided(self, columns: torch.Tensor) -> torch.Tensor:
        """Apply the inverse of D to ``[P, K]``."""
        diagonal = self.packed.diagonal()  # [P]
        first = self.below.nonzero()[:, 0]
        off = self.below[first]
        one, other = diagonal[first] / off, diagonal[first + 1] / off
        scale = 1 / (off * (one * other - 1))
        inverse = 1 / diagonal  # [P]
        inverse[first], inverse[first + 1] = other * scale, one * scale
        divided = columns * inverse[:, None]  # [P, K]
        divided[first] -= scale[:, None] * columns[first + 1]
        divided[first + 1] -= scale[:, None] * columns[first]
        return divided


def factorize_indefinite(matrix: torch.Tensor) -> Indefinite | None:
    """Overwrite the lower triangle of a symmetric matrix with L and D.

    Parameters
    ----------
    matrix
        ``[P, P]``, symmetric, row-major. What is above the diagonal stays as it is. As much memory
        again is needed meanwhile.

    Returns
    -------
    Indefinite or None
        None when D is singular.
    """
    # On the CPU wherever the matrix lives: solvers on GPUs are missing from many builds.
    found, pivots, info = torch.linalg.ldl_factor_ex(matrix.cpu())
    if int(info) != 0:
        return None
    for start in range(0, len(matrix), PANEL):
        stop = min(start + PANEL, len(matrix))
        corner = matrix[start:stop, start:stop]
        matrix[start:stop, :start] = found[start:stop, :start]
        corner.copy_(found[start:stop, start:stop].tril().to(corner.device) + corner.triu(1))
    del found
    below, permutation = _unscramble(matrix, pivots.tolist())
    return Indefinite(matrix, below, permutation)


def _unscramble(matrix: torch.Tensor, pivots: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Carry out LAPACK's row exchanges on L, and take the entries beside D's diagonal out of it.

    A negative pivot marks each row of a block of two, whose second row is the one exchanged.
    """
    size = len(pivots)
    below = matrix.new_zeros(max(size - 1, 0))
    order = list(range(size))
    row = 0
    while row < size:
        double = pivots[row] < 0
        here, there = row + double, abs(pivots[row]) - 1
        if double:
            below[row] = matrix[row + 1, row]
            matrix[row + 1, row] = 0.0
        if here != there:
            order[here], order[there] = order[there], order[here]
            kept = matrix[here, :row].clone()
            matrix[here, :row] = matrix[there, :row]
            matrix[there, :row] = kept
        row += 1 + double
    return below, torch.tensor(order, device=matrix.device)
