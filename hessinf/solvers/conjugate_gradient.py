"""Conjugate gradients for many right-hand sides at once, each with its own recursion.

One product an iteration serves all that are still active (Hestenes & Stiefel 1952, with a
preconditioner as in Saad, Iterative Methods for Sparse Linear Systems, 2003, algorithm 9.1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.errors import SolverError
from hessinf.solvers.iterative_refinement import FLAT, Run, Solution, refine

if TYPE_CHECKING:
    import torch

    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")


def conjugate_gradient(
    product: Product,
    vectors: torch.Tensor,
    *,
    tolerance: float,
    steps: int,
    precondition: Product | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> Solution:
    """Solve ``A x = b`` for symmetric A, each right-hand side by its own conjugate gradients.

    Where A has no positive curvature, a right-hand side stops at the direction that shows it, with
    the solution of the smallest residual before; it is marked.

    Parameters
    ----------
    product
        Multiplies row vectors with A.
    vectors
        The right-hand sides b, ``[K, P]``.
    tolerance
        The relative residual ``‖A x − b‖ / ‖b‖`` to reach.
    steps
        At most this many steps for each right-hand side.
    precondition
        Multiplies row vectors with an approximation of ``A⁻¹``, symmetric and positive.
    on_step
        Called after each step.

    Returns
    -------
    Solution
        With the residuals of the solutions themselves.

    Raises
    ------
    SolverError
        When a product is not finite, or the preconditioner is not positive.
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
    solutions = run.solutions.clone()  # [A, P]
    residuals = vectors.clone()  # [A, P]
    best, least = solutions.clone(), residuals.norm(dim=1)  # [A, P], [A]: of the smallest residual
    images = precondition(residuals)  # z = M⁻¹ r, [A, P]
    directions = images.clone()  # p, [A, P]
    products = _inner(residuals, images)  # ⟨r, z⟩, [A]
    while len(rows):
        _require_positive(products, residuals)
        curved = product(directions)  # A p, [A, P]
        sizes = _inner(directions, directions)  # [A]
        curvatures = _inner(directions, curved)  # [A]
        if not bool(curvatures.isfinite().all()):
            raise SolverError(
                "conjugate gradients: a product with the curvature is not finite after "
                f"{int(run.steps.max())} steps"
            )
        quotients = curvatures / torch.where(sizes > 0, sizes, 1.0)  # [A]
        run.largest[rows] = torch.maximum(run.largest[rows], quotients.abs())
        run.smallest[rows] = torch.minimum(run.smallest[rows], quotients)
        good = quotients > flat * run.largest[rows]  # [A]
        run.blocked[rows] = ~good
        lengths = torch.where(good, products / torch.where(good, curvatures, 1.0), 0.0)  # [A]
        # In place: for large P, what is copied takes time and memory.
        solutions.addcmul_(directions, lengths.to(dtype)[:, None])
        residuals.addcmul_(curved, lengths.to(dtype)[:, None], value=-1)
        norms = residuals.norm(dim=1)  # [A]
        better = norms < least  # [A]
        torch.where(better[:, None], solutions, best, out=best)
        least = torch.minimum(norms, least)
        run.steps[rows] += 1
        on_step()
        going = good & (norms > target) & (run.steps[rows] < limits)  # [A]
        if not bool(going.all()):
            done = ~going  # [A]
            run.solutions[rows[done]] = torch.where(good[done, None], solutions[done], best[done])
            rows, solutions, residuals = rows[going], solutions[going], residuals[going]
            directions, products, limits = directions[going], products[going], limits[going]
            best, least = best[going], least[going]
            if not len(rows):
                break
        images = precondition(residuals)  # [A, P]
        before, products = products, _inner(residuals, images)  # [A]
        directions.mul_((products / before).to(dtype)[:, None]).add_(images)
    return run


def _inner(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the inner products of rows, ``[A]``, added up in float64."""
    return (left * right).sum(dim=1, dtype=torch.float64)


def _require_positive(products: torch.Tensor, residuals: torch.Tensor) -> None:
    """Refuse a preconditioner by which some ``rᵀ M⁻¹ r`` is not positive."""
    wrong = ~(products > 0) & (_inner(residuals, residuals) > 0)  # [A]; NaN too
    if bool(wrong.any()):
        value = float(products[wrong][0])
        raise SolverError(
            f"the preconditioner is not positive: rᵀ M⁻¹ r is {value:.3g} for a residual r"
        )
