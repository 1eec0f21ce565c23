"""Cholesky's factorisation in the place of a matrix's lower triangle, its upper one left alone."""

from __future__ import annotations

import torch

PANEL = 384
"""Columns that are worked on together: enough for matrix products at nearly full speed. Measured on
a CPU with 6,570 rows, 192 to 768 columns."""

STEP = 9
"""Every so many rows are tried first. One in 4 to 13 rows show it of the Hessians of MLPs of 2,778
and 6,570 parameters."""


def factorize_in_place(matrix: torch.Tensor) -> bool:
    """Overwrite the lower triangle of a symmetric matrix with L of ``L Lᵀ``, the diagonal included.

    What is above the diagonal stays as it is, so that the matrix can be had back, and no second one
    is needed beside it. A matrix that is not positive definite is mostly found out early, and costs
    accordingly less.

    Parameters
    ----------
    matrix
        ``[P, P]``, symmetric, row-major.

    Returns
    -------
    bool
        False when the matrix is not positive definite: its lower triangle is then of no use.
    """
    size = len(matrix)
    for start in range(0, size, PANEL):
        stop = min(start + PANEL, size)
        done = matrix[start:stop, :start]  # [p, start]: of L
        corner = matrix[start:stop, start:stop]  # [p, p]
        own, info = torch.linalg.cholesky_ex(torch.addmm(corner, done, done.T, alpha=-1))
        if int(info) != 0:
            return False
        corner.copy_(own.tril_().add_(corner.triu(1)))
        below = matrix[stop:, start:stop]  # [P - stop, p]
        below.addmm_(matrix[stop:, :start], done.T, alpha=-1)
        lower = corner.tril()  # [p, p]
        below.copy_(torch.linalg.solve_triangular(lower.T, below, upper=True, left=False))
    return True


def shows_indefinite(matrix: torch.Tensor) -> bool:
    """Whether some rows and columns alone show that a symmetric matrix is not positive definite.

    Cauchy's interlacing theorem: a principal submatrix has no eigenvalue below the smallest. One in
    :data:`STEP` rows costs 1/729 of the factorisation, which fails late where the first layer's
    own block is positive definite.

    Parameters
    ----------
    matrix
        ``[P, P]``, symmetric.
    """
    return int(torch.linalg.cholesky_ex(matrix[::STEP, ::STEP])[1]) != 0


def mirror_upper(matrix: torch.Tensor) -> None:
    """Copy what lies above the diagonal below it, in place and panel by panel."""
    for start in range(0, len(matrix), PANEL):
        stop = min(start + PANEL, len(matrix))
        corner = matrix[start:stop, start:stop]
        corner.copy_(corner.triu() + corner.triu(1).T)
        for first in range(0, start, PANEL):
            last = first + PANEL
            matrix[start:stop, first:last] = matrix[first:last, start:stop].T


def multiply_upper(
    matrix: torch.Tensor, diagonal: torch.Tensor, vectors: torch.Tensor
) -> torch.Tensor:
    """Multiply with the symmetric matrix of which only what is above the diagonal is at hand.

    Parameters
    ----------
    matrix
        ``[P, P]``.
    diagonal
        What belongs on the diagonal, ``[P]``.
    vectors
        Row vectors, ``[K, P]``.

    Returns
    -------
    torch.Tensor
        ``[K, P]``.
    """
    products = vectors * diagonal  # [K, P]
    for start in range(0, len(matrix), PANEL):
        stop = min(start + PANEL, len(matrix))
        own = vectors[:, start:stop]
        corner = matrix[start:stop, start:stop].triu(1)
        products[:, start:stop] += own @ (corner + corner.T)
        beside = matrix[start:stop, stop:]  # [p, P - stop]
        products[:, stop:] += own @ beside
        products[:, start:stop] += vectors[:, stop:] @ beside.T
    return products
