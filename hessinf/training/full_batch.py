"""Training on all examples at once, towards an optimum."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from hessinf.runtime import progress
from hessinf.training.errors import TrainingError
from hessinf.training.newton import newton_step
from hessinf.training.objective_function import Evaluation, FullObjective
from hessinf.training.record import StoppedBecause


def minimize(
    function: FullObjective,
    optimizer: torch.optim.Optimizer,
    *,
    iterations: int,
    gradient_tolerance: float | None,
    shown: progress.Bar,
) -> tuple[int, StoppedBecause]:
    """Minimize an objective with L-BFGS, in place.

    A step of the optimizer makes several iterations. Where one leaves the parameters as they are,
    differences of the objective are lost in rounding; if a tolerance was asked for, Newton steps
    go on.

    Parameters
    ----------
    function
        The objective.
    optimizer
        An optimizer whose ``step`` takes a closure and whose groups have a ``max_iter``.
    iterations
        How many iterations there may be.
    gradient_tolerance
        The 2-norm of the gradient at which to stop, or None.
    shown
        The bar that counts iterations.

    Returns
    -------
    tuple of int and str
        How many iterations were made, and why they ended.

    Raises
    ------
    TrainingError
        When the objective is not finite.
    """
    tolerance = -1.0 if gradient_tolerance is None else gradient_tolerance
    largest_step = optimizer.param_groups[0]["max_iter"]

    def closure() -> float:
        evaluation = function.evaluate()
        for parameter, gradient in zip(function.parameters, evaluation.gradient, strict=True):
            parameter.grad = gradient.to(parameter.dtype)
        return evaluation.objective

    done = 0

    def show(evaluation: Evaluation, made: int) -> None:
        shown.set(
            objective=f"{evaluation.objective:.6g}", gradient=f"{evaluation.gradient_norm:.1e}"
        )
        shown.update(made)

    evaluation = _checked(function.evaluate(), done)
    while done < iterations:
        if evaluation.gradient_norm <= tolerance:
            return done, "gradient-tolerance"
        before = [parameter.detach().clone() for parameter in function.parameters]
        optimizer.param_groups[0]["max_iter"] = min(largest_step, iterations - done)
        made_before = _iterations_made(optimizer)
        optimizer.step(closure)
        made = max(_iterations_made(optimizer) - made_before, 1)
        if _same(before, function.parameters):
            break
        done += made
        evaluation = _checked(function.evaluate(), done)
        show(evaluation, made)
    else:
        return done, "gradient-tolerance" if evaluation.gradient_norm <= tolerance else "epochs"

    # Fused attention has no second derivative; the plain one has.
    with sdpa_kernel(SDPBackend.MATH):
        while gradient_tolerance is not None and done < iterations:
            after = newton_step(function, evaluation)
            if after is None:
                break
            evaluation = after
            done += 1
            show(evaluation, 1)
            if evaluation.gradient_norm <= tolerance:
                return done, "gradient-tolerance"
    return done, "stalled"


def _iterations_made(optimizer: torch.optim.Optimizer) -> int:
    """Return how many iterations L-BFGS counts so far."""
    first = optimizer.param_groups[0]["params"][0]
    return int(optimizer.state[first].get("n_iter", 0))


def _same(before: Sequence[torch.Tensor], after: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(a, b.detach()) for a, b in zip(before, after, strict=True))


def _checked(evaluation: Evaluation, iteration: int) -> Evaluation:
    if math.isfinite(evaluation.objective) and math.isfinite(evaluation.gradient_norm):
        return evaluation
    cause = (
        "with the initial weights: inputs or targets are very large or not finite, try a reader "
        "that standardizes them"
        if iteration == 0
        else "the objective may have no minimum, try weight_decay above 0"
    )
    raise TrainingError(
        f"training diverged: after iteration {iteration} the objective is "
        f"{evaluation.objective:g} and its gradient's norm {evaluation.gradient_norm:g}; {cause}"
    )
