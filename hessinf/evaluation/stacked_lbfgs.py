"""L-BFGS for many objectives at once, each in the metric of a Hessian that is known well enough.

Every model has its own history and its own step length, and leaves when its gradient is small. The
inverse that the two-loop recursion starts from is not a multiple of the identity but a Hessian's,
so that a few iterations are enough where objectives differ little from the one it belongs to.

References
----------
Nocedal & Wright, Numerical Optimization, 2006, algorithm 7.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from hessinf.evaluation.stacked_objective import StackedObjective

HISTORY = 12
"""Pairs of steps and gradient differences that are remembered."""

SUFFICIENT_DECREASE = 1e-4
"""The share of what the tangent promises that a step must keep (Armijo)."""

ROUNDING = 1e-10
"""Differences of objectives below this share may be rounding: the gradient's norm then decides."""

SMALLEST_STEP = 2.0**-30


@dataclass(frozen=True, eq=False)
class Minima:
    """Where a minimisation ended.

    Parameters
    ----------
    thetas
        ``[K, P]``.
    gradient_norms
        2-norms of each one's own gradient there, ``[K]``.
    evaluations
        How often each objective was evaluated, ``[K]``.
    """

    thetas: torch.Tensor
    gradient_norms: torch.Tensor
    evaluations: torch.Tensor


def minimize(
    objective: StackedObjective,
    thetas: torch.Tensor,
    solve: Callable[[torch.Tensor], torch.Tensor],
    *,
    tolerance: float,
    evaluations: int,
) -> Minima:
    """Minimise every objective from where its model stands.

    Parameters
    ----------
    objective
        K objectives.
    thetas
        Where to begin, ``[K, P]``.
    solve
        Applies the inverse of a positive definite metric to rows ``[A, P]``.
    tolerance
        The 2-norm of the gradient at which a model is finished.
    evaluations
        How often an objective may be evaluated.

    Returns
    -------
    Minima
        Those that did not get there stand where the budget or the line search left them.
    """
    count = len(thetas)
    members = torch.arange(count, device=thetas.device)  # [A] of K, fewer and fewer
    result = Minima(thetas.clone(), thetas.new_zeros(count), torch.ones_like(members))
    value, gradient = objective.evaluate(members, thetas)
    state = _State(thetas.clone(), value, gradient, solve)
    for _ in range(evaluations):
        norms = state.gradient.norm(dim=1)  # [A]
        result.thetas[members] = state.theta
        result.gradient_norms[members] = norms
        active = (norms > tolerance) & (state.length >= SMALLEST_STEP)  # [A]
        if not bool(active.any()):
            break
        if not bool(active.all()):
            members = members[active]
            state.keep(active)
        state.step(*objective.evaluate(members, state.candidate()))
        result.evaluations[members] += 1
    else:
        result.thetas[members] = state.theta
        result.gradient_norms[members] = state.gradient.norm(dim=1)
    return result


class _State:
    """Where A models stand, the way each goes, and what each remembers."""

    def __init__(
        self,
        theta: torch.Tensor,
        value: torch.Tensor,
        gradient: torch.Tensor,
        solve: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        self.theta, self.value, self.gradient = theta, value, gradient  # [A, P], [A], [A, P]
        self.solve = solve
        self.steps: list[torch.Tensor] = []  # [A, P] each
        self.differences: list[torch.Tensor] = []  # [A, P] each
        self.inverses: list[torch.Tensor] = []  # 1 / (sᵀy), [A] each; 0 where there is no pair
        self.length = torch.ones_like(value)  # [A]
        self.direction = -solve(gradient)  # [A, P]

    def keep(self, active: torch.Tensor) -> None:
        """Leave the models out that are finished."""
        self.theta, self.value = self.theta[active], self.value[active]
        self.gradient, self.direction = self.gradient[active], self.direction[active]
        self.length = self.length[active]
        for remembered in (self.steps, self.differences, self.inverses):
            remembered[:] = [one[active] for one in remembered]

    def candidate(self) -> torch.Tensor:
        """Return what is tried next, ``[A, P]``."""
        return self.theta + self.length[:, None] * self.direction

    def step(self, value: torch.Tensor, gradient: torch.Tensor) -> None:
        """Go to the candidates that are good enough, and halve the steps to the others."""
        slope = (self.gradient * self.direction).sum(dim=1)  # [A]
        enough = value <= self.value + SUFFICIENT_DECREASE * self.length * slope
        rounded = value <= self.value + ROUNDING * (1 + self.value.abs())
        nearer = gradient.norm(dim=1) < self.gradient.norm(dim=1)
        taken = enough | (rounded & nearer)  # [A]; never where the value is not a number
        self._remember(taken, gradient)
        moved = self.candidate()
        self.theta = torch.where(taken[:, None], moved, self.theta)
        self.value = torch.where(taken, value, self.value)
        self.gradient = torch.where(taken[:, None], gradient, self.gradient)
        direction = -self._apply_inverse(self.gradient)
        downhill = (direction * self.gradient).sum(dim=1) < 0  # [A]
        if not bool(downhill.all()):
            direction = torch.where(downhill[:, None], direction, -self.solve(self.gradient))
        self.direction = torch.where(taken[:, None], direction, self.direction)
        self.length = torch.where(taken, 1.0, self.length / 2)

    def _remember(self, taken: torch.Tensor, gradient: torch.Tensor) -> None:
        if not bool(taken.any()):
            return
        step = self.length[:, None] * self.direction  # [A, P]
        difference = torch.where(taken[:, None], gradient - self.gradient, 0.0)  # [A, P]
        product = (step * difference).sum(dim=1)  # [A]
        least = torch.finfo(step.dtype).eps * step.norm(dim=1) * difference.norm(dim=1)
        self.steps.append(step)
        self.differences.append(difference)
        self.inverses.append(torch.where(product > least, 1 / product, 0.0))
        for remembered in (self.steps, self.differences, self.inverses):
            del remembered[:-HISTORY]

    def _apply_inverse(self, vectors: torch.Tensor) -> torch.Tensor:
        """Apply the two-loop recursion to ``[A, P]``."""
        pairs = list(zip(self.steps, self.differences, self.inverses, strict=True))
        factors = []
        for step, difference, inverse in reversed(pairs):
            factor = inverse * (step * vectors).sum(dim=1)  # [A]
            vectors = vectors - factor[:, None] * difference
            factors.append(factor)
        vectors = self.solve(vectors)
        for (step, difference, inverse), factor in zip(pairs, reversed(factors), strict=True):
            back = factor - inverse * (difference * vectors).sum(dim=1)  # [A]
            vectors = vectors + back[:, None] * step
        return vectors
