"""L-BFGS: the optimizer that goes to an optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from hessinf.registry import Above, AtLeast
from hessinf.training.optimizer import Optimizer, TorchOptimizer


@Optimizer.register("lbfgs")
@dataclass
class Lbfgs(TorchOptimizer):
    """L-BFGS with a line search, on all examples at once: to an optimum, for small models.

    Registered as an `Optimizer` with name "lbfgs".

    The trainer's ``epochs`` are the largest number of iterations, and its ``gradient_tolerance``
    says when it is done; batch size does not matter. Where rounding ends the line search before
    that, Newton steps go on.

    Parameters
    ----------
    lr
        What the first trial step of every line search is multiplied by.
    history_size
        How many steps the curvature is estimated from.
    line_search_fn
        The line search; none (null) takes every step as it is.
    """

    torch_name: ClassVar[str] = "LBFGS"
    full_batch: ClassVar[bool] = True
    # How far to go is the trainer's to say: one call must not end on tolerances of its own.
    fixed: ClassVar[dict[str, object]] = {
        "max_iter": 10,
        "max_eval": 250,
        "tolerance_grad": 0.0,
        "tolerance_change": 0.0,
    }
    lr: Annotated[float, Above(0)] = 1.0
    history_size: Annotated[int, AtLeast(1)] = 100
    line_search_fn: Literal["strong_wolfe"] | None = "strong_wolfe"
