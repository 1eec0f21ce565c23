"""Any optimizer of ``torch.optim`` by PyTorch's own name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hessinf.runtime.lazy_import import lazy_import
from hessinf.training.errors import TrainingError
from hessinf.training.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


@Optimizer.register("torch-optim")
@dataclass
class TorchOptim(Optimizer):
    """Any optimizer class of ``torch.optim`` by its own name, with any of its arguments.

    Registered as an `Optimizer` with name "torch-optim".

    Parameters
    ----------
    name
        The class: ``"SGD"``.
    arguments
        What it is called with. ``weight_decay`` here is the optimizer's own, which the objective
        and so the influence do not know of.
    """

    name: str
    arguments: dict[str, Any] | None = None

    def build(self, parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
        """Make the PyTorch optimizer."""
        available = _mini_batch_optimizers()
        if self.name not in available:
            hint = '; for LBFGS take "lbfgs"' if self.name == "LBFGS" else ""
            raise TrainingError(
                f'torch.optim has no optimizer "{self.name}" that takes mini-batches; it has '
                f"{', '.join(sorted(available))}{hint}"
            )
        try:
            optimizer: torch.optim.Optimizer = available[self.name](
                parameters, **(self.arguments or {})
            )
            return optimizer
        except (TypeError, ValueError) as error:
            raise TrainingError(f"torch.optim.{self.name} refused to start: {error}") from error


def _mini_batch_optimizers() -> dict[str, Any]:
    """Find the optimizer classes of ``torch.optim``, without L-BFGS."""
    return {
        name: value
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value)
        and issubclass(value, torch.optim.Optimizer)
        and value not in (torch.optim.Optimizer, torch.optim.LBFGS)
    }
