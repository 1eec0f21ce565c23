"""Parameters of test problems: drawn from their own generator, then brought to an optimum."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from hessinf.testing.problem import Columns, Problem, outputs_of


def normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Draw normal numbers in float64."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def draw_parameters(module: nn.Module, generator: torch.Generator) -> None:
    """Give a module parameters and running statistics that no default value hides.

    Matrices are normal with variance 1 / inputs, biases are small, scales of normalizations are
    near 1, and running means and variances are those of no data.
    """
    module.double()
    with torch.no_grad():
        for part in module.modules():
            scaled = isinstance(part, (nn.LayerNorm, nn.BatchNorm2d))
            for name, value in part.named_parameters(recurse=False):
                drawn = normal(generator, *value.shape)
                if value.dim() > 1:
                    inputs = 1 if isinstance(part, nn.Embedding) else value[0].numel()
                    value.copy_(drawn / inputs**0.5)
                else:
                    value.copy_(0.1 * drawn + (1 if scaled and name == "weight" else 0))
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None
                assert part.running_var is not None
                width = part.num_features
                part.running_mean.copy_(0.3 * normal(generator, width))
                part.running_var.copy_(1 + torch.rand(width, generator=generator).double())


def minimize(
    module: nn.Module,
    problem_losses: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    data: Columns,
    weight_decay: float,
    steps: int = 25,
) -> None:
    """Train a module in place, in evaluation mode, with L-BFGS on all examples.

    Parameters
    ----------
    module
        Parameters that require no gradient stay as they are.
    problem_losses
        The loss of every example, ``[B]``.
    data
        The training data.
    weight_decay
        The coefficient of ``½·wd·‖θ‖²``.
    steps
        How many times at most 20 iterations are run.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    trained = [value for value in module.parameters() if value.requires_grad]
    optimizer = torch.optim.LBFGS(
        trained, tolerance_grad=1e-12, tolerance_change=0.0, line_search_fn="strong_wolfe"
    )
    inputs, targets = data

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        penalty = sum((value.square().sum() for value in trained), torch.zeros(()))
        losses = problem_losses(outputs_of(module, inputs), targets)  # [N]
        loss = losses.mean() + 0.5 * weight_decay * penalty
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for _ in range(steps):
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    for value in trained:
        value.grad = None
    for part, training in modes:
        part.training = training


def at_optimum(problem: Problem) -> Problem:
    """Train a problem's model on its training data."""
    minimize(problem.trained, problem.losses, problem.train, problem.weight_decay)
    return problem
