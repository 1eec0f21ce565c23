"""LiSSA: solving ``(C + λI) x = v`` by a stochastic recursion, for all right-hand sides at once.

    x_0 = v / s,    x_{t+1} = x_t + (v − (C_t + λI) x_t) / s

where ``C_t`` is the curvature of a mini-batch and ``s`` the scale (Agarwal, Bullins & Hazan 2017;
Koh & Liang 2017). The fixed point is the solution at damping λ itself. The mean of the second half
of the iterates (Polyak & Juditsky 1992; Rakhlin, Shamir & Sridharan 2012) has far less noise than
the last one, at the same cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.errors import DivergenceError

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

STEPS_BETWEEN_CHECKS = 20
"""How often the iterates are looked at: on a GPU, a look waits for everything before it."""

RUNAWAY_FACTOR = 1e4
"""Iterates this many times beyond the largest possible solution have run away."""


def lissa(
    vectors: torch.Tensor,
    batch_product: Callable[[Any, torch.Tensor], torch.Tensor],
    batches: Iterable[Any],
    *,
    steps: int,
    damping: float,
    scale: float,
    tail_average: bool = True,
    on_step: Callable[[], None] = lambda: None,
) -> torch.Tensor:
    """Run the recursion.

    Parameters
    ----------
    vectors
        The right-hand sides v, ``[K, P]``.
    batch_product
        Multiplies row vectors ``[K, P]`` with the curvature ``C_t`` of a batch.
    batches
        The mini-batches, one a step.
    steps
        T, how many batches are used; at least one.
    damping
        λ.
    scale
        s. The recursion converges when s exceeds half of the largest eigenvalue of every
        ``C_t + λI``, and no ``C + λI`` has a negative one.
    tail_average
        Whether the mean of the second half of the iterates is returned, or the last one.
    on_step
        Called after each step.

    Returns
    -------
    torch.Tensor
        The solutions, ``[K, P]``.

    Raises
    ------
    DivergenceError
        When the iterates run away.
    ValueError
        When there is no step, or there are fewer batches than steps.
    """
    _require_steps(steps)
    solutions = vectors / scale  # [K, P]
    mean = torch.zeros_like(solutions)  # [K, P]
    averaged = 0
    sizes = vectors.norm(dim=1)  # [K]
    bound = RUNAWAY_FACTOR * sizes / damping if damping > 0 else torch.full_like(sizes, torch.inf)
    # Whatever the damping, a solution this far from its start is no solution.
    bound = torch.minimum(bound, RUNAWAY_FACTOR**2 * sizes / scale * steps)  # [K]
    done = 0
    for step, batch in zip(range(1, steps + 1), batches, strict=False):
        products = batch_product(batch, solutions)  # [K, P]
        # x + (v − C x − λ x) / s, in place: for large P, memory is what a step waits for.
        solutions.mul_(1 - damping / scale).add_(vectors, alpha=1 / scale)
        solutions.sub_(products, alpha=1 / scale)
        if tail_average and 2 * step > steps:
            averaged += 1
            mean.lerp_(solutions, 1 / averaged)  # a running mean keeps its precision in float32
        if step % STEPS_BETWEEN_CHECKS == 0 or step == steps:
            _check(solutions, bound, step, scale)
        on_step()
        done = step
    _require_all(done, steps)
    return mean if averaged else solutions


def _check(solutions: torch.Tensor, bound: torch.Tensor, step: int, scale: float) -> None:
    norms = solutions.norm(dim=1)  # [K]
    good = norms.isfinite() & (norms <= bound)  # [K]
    if not bool(good.all()):
        raise DivergenceError(f"LiSSA ran away within {step} steps at scale {scale:.6g}")


def allennlp_recursion(
    vectors: torch.Tensor,
    batch_product: Callable[[Any, torch.Tensor], torch.Tensor],
    batches: Iterable[Any],
    *,
    steps: int,
    damping: float,
    scale: float,
    on_step: Callable[[], None] = lambda: None,
) -> torch.Tensor:
    """Run AllenNLP's recursion to the letter: ``cur ← v + (1 − damping)·cur − C_t cur / scale``.

    The result is ``cur / scale`` after the last step, which solves ``(C + damping·scale·I) x = v``
    when it converges.

    Parameters
    ----------
    vectors, batch_product, batches, steps, on_step
        As for :func:`lissa`.
    damping, scale
        As AllenNLP's ``SimpleInfluence`` takes them.

    Returns
    -------
    torch.Tensor
        ``[K, P]``.

    Raises
    ------
    DivergenceError
        When the iterates are no longer finite.
    ValueError
        When there is no step, or there are fewer batches than steps.
    """
    _require_steps(steps)
    done = 0
    current = vectors  # [K, P]
    for step, batch in zip(range(1, steps + 1), batches, strict=False):
        current = vectors + (1 - damping) * current - batch_product(batch, current) / scale
        if step % STEPS_BETWEEN_CHECKS == 0 or step == steps:
            _check(current, torch.full_like(current[:, 0], torch.inf), step, scale)
        on_step()
        done = step
    _require_all(done, steps)
    return current / scale


def _require_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"LiSSA needs at least one step, found {steps}")


def _require_all(done: int, steps: int) -> None:
    if done < steps:
        raise ValueError(f"LiSSA needs a batch for each of its {steps} steps, found {done}")
