"""Small problems in float64, whose derivatives can be written down in full.

Losses and their second derivatives in the outputs are stated here anew, so that nothing of what is
tested takes part in what it is compared with.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

Columns = tuple[torch.Tensor, torch.Tensor]
"""Inputs ``[N, F]`` and targets ``[N]`` or ``[N, T]``."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A trained model with its data.

    Parameters
    ----------
    name
        How failures call it.
    trained
        The model at its optimum, or near one; see :meth:`module`.
    train
        The training data.
    queries
        The test data.
    objective
        The registered name of the training loss.
    weight_decay
        The coefficient of ``½·wd·‖θ‖²`` that was trained with.
    losses
        From outputs ``[B, C]`` and targets to the loss of every example, ``[B]``.
    output_hessians
        From outputs ``[B, C]`` to the second derivatives of each example's loss in its outputs,
        ``[B, C, C]``.
    """

    name: str
    trained: nn.Module
    train: Columns
    queries: Columns
    objective: str
    weight_decay: float
    losses: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    output_hessians: Callable[[torch.Tensor], torch.Tensor]

    def module(self) -> nn.Module:
        """Copy the model. It is in training mode, as a caller may well leave it."""
        return copy.deepcopy(self.trained)

    @property
    def num_train(self) -> int:
        """N."""
        return len(self.train[1])

    def mean_loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of a batch, without weight decay."""
        return self.losses(outputs, targets).mean()


def _cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs, targets, reduction="none")  # [B]


def _cross_entropy_hessians(outputs: torch.Tensor) -> torch.Tensor:
    shares = outputs.softmax(dim=1)  # [B, C]
    return torch.diag_embed(shares) - shares[:, :, None] * shares[:, None, :]  # [B, C, C]


def _mean_squares(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(outputs, targets, reduction="none").mean(dim=1)  # [B]


def _mean_squares_hessians(outputs: torch.Tensor) -> torch.Tensor:
    count, width = outputs.shape
    eye = torch.eye(width, dtype=outputs.dtype)  # [T, T]
    return (2 / width * eye).expand(count, width, width)  # [B, T, T]


def _normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _linear(features: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Make a layer without touching PyTorch's own random numbers."""
    layer: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, features, outputs, dtype=torch.float64
    )
    with torch.no_grad():
        layer.weight.copy_(_normal(generator, outputs, features) / features**0.5)
        layer.bias.copy_(0.1 * _normal(generator, outputs))
    return layer


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
        loss = problem_losses(module(inputs), targets).mean() + 0.5 * weight_decay * penalty
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for _ in range(steps):
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    for value in trained:
        value.grad = None
    for part, training in modes:
        part.training = training


def _trained(problem: Problem) -> Problem:
    minimize(problem.trained, problem.losses, problem.train, problem.weight_decay)
    return problem


@functools.cache
def logistic_regression() -> Problem:
    """Make a softmax regression of 3 classes: strictly convex. N = 41, Q = 6, P = 12."""
    generator = torch.Generator().manual_seed(1)
    centers = _normal(generator, 3, 3)  # [C, F]

    def draw(count: int) -> Columns:
        labels = torch.randint(3, (count,), generator=generator)  # [n]
        return centers[labels] + _normal(generator, count, 3), labels

    return _trained(
        Problem(
            name="logistic regression",
            trained=nn.Sequential(_linear(3, 3, generator)),
            train=draw(41),
            queries=draw(6),
            objective="cross-entropy",
            weight_decay=0.2,
            losses=_cross_entropy,
            output_hessians=_cross_entropy_hessians,
        )
    )


@functools.cache
def ridge_regression() -> Problem:
    """Make a ridge regression of 2 values: strictly convex, quadratic. N = 120, Q = 14 > P = 8."""
    generator = torch.Generator().manual_seed(2)
    slopes = _normal(generator, 3, 2)  # [F, T]

    def draw(count: int) -> Columns:
        inputs = _normal(generator, count, 3)  # [n, F]
        return inputs, inputs @ slopes + 0.5 * _normal(generator, count, 2)

    return _trained(
        Problem(
            name="ridge regression",
            trained=nn.Sequential(_linear(3, 2, generator)),
            train=draw(120),
            queries=draw(14),
            objective="mean-squared-error",
            weight_decay=0.4,
            losses=_mean_squares,
            output_hessians=_mean_squares_hessians,
        )
    )


@functools.cache
def multilayer_perceptron() -> Problem:
    """Make a network with parts that training mode would spoil, and a bias that takes no part.

    N = 37, Q = 5. The second layer's bias has ``requires_grad=False``; batch normalization has
    statistics of its own and no parameters; one submodule is in evaluation mode, the others not.
    """
    generator = torch.Generator().manual_seed(3)
    normalization = nn.BatchNorm1d(5, affine=False, dtype=torch.float64)
    assert normalization.running_mean is not None
    assert normalization.running_var is not None
    normalization.running_mean.copy_(0.3 * _normal(generator, 5))
    normalization.running_var.copy_(1 + torch.rand(5, generator=generator, dtype=torch.float64))
    module = nn.Sequential(
        _linear(4, 5, generator),
        normalization,
        nn.Tanh(),
        nn.Dropout(0.5),
        _linear(5, 3, generator),
    )
    module[4].bias.requires_grad_(False)
    module.train()
    module[2].eval()
    teacher = _normal(generator, 4, 3)  # [F, C]

    def draw(count: int) -> Columns:
        inputs = _normal(generator, count, 4)  # [n, F]
        noisy = inputs.sin() @ teacher + 0.5 * _normal(generator, count, 3)  # [n, C]
        return inputs, noisy.argmax(dim=1)

    return _trained(
        Problem(
            name="multilayer perceptron",
            trained=module,
            train=draw(37),
            queries=draw(5),
            objective="cross-entropy",
            weight_decay=0.1,
            losses=_cross_entropy,
            output_hessians=_cross_entropy_hessians,
        )
    )


PROBLEMS: Sequence[Callable[[], Problem]] = (
    logistic_regression,
    ridge_regression,
    multilayer_perceptron,
)
"""All of them; each is made at its first use."""
