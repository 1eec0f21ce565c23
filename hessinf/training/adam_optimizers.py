"""Adam and its relatives in ``torch.optim``, with its names of arguments and its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from hessinf.registry import Above, AtLeast
from hessinf.training.optimizer import Optimizer, TorchOptimizer


@Optimizer.register("adam")
@dataclass
class Adam(TorchOptimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    Registered as an `Optimizer` with name "adam".

    Parameters
    ----------
    lr
        The learning rate.
    betas
        The decay rates of the two running means.
    eps
        Added to the denominator.
    amsgrad
        Whether the denominator keeps its largest value so far.
    """

    torch_name: ClassVar[str] = "Adam"
    lr: Annotated[float, AtLeast(0)] = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: Annotated[float, AtLeast(0)] = 1e-8
    amsgrad: bool = False


@Optimizer.register("adamw")
@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay, which is no part of the objective.

    Registered as an `Optimizer` with name "adamw".

    Parameters
    ----------
    lr
        The learning rate.
    betas
        The decay rates of the two running means.
    eps
        Added to the denominator.
    amsgrad
        Whether the denominator keeps its largest value so far.
    weight_decay
        The decoupled decay: parameters shrink by ``lr * weight_decay`` at every step. No objective
        has this as its gradient, so that influence cannot account for it; the trainer's
        ``weight_decay`` is the one that belongs to the objective.
    """

    torch_name: ClassVar[str] = "AdamW"
    weight_decay: Annotated[float, AtLeast(0)] = 0.01


@Optimizer.register("nadam")
@dataclass
class NAdam(TorchOptimizer):
    """Adam with Nesterov momentum.

    Registered as an `Optimizer` with name "nadam".

    Parameters
    ----------
    lr
        The learning rate.
    betas
        The decay rates of the two running means.
    eps
        Added to the denominator.
    momentum_decay
        How fast the momentum's schedule grows.
    """

    torch_name: ClassVar[str] = "NAdam"
    lr: Annotated[float, AtLeast(0)] = 0.002
    betas: tuple[float, float] = (0.9, 0.999)
    eps: Annotated[float, AtLeast(0)] = 1e-8
    momentum_decay: Annotated[float, AtLeast(0)] = 0.004


@Optimizer.register("radam")
@dataclass
class RAdam(TorchOptimizer):
    """Adam with a rectified variance in the first steps.

    Registered as an `Optimizer` with name "radam".

    Parameters
    ----------
    lr
        The learning rate.
    betas
        The decay rates of the two running means.
    eps
        Added to the denominator.
    """

    torch_name: ClassVar[str] = "RAdam"
    lr: Annotated[float, AtLeast(0)] = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: Annotated[float, AtLeast(0)] = 1e-8


@Optimizer.register("adamax")
@dataclass
class Adamax(TorchOptimizer):
    """Adam with the largest gradient in the place of the mean square.

    Registered as an `Optimizer` with name "adamax".

    Parameters
    ----------
    lr
        The learning rate.
    betas
        The decay rates of the running mean and of the maximum.
    eps
        Added to the denominator.
    """

    torch_name: ClassVar[str] = "Adamax"
    lr: Annotated[float, AtLeast(0)] = 0.002
    betas: tuple[float, float] = (0.9, 0.999)
    eps: Annotated[float, AtLeast(0)] = 1e-8


@Optimizer.register("sparse-adam")
@dataclass
class SparseAdam(TorchOptimizer):
    """Adam for sparse gradients: ``nn.Embedding(sparse=True)``, and nothing else.

    Registered as an `Optimizer` with name "sparse-adam".

    Parameters
    ----------
    lr
        The learning rate.
    betas
        The decay rates of the two running means.
    eps
        Added to the denominator.
    """

    torch_name: ClassVar[str] = "SparseAdam"
    lr: Annotated[float, Above(0)] = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: Annotated[float, Above(0)] = 1e-8
