"""A user's own loss function as an objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hessinf.models.errors import ObjectiveError
from hessinf.models.objective import Objective

if TYPE_CHECKING:
    import torch

    from hessinf.data import Dataset


class CallableObjective(Objective):
    """A function of outputs and targets, for every method that needs only derivatives of it.

    Methods that need more than that (samples from the predictive distribution, the square root
    of the output Hessian) refuse it by name; give them an :class:`Objective` of your own.

    Parameters
    ----------
    function
        ``function(outputs, targets)`` gives the loss of every example, ``[B]``.
    """

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        self.function = function

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the loss of every example, ``[B]``."""
        losses = self.function(outputs, targets)
        if losses.shape != outputs.shape[:1]:
            raise ObjectiveError(
                f"{self.described} has to return one loss for every example: expected shape "
                f"{list(outputs.shape[:1])}, found {list(losses.shape)}; do not average over the "
                'batch (reduction="none" in PyTorch), and add up what belongs to one example'
            )
        return losses

    def out_features(self, dataset: Dataset) -> int:
        """Refuse: a function does not say how many outputs it needs."""
        raise ObjectiveError(
            f"{self.described} does not say how many outputs a model needs for the data; give a "
            "model that is built already, or an Objective with a method `out_features`"
        )

    def predictions(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs as they are."""
        return outputs

    @property
    def described(self) -> str:
        """The function's name, for messages."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f'the loss function "{name}"'


def as_objective(
    objective: Objective | str | Mapping[str, Any] | Callable[..., torch.Tensor],
) -> Objective:
    """Make an objective of whatever says what the loss is.

    Parameters
    ----------
    objective
        An :class:`Objective`, a registered name, a config, or a function of outputs and targets
        that gives the loss of every example.
    """
    if isinstance(objective, Objective):
        return objective
    if isinstance(objective, str | Mapping):
        built: Objective = Objective.from_config(objective)
        return built
    if callable(objective):
        return CallableObjective(objective)
    raise ObjectiveError(
        f"an objective is an Objective, a registered name, a config or a function, found "
        f"{objective!r} ({type(objective).__name__})"
    )
