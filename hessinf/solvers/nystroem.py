"""A randomised low rank of a positive semidefinite operator, from one block of products.

``C ≈ (CΩ)(ΩᵀCΩ)⁻¹(CΩ)ᵀ`` for random Ω, stabilised by a small shift (Tropp, Yurtsever, Udell &
Cevher 2017, algorithm 3; Frangella, Tropp & Udell, Randomized Nyström Preconditioning, SIAM J.
Matrix Anal. Appl. 2023, algorithm 2.1). The approximation never exceeds C.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.errors import NegativeCurvatureError, SolverError
from hessinf.solvers.low_rank import LowRank

if TYPE_CHECKING:
    import torch

    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")

NEGATIVE = 1000
"""Eigenvalues below zero by more than this many units of rounding of the largest are negative."""

SHIFTS_TRIED = 8
"""A shift too small for the Cholesky factor to exist is multiplied by ten, so many times."""


def nystroem(
    product: Product,
    size: int,
    *,
    rank: int,
    oversampling: int,
    vectors_at_once: int,
    generator: torch.Generator,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    on_step: Callable[[int], None] = lambda _: None,
) -> LowRank:
    """Approximate a positive semidefinite matrix by a low rank.

    Parameters
    ----------
    product
        Multiplies row vectors with C.
    size
        P, the number of rows of C.
    rank
        How many eigenpairs to keep, at most P.
    oversampling
        How many random vectors more than that: the eigenpairs kept come nearer to those of C.
    vectors_at_once
        How many are multiplied together.
    generator
        Draws them, on the CPU.
    dtype, device
        Of the vectors; float64 when left out.
    on_step
        Called after each product with the number of vectors.

    Raises
    ------
    NegativeCurvatureError
        When C is not positive semidefinite on the random vectors.
    SolverError
        When a product is not finite.
    """
    dtype = dtype or torch.float64
    count = min(rank + oversampling, size)  # S
    drawn = torch.randn(count, size, generator=generator, dtype=torch.float64)  # [S, P]
    test = torch.linalg.qr(drawn.to(device, dtype).T)[0].T.contiguous()  # [S, P]
    images = torch.empty_like(test)  # [S, P]
    for start in range(0, count, vectors_at_once):
        part = slice(start, start + vectors_at_once)
        images[part] = product(test[part])
        on_step(len(test[part]))
    if not bool(images.isfinite().all()):
        raise SolverError(
            "Nyström: a product with the curvature is not finite; likely causes: NaN or huge "
            "values in the training data, or a model whose training diverged"
        )
    core = (test @ images.T).double()  # [S, S]
    core = (core + core.T) / 2
    values, vectors = torch.linalg.eigh(core)  # [S], [S, S]
    smallest = float(values[0])
    if smallest < -NEGATIVE * torch.finfo(dtype).eps * float(values.abs().max()):
        raise NegativeCurvatureError(
            "the curvature is not positive semidefinite: on the random vectors of the Nyström "
            f"approximation it has eigenvalues down to {smallest:.3g}",
            smallest,
        )
    if count == size:  # the test vectors span everything: these are the eigenvalues themselves
        values, vectors = values.flip(0)[:rank], vectors.flip(1)[:, :rank]
        return LowRank(values.clamp(min=0.0), (vectors.T.to(dtype) @ test).contiguous())
    return _shifted(test, images, core, rank)


def _shifted(test: torch.Tensor, images: torch.Tensor, core: torch.Tensor, rank: int) -> LowRank:
    """Approximate ``C + νI``, whose factor exists, and take ν away from its eigenvalues."""
    size = test.shape[1]
    shift = size**0.5 * torch.finfo(test.dtype).eps * float(images.norm())
    if shift == 0:  # C is zero on all test vectors
        return LowRank(core.diagonal()[:rank], test[:rank])
    for _ in range(SHIFTS_TRIED):
        shifted = core + shift * torch.eye(len(core), dtype=core.dtype, device=core.device)
        factor, info = torch.linalg.cholesky_ex(shifted)  # [S, S]
        if int(info) == 0:
            break
        shift *= 10
    else:
        raise SolverError(
            "Nyström: the curvature on the random vectors has no Cholesky factor, even with a "
            f"shift of {shift / 10:.3g}; use float64, or a smaller rank"
        )
    rows = torch.linalg.solve_triangular(
        factor, images.to(core.dtype) + shift * test, upper=False
    )  # [S, P]
    columns, triangle = torch.linalg.qr(rows.T)  # [P, S], [S, S]
    left, values, _ = torch.linalg.svd(triangle)  # [S, S], [S]
    eigenvalues = (values[:rank].square() - shift).clamp(min=0.0)  # [R]
    vectors = left[:, :rank].T @ columns.T  # [R, P]
    return LowRank(eigenvalues, vectors.to(test.dtype).contiguous())
