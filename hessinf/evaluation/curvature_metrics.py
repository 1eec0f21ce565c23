"""How near one curvature matrix comes to another, as pure functions of matrices.

Each takes numpy arrays or tensors ``[P, P]``, symmetric, or a
:class:`~hessinf.evaluation.curvature_spectrum.Spectrum` where it looks at eigenvalues alone. T is
the reference (mostly the Hessian), A the approximation, λ a damping.
"""

from __future__ import annotations

from typing import Any

import torch

from hessinf.evaluation.curvature_spectrum import (
    Blocks,
    Spectrum,
    as_matrices,
    as_matrix,
    outside_norm,
    require_same_size,
    spectrum_of,
)
from hessinf.evaluation.errors import EvaluationError

PANEL = 1024
"""Rows of a matrix of all pairs of eigenvalues that are worked on together."""


def frobenius_norm(matrix: Any, other: Any = None) -> float:
    """Return ``‖A‖_F``, or with a second matrix ``‖A − B‖_F``.

    Parameters
    ----------
    matrix, other
        ``[P, P]``, symmetric.
    """
    if other is None:
        return float(as_matrix("the matrix", matrix).norm())
    first, second = as_matrices(matrix, other)
    return float((first - second).norm())


def relative_residual(reference: Any, approximation: Any) -> float:
    """Return ``‖T − A‖_F / ‖T‖_F``: 0 where they are the same, 1 for A = 0; NaN where T is zero.

    The largest eigenvalues make up most of it: it is blind to flat directions, which decide
    ``T⁻¹``. Read it beside :func:`inverse_space_residual`.

    Parameters
    ----------
    reference, approximation
        T and A, ``[P, P]``.
    """
    target, found = as_matrices(reference, approximation)
    norm = float(target.norm())
    return float((target - found).norm()) / norm if norm > 0 else float("nan")


def inverse_space_residual(reference: Any, approximation: Any, damping: float) -> float:
    """Return ``‖(T + λI)⁻¹ − (A + λI)⁻¹‖_F / ‖(T + λI)⁻¹‖_F``.

    Computed as ``Σ_ij (u_i·v_j)² (1/(t_i + λ) − 1/(a_j + λ))²`` from eigenvalues and eigenvectors,
    in which nothing cancels.

    Parameters
    ----------
    reference, approximation
        T and A, ``[P, P]``, or their spectra.
    damping
        λ.

    Returns
    -------
    float
        NaN where T + λI or A + λI is singular to working precision. Of an indefinite T, an
        eigenvalue near -λ makes up all of it: look at the number of negative ones first.
    """
    target = spectrum_of("the reference", reference)
    found = spectrum_of("the approximation", approximation)
    require_same_size(target.size, found.size)
    return inverse_space_residuals(target, found, [damping])[0]


def inverse_space_residuals(
    target: Spectrum, found: Spectrum, dampings: list[float]
) -> list[float]:
    """Return :func:`inverse_space_residual` at several dampings, from one product of eigenbases.

    Parameters
    ----------
    target, found
        The spectra of T and A.
    dampings
        The λ.
    """
    inverses = [
        (
            inverse_eigenvalues(target.eigenvalues, damping),
            inverse_eigenvalues(found.eigenvalues, damping),
        )
        for damping in dampings
    ]
    totals = [0.0 for _ in dampings]
    for start in range(0, target.size, PANEL):
        some = slice(start, start + PANEL)
        shares = (target.eigenvectors[:, some].T @ found.eigenvectors).square_()  # [p, P]
        for place, (own, other) in enumerate(inverses):
            if own is not None and other is not None:
                apart = (own[some, None] - other[None]).square_()  # [p, P]
                totals[place] += float(apart.mul_(shares).sum())
    return [
        float("nan") if own is None or other is None else total**0.5 / float(own.norm())
        for total, (own, other) in zip(totals, inverses, strict=True)
    ]


def inverse_eigenvalues(eigenvalues: torch.Tensor, damping: float) -> torch.Tensor | None:
    """Return ``1/(w + λ)``, ``[P]``; None where one of them is zero to working precision."""
    damped = eigenvalues + damping  # [P]
    if float(damped.abs().min()) <= rounding(damped):
        return None
    return 1 / damped


def rounding(eigenvalues: torch.Tensor) -> float:
    """Return what eigenvalues ``[P]`` are uncertain by: P units of rounding of the largest."""
    unit = torch.finfo(torch.float64).eps
    return len(eigenvalues) * unit * float(eigenvalues.abs().max())


