"""Block conjugate gradients: all right-hand sides search in the space that all of them span.

O'Leary (1980) shares the search directions of a block, which takes fewer iterations; it breaks down
when directions become dependent. Ji & Li (A breakdown-free block conjugate gradient method, BIT
2017) keep an orthonormal basis of what is independent among them, so that repeated right-hand sides
do no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.errors import SolverError
from hessinf.solvers.iterative_refinement import FLAT, Run, Solution, refine
from hessinf.solvers.orthonormal_rows import orthonormal_rows

if TYPE_CHECKING:
    import torch

    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")


def block_conjugate_gradient(
    product: Product,
    vectors: torch.Tensor,
    *,
    tolerance: float,
    steps: int,
    precondition: Product | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> Solution:
    """Solve ``A x = b`` for symmetric A, all right-hand sides by one block recursion.

    Where A has no positive curvature, all right-hand sides that are still active stop where it
    shows, each with its solution of the smallest residual before, and are marked.

    Parameters
    ----------
    product, vectors, tolerance, steps, precondition, on_step
        As for :func:`hessinf.solvers.conjugate_gradient.conjugate_gradient`. A step is a product
        with at most K vectors.

    Returns
    -------
    Solution
        With the residuals of the solutions themselves.

    Raises
    ------
    SolverError
        When a product is not finite.
    """
    recursion = partial(_run, product, precondition or (lambda rows: rows), on_step)
    return refine(recursion, product, vectors, tolerance=tolerance, steps=steps)


def _run(
    product: Product,
    precondition: Product,
    on_step: Callable[[], None],
    vectors: torch.Tensor,
    limits: torch.Tensor,
    target: float,
) -> Run:
    dtype = vectors.dtype
    flat = FLAT * torch.finfo(dtype).eps
    run = Run.started(vectors)
    rows = torch.arange(len(vectors), device=vectors.device)  # [A], those still active
    residuals = vectors.clone()  # [A, P]
    best, least = run.solutions.clone(), residuals.norm(dim=1)  # [K, P], [A]
    directions = orthonormal_rows(precondition(residuals))  # [D, P], D ≤ A
    while len(rows) and len(directions):
        curved = product(directions)  # [D, P]
        core = (directions @ curved.T).double()  # [D, D]
        if not bool(core.isfinite().all()):
            raise SolverError(
                "block conjugate gradients: a product with the curvature is not finite after "
                f"{int(run.steps.max())} steps"
            )
        quotients, basis = torch.linalg.eigh((core + core.T) / 2)  # [D], [D, D]
        run.largest[rows] = run.largest[rows].clamp(min=float(quotients.abs().max()))
        run.smallest[rows] = run.smallest[rows].clamp(max=float(quotients.min()))
        run.steps[rows] += 1
        on_step()
        if not bool((quotients > flat * run.largest.max()).all()):
            run.blocked[rows] = True
            run.solutions[rows] = best[rows]
            break
        inverse = ((basis / quotients) @ basis.T).to(dtype)  # [D, D]
        lengths = (residuals @ directions.T) @ inverse  # [A, D]
        if len(rows) == len(vectors):  # in place: for large P, what is copied takes time and memory
            run.solutions.addmm_(lengths, directions)
        else:
            run.solutions.index_add_(0, rows, lengths @ directions)
        residuals.addmm_(lengths, curved, alpha=-1)
        norms = residuals.norm(dim=1)  # [A]
        better = norms < least  # [A]
        best[rows[better]] = run.solutions[rows[better]]
        going = (norms > target) & (run.steps[rows] < limits)  # [A]
        if not bool(going.all()):
            rows, residuals, limits = rows[going], residuals[going], limits[going]
        least = torch.minimum(norms, least)[going]
        if not len(rows):
            break
        images = precondition(residuals)  # [A, P]
        shares = (images @ curved.T) @ inverse  # [A, D]
        directions = orthonormal_rows(torch.addmm(images, shares, directions, alpha=-1))
    return run
