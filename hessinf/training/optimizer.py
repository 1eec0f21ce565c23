"""The rule that turns gradients into steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, ClassVar

from hessinf.registry import Registrable
from hessinf.registry.plan import registered_name
from hessinf.runtime.lazy_import import lazy_import
from hessinf.training.errors import TrainingError

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


class Optimizer(Registrable):
    """The rule that turns gradients into steps.

    Weight decay belongs to the trainer, which makes it a part of the objective, the same for every
    optimizer; an optimizer sees the gradient of the whole objective.
    """

    default_implementation = "sgd"

    full_batch: ClassVar[bool] = False
    """Whether a step needs the objective over all examples, and evaluates it as often as it
    likes."""

    @abstractmethod
    def build(self, parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
        """Make the PyTorch optimizer.

        Parameters
        ----------
        parameters
            What is trained.

        Raises
        ------
        TrainingError
            When the optimizer refuses its arguments or these parameters.
        """


class TorchOptimizer(Optimizer):
    """An optimizer of ``torch.optim``: a dataclass whose fields are PyTorch's arguments."""

    torch_name: ClassVar[str]
    """The name of the class in ``torch.optim``."""

    fixed: ClassVar[dict[str, object]] = {}
    """Arguments that are no choice here."""

    def build(self, parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
        """Make the PyTorch optimizer."""
        arguments = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        name = registered_name(type(self))
        constructor = getattr(torch.optim, self.torch_name, None)
        if constructor is None:
            raise TrainingError(
                f'the optimizer "{name}" needs a PyTorch with torch.optim.{self.torch_name}, which '
                f"PyTorch {torch.__version__} has not; install a newer one"
            )
        try:
            optimizer: torch.optim.Optimizer = constructor(parameters, **arguments, **self.fixed)
        except (TypeError, ValueError) as error:
            raise TrainingError(f'the optimizer "{name}" refused to start: {error}') from error
        return optimizer
