"""When to stop because nothing gets better any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from hessinf.registry import AtLeast

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the validation loss has not improved for some epochs.

    Without validation data, the mean training loss of the epoch is watched.

    Parameters
    ----------
    patience
        How many epochs without improvement are waited for.
    minimum_improvement
        By how much the loss has to fall to count as improved.
    restore_best
        Whether the model gets back the parameters of its best epoch.
    """

    patience: Annotated[int, AtLeast(1)] = 10
    minimum_improvement: Annotated[float, AtLeast(0)] = 0.0
    restore_best: bool = True


class State(Protocol):
    """The parameters of a model, to be copied and put back: a module has it."""

    def state_dict(self) -> dict[str, Any]:
        """Return the tensors as they are now."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Take other values."""


class BestEpoch:
    """The best loss so far, and the state of the model that had it."""

    def __init__(self, settings: EarlyStopping) -> None:
        self.settings = settings
        self.loss = float("inf")
        self.epochs_since = 0
        self.state: dict[str, torch.Tensor] | None = None

    def should_stop(self, loss: float, module: State) -> bool:
        """Take note of an epoch; return whether it was the last to be waited for.

        Parameters
        ----------
        loss
            The loss that is watched, after the epoch.
        module
            The model as it is now; copied when it is the best so far.
        """
        if loss < self.loss - self.settings.minimum_improvement:
            self.loss, self.epochs_since = loss, 0
            if self.settings.restore_best:
                self.state = {
                    name: value.detach().clone() for name, value in module.state_dict().items()
                }
            return False
        self.epochs_since += 1
        return self.epochs_since >= self.settings.patience

    def restore(self, module: State) -> None:
        """Give the model back what it had in its best epoch, where that was asked for."""
        if self.state is not None:
            module.load_state_dict(self.state)
