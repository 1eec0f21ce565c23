"""Newton steps for the last digits, where a line search sees only rounding."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hessinf.training.objective_function import Evaluation, FullObjective, dot, norm

RELATIVE_RESIDUAL = 1e-3
"""How exactly a step is solved for: every step then makes the gradient about as much smaller."""

SOLVER_ITERATIONS = 300


def newton_step(function: FullObjective, evaluation: Evaluation) -> Evaluation | None:
    """Take one Newton step, if it makes the gradient smaller.

    The step solves ``H d = -∇`` by conjugate gradients, and is judged by the gradient's norm:
    near a minimum, differences of the objective are lost in rounding long before that.

    Parameters
    ----------
    function
        The objective; its parameters are changed in place.
    evaluation
        Its value at the present parameters.

    Returns
    -------
    Evaluation or None
        The objective after the step; None where the parameters stayed, because the gradient
        would not become smaller, or the Hessian is not positive there.
    """
    direction = _solve(function, evaluation.gradient)
    if direction is None:
        return None
    before = [parameter.detach().clone() for parameter in function.parameters]
    with torch.no_grad():
        for parameter, piece in zip(function.parameters, direction, strict=True):
            parameter.sub_(piece.to(parameter.dtype))
    after = function.evaluate()
    if after.gradient_norm < evaluation.gradient_norm:
        return after
    with torch.no_grad():
        for parameter, value in zip(function.parameters, before, strict=True):
            parameter.copy_(value)
    return None


def _solve(
    function: FullObjective, right_side: Sequence[torch.Tensor]
) -> list[torch.Tensor] | None:
    """Solve ``H x = right_side`` by conjugate gradients; None on negative curvature."""
    solution = [torch.zeros_like(piece) for piece in right_side]
    residual = [piece.clone() for piece in right_side]
    direction = [piece.clone() for piece in right_side]
    squared = dot(residual, residual)
    wanted = RELATIVE_RESIDUAL * norm(right_side)
    for _ in range(SOLVER_ITERATIONS):
        product = function.hessian_vector_product(direction)
        curvature = dot(direction, product)
        if not curvature > 0:
            return None
        step = squared / curvature
        solution = [x + step * d for x, d in zip(solution, direction, strict=True)]
        residual = [r - step * p for r, p in zip(residual, product, strict=True)]
        before, squared = squared, dot(residual, residual)
        if squared <= wanted**2:
            break
        direction = [r + squared / before * d for r, d in zip(residual, direction, strict=True)]
    return solution
