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

    BatchProduct = Callable[[Any, torch.Tensor], torch.Tensor]
    AddProduct = Callable[[Any, torch.Tensor, torch.Tensor, float], None]
else:
    torch = lazy_import("torch")

STEPS_BETWEEN_CHECKS = 20
"""How often the iterates are looked at: on a GPU, a look waits for everything before it."""

RUNAWAY_FACTOR = 1e4
"""Iterates this many times beyond the largest possible solution have run away."""


def lissa(
    vectors: torch.Tensor,
    batch_product: BatchProduct,
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
    return lissa_in_place(
        vectors / scale,
        _adding(batch_product),
        batches,
        steps=steps,
        damping=damping,
        scale=scale,
        tail_average=tail_average,
        on_step=on_step,
    )


def allennlp_recursion(
    vectors: torch.Tensor,
    batch_product: BatchProduct,
    batches: Iterable[Any],
    *,
    steps: int,
    damping: float,
    scale: float,
    on_step: Callable[[], None] = lambda: None,
) -> torch.Tensor:
    """Run AllenNLP's recursion to the letter: ``cur ← v + (1 − damping)·cur − C_t cur / scale``.

    The result is ``cur / scale`` after the last step, which solves ``(C + damping·scale·I) x = v``
    when it converges: with ``x = cur / scale``, the recursion of :func:`lissa` at that damping.

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
    return lissa_in_place(
        vectors / scale,
        _adding(batch_product),
        batches,
        steps=steps,
        damping=damping * scale,
        scale=scale,
        tail_average=False,
        bounded=False,
        on_step=on_step,
    )


def lissa_in_place(
    shift: torch.Tensor,
    add_product: AddProduct,
    batches: Iterable[Any],
    *,
    steps: int,
    damping: float,
    scale: float,
    tail_average: bool = True,
    bounded: bool = True,
    norms: Callable[[torch.Tensor], torch.Tensor] = lambda rows: rows.norm(dim=1),
    on_step: Callable[[], None] = lambda: None,
) -> torch.Tensor:
    """Run the recursion on numbers that lie in any order: it treats them all alike.

    For large P, memory is what a step waits for: the numbers are gone through once, and once more
    by products, which add what they give where it is wanted.

    Parameters
    ----------
    shift
        The right-hand sides over the scale, ``v / s``; left as they are.
    add_product
        Of a batch, x, y and a factor: adds ``factor · C_t x`` to y.
    batches, steps, damping, scale, tail_average, on_step
        As for :func:`lissa`.
    bounded
        Whether iterates that are far from any solution have run away; those that are not finite
        have in any case.
    norms
        Gives the length of each of the K vectors, ``[K]``.

    Returns
    -------
    torch.Tensor
        The solutions, as ``shift``.

    Raises
    ------
    DivergenceError
        When the iterates run away.
    ValueError
        When there is no step, or there are fewer batches than steps.
    """
    _require_steps(steps)
    bound = _bound(norms(shift) * scale, steps, damping, scale) if bounded else None
    current, following = shift, torch.empty_like(shift)
    spare = torch.empty_like(shift)
    mean: torch.Tensor | None = None
    averaged = done = 0
    for step, batch in zip(range(1, steps + 1), batches, strict=False):
        torch.add(shift, current, alpha=1 - damping / scale, out=following)
        add_product(batch, current, following, -1 / scale)
        current, following = following, spare if step == 1 else current
        if tail_average and 2 * step > steps:
            averaged += 1
            if mean is None:
                mean = current.clone()
            else:
                mean.lerp_(current, 1 / averaged)  # it keeps its precision in float32
        if step % STEPS_BETWEEN_CHECKS == 0 or step == steps:
            _check(norms(current), bound, step, scale)
        on_step()
        done = step
    _require_all(done, steps)
    return current if mean is None else mean


def _bound(sizes: torch.Tensor, steps: int, damping: float, scale: float) -> torch.Tensor:
    """Say how long an iterate can be that has not run away, ``[K]``."""
    bound = RUNAWAY_FACTOR * sizes / damping if damping > 0 else torch.full_like(sizes, torch.inf)
    # Whatever the damping, a solution this far from its start is no solution.
    return torch.minimum(bound, RUNAWAY_FACTOR**2 * sizes / scale * steps)


def _check(norms: torch.Tensor, bound: torch.Tensor | None, step: int, scale: float) -> None:
    good = norms.isfinite()  # [K]
    if bound is not None:
        good &= norms <= bound
    if not bool(good.all()):
        raise DivergenceError(f"LiSSA ran away within {step} steps at scale {scale:.6g}")


def _adding(batch_product: BatchProduct) -> AddProduct:
    def add(batch: Any, given: torch.Tensor, into: torch.Tensor, factor: float) -> None:
        into.add_(batch_product(batch, given), alpha=factor)

    return add


def _require_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"LiSSA needs at least one step, found {steps}")


def _require_all(done: int, steps: int) -> None:
    if done < steps:
        raise ValueError(f"LiSSA needs a batch for each of its {steps} steps, found {done}")