def off_block_energy_ratio(matrix: Any, blocks: Blocks) -> float:
    """Return ``‖M − blockdiag(M)‖_F / ‖M‖_F``, not squared: 0 for a block-diagonal matrix.

    Square it to speak of energy: :func:`off_block_energy_share`.

    Parameters
    ----------
    matrix
        M, ``[P, P]``.
    blocks
        Where its diagonal blocks lie, by name; together they have each row once. Consecutive ones:
        :func:`~hessinf.evaluation.curvature_spectrum.blocks_of_sizes`.

    Returns
    -------
    float
        NaN where M is zero.
    """
    tensor = as_matrix("the matrix", matrix)
    _require_partition(len(tensor), blocks)
    norm = float(tensor.norm())
    return outside_norm(tensor, blocks) / norm if norm > 0 else float("nan")


def off_block_energy_share(matrix: Any, blocks: Blocks) -> float:
    """Return ``‖M − blockdiag(M)‖_F² / ‖M‖_F²``: the share of the energy between blocks.

    Parameters
    ----------
    matrix, blocks
        As for :func:`off_block_energy_ratio`, which it is the square of.
    """
    return off_block_energy_ratio(matrix, blocks) ** 2


def _require_partition(size: int, blocks: Blocks) -> None:
    counts = torch.zeros(size, dtype=torch.int64)  # [P]
    for places in blocks.values():
        counts[places] += 1
    wrong = int((counts != 1).sum())
    if wrong:
        raise EvaluationError(
            f"{wrong} of {size} rows are in no block or in several; the blocks of a matrix have "
            "each row once"
        )


def eigenvalue_overlap(reference: Any, approximation: Any, k: int | None = None) -> float:
    """Return ``1 − ‖sort(a) − sort(t)‖₂ / ‖t‖₂`` of the eigenvalues t of T and a of A.

    Parameters
    ----------
    reference, approximation
        T and A, ``[P, P]``, or their spectra.
    k
        Only the k eigenvalues of largest magnitude of each; all when None.

    Returns
    -------
    float
        1 for the same eigenvalues, below 0 where they are further apart than t from zero; NaN where
        t is zero.
    """
    return eigenvalue_overlap_of(
        spectrum_of("the reference", reference).eigenvalues,
        spectrum_of("the approximation", approximation).eigenvalues,
        k,
    )


def eigenvalue_overlap_of(target: torch.Tensor, found: torch.Tensor, k: int | None = None) -> float:
    """Return :func:`eigenvalue_overlap` from eigenvalues ``[P]``."""
    require_same_size(len(target), len(found))
    own, other = (_largest(values, k).sort().values for values in (target, found))  # [k]
    norm = float(own.norm())
    return 1 - float((other - own).norm()) / norm if norm > 0 else float("nan")


def _largest(eigenvalues: torch.Tensor, k: int | None) -> torch.Tensor:
    if k is None:
        return eigenvalues
    return eigenvalues[eigenvalues.abs().argsort(descending=True, stable=True)[:k]]


def eigenbasis_overlap(reference: Any, approximation: Any, k: int) -> float:
    """Return ``‖V_kᵀ U_k‖_F² / k`` of the k eigenvectors of largest ``|w|`` of T and of A.

    Parameters
    ----------
    reference, approximation
        T and A, ``[P, P]``, or their spectra.
    k
        How many, at least 1; more than P are P.

    Returns
    -------
    float
        Between ``max(0, 2k − P)/k`` and 1, which it is for the same subspaces. Random ones give
        :func:`random_subspace_overlap`; with k ≥ P it is 1 whatever A is. Where the k-th and the
        next eigenvalue have the same magnitude, the subspace is not unique.
    """
    _require_count(k)
    target = spectrum_of("the reference", reference).largest(k).eigenvectors  # [P, k]
    found = spectrum_of("the approximation", approximation).largest(k).eigenvectors  # [P, k]
    require_same_size(len(target), len(found))
    return float((target.T @ found).square().sum()) / target.shape[1]


def random_subspace_overlap(k: int, size: int) -> float:
    """Return what :func:`eigenbasis_overlap` is in expectation for a random subspace: ``k / P``.

    Parameters
    ----------
    k, size
        k and P. 1 where k ≥ P: the overlap then says nothing.
    """
    _require_count(k)
    return min(k / size, 1.0)


def _require_count(k: int) -> None:
    if k < 1:
        raise EvaluationError(f"k is {k}, expected at least 1 eigenvector")
