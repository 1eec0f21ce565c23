"""The other optimizers of ``torch.optim`` that take mini-batches, with its names and defaults.

What only changes how a step is computed (``foreach``, ``fused``, ``capturable``, ...) is left to
PyTorch, and ``weight_decay`` to the trainer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from hessinf.registry import AtLeast, Between
from hessinf.training.optimizer import Optimizer, TorchOptimizer


@Optimizer.register("sgd")
@dataclass
class Sgd(TorchOptimizer):
    """Stochastic gradient descent, with momentum if asked for.

    Registered as an `Optimizer` with name "sgd".

    Parameters
    ----------
    lr
        The learning rate.
    momentum
        The share of the last step that is taken again.
    dampening
        What is taken off the gradient's share in the momentum.
    nesterov
        Whether the gradient is corrected by the momentum first.
    """

    torch_name: ClassVar[str] = "SGD"
    lr: Annotated[float, AtLeast(0)] = 0.001
    momentum: Annotated[float, AtLeast(0)] = 0.0
    dampening: float = 0.0
    nesterov: bool = False


@Optimizer.register("adagrad")
@dataclass
class Adagrad(TorchOptimizer):
    """Steps scaled by the sum of all squared gradients so far.

    Registered as an `Optimizer` with name "adagrad".

    Parameters
    ----------
    lr
        The learning rate.
    lr_decay
        How fast the learning rate falls with the number of steps.
    initial_accumulator_value
        Where the sum starts.
    eps
        Added to the denominator.
    """

    torch_name: ClassVar[str] = "Adagrad"
    lr: Annotated[float, AtLeast(0)] = 0.01
    lr_decay: Annotated[float, AtLeast(0)] = 0.0
    initial_accumulator_value: Annotated[float, AtLeast(0)] = 0.0
    eps: Annotated[float, AtLeast(0)] = 1e-10


@Optimizer.register("adadelta")
@dataclass
class Adadelta(TorchOptimizer):
    """Steps scaled by running means of squared gradients and of squared steps.

    Registered as an `Optimizer` with name "adadelta".

    Parameters
    ----------
    lr
        What a step is multiplied by.
    rho
        The decay rate of the running means.
    eps
        Added to the means.
    """

    torch_name: ClassVar[str] = "Adadelta"
    lr: Annotated[float, AtLeast(0)] = 1.0
    rho: Annotated[float, Between(0, 1)] = 0.9
    eps: Annotated[float, AtLeast(0)] = 1e-6


@Optimizer.register("adafactor")
@dataclass
class Adafactor(TorchOptimizer):
    """Adam with a factored mean square, which needs little memory.

    Registered as an `Optimizer` with name "adafactor".

    Parameters
    ----------
    lr
        The learning rate, an upper bound of the relative step.
    beta2_decay
        The decay rate of the running mean square, as a power of the number of steps.
    eps
        Added to the squared gradients (the precision's own if null), and the smallest scale of
        parameters.
    d
        Where steps are clipped.
    """

    torch_name: ClassVar[str] = "Adafactor"
    lr: Annotated[float, AtLeast(0)] = 0.01
    beta2_decay: float = -0.8
    eps: tuple[float | None, float] = (None, 0.001)
    d: Annotated[float, AtLeast(1)] = 1.0


@Optimizer.register("rmsprop")
@dataclass
class RMSprop(TorchOptimizer):
    """Steps scaled by a running mean of the squared gradient.

    Registered as an `Optimizer` with name "rmsprop".

    Parameters
    ----------
    lr
        The learning rate.
    alpha
        The decay rate of the running mean.
    eps
        Added to the denominator.
    momentum
        The share of the last step that is taken again.
    centered
        Whether the mean gradient is taken off the mean square.
    """

    torch_name: ClassVar[str] = "RMSprop"
    lr: Annotated[float, AtLeast(0)] = 0.01
    alpha: Annotated[float, AtLeast(0)] = 0.99
    eps: Annotated[float, AtLeast(0)] = 1e-8
    momentum: Annotated[float, AtLeast(0)] = 0.0
    centered: bool = False


@Optimizer.register("rprop")
@dataclass
class Rprop(TorchOptimizer):
    """Steps that follow the signs of gradients only; made for large batches.

    Registered as an `Optimizer` with name "rprop".

    Parameters
    ----------
    lr
        The first step.
    etas
        What a step is multiplied by when the sign changes, and when it stays.
    step_sizes
        The smallest and the largest step.
    """

    torch_name: ClassVar[str] = "Rprop"
    lr: Annotated[float, AtLeast(0)] = 0.01
    etas: tuple[float, float] = (0.5, 1.2)
    step_sizes: tuple[float, float] = (1e-6, 50.0)


@Optimizer.register("asgd")
@dataclass
class Asgd(TorchOptimizer):
    """Stochastic gradient descent with a step that falls slowly.

    Registered as an `Optimizer` with name "asgd".

    Parameters
    ----------
    lr
        The first learning rate.
    lambd
        How fast the learning rate falls; parameters shrink by as much.
    alpha
        The power with which it falls.
    t0
        The step from which PyTorch averages the iterates (in its state; the parameters are the
        last iterate).
    """

    torch_name: ClassVar[str] = "ASGD"
    lr: Annotated[float, AtLeast(0)] = 0.01
    lambd: float = 1e-4
    alpha: float = 0.75
    t0: float = 1e6


@Optimizer.register("muon")
@dataclass
class Muon(TorchOptimizer):
    """Momentum whose matrices are made orthogonal; for networks of matrices without biases.

    Registered as an `Optimizer` with name "muon".

    Parameters
    ----------
    lr
        The learning rate.
    momentum
        The share of the last step that is taken again.
    nesterov
        Whether the gradient is corrected by the momentum first.
    ns_coefficients
        The coefficients of the Newton-Schulz iteration.
    eps
        Added to norms.
    ns_steps
        The steps of the Newton-Schulz iteration.
    adjust_lr_fn
        How the learning rate follows a matrix's shape; PyTorch's "original" when null.
    """

    torch_name: ClassVar[str] = "Muon"
    fixed: ClassVar[dict[str, object]] = {"weight_decay": 0.0}  # PyTorch's default is 0.1
    lr: Annotated[float, AtLeast(0)] = 0.001
    momentum: Annotated[float, AtLeast(0)] = 0.95
    nesterov: bool = True
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315)
    eps: float = 1e-7
    ns_steps: Annotated[int, AtLeast(1)] = 5
    adjust_lr_fn: Literal["original", "match_rms_adamw"] | None = None
