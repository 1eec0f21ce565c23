"""What is measured of a query: the quantity whose change influence predicts."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar

from hessinf.models.objective import Objective
from hessinf.registry import AtLeast, Registrable

if TYPE_CHECKING:
    import torch


class Measurement(Registrable):
    """A number for every query, whose gradient is the query's side of an influence score.

    Where more is better, the interpreter turns the sign, so that a positive score stays helpful.
    """

    default_implementation = "loss"

    higher_is_better: ClassVar[bool]
    """Whether a model that does better on a query has a larger value."""

    @abstractmethod
    def values(
        self, outputs: torch.Tensor, targets: torch.Tensor, objective: Objective
    ) -> torch.Tensor:
        """Measure every query.

        Parameters
        ----------
        outputs
            The model's outputs, ``[B, ...]``.
        targets
            The targets, ``[B, ...]``.
        objective
            The objective, which knows what outputs mean.

        Returns
        -------
        torch.Tensor
            ``[B]``, differentiable in ``outputs``.

        Raises
        ------
        ObjectiveError
            When the objective has no such thing.
        """


@Measurement.register("loss")
class Loss(Measurement):
    """The query's loss under the objective, class weights and smoothing included.

    Registered as a `Measurement` with name "loss".
    """

    higher_is_better = False

    def values(
        self, outputs: torch.Tensor, targets: torch.Tensor, objective: Objective
    ) -> torch.Tensor:
        """Compute the loss, ``[B]``."""
        return objective.losses(outputs, targets)


@Measurement.register("margin")
class Margin(Measurement):
    """The log-odds of the right class: its logit minus the log-sum-exp of the others.

    Registered as a `Measurement` with name "margin".

    With one binary output: the logit, turned negative where the target is 0. It does not saturate
    where the model is sure, as the loss does (Park et al., TRAK, 2023).
    """

    higher_is_better = True

    def values(
        self, outputs: torch.Tensor, targets: torch.Tensor, objective: Objective
    ) -> torch.Tensor:
        """Compute the margin, ``[B]``."""
        return objective.margins(outputs, targets)


@Measurement.register("log-probability")
class LogProbability(Measurement):
    """The log-probability of the right class, without class weights or label smoothing.

    Registered as a `Measurement` with name "log-probability".
    """

    higher_is_better = True

    def values(
        self, outputs: torch.Tensor, targets: torch.Tensor, objective: Objective
    ) -> torch.Tensor:
        """Compute the log-probability, ``[B]``."""
        return objective.log_probabilities(outputs, targets)


@Measurement.register("logit")
class Logit(Measurement):
    """The logit of one class, before the softmax.

    Registered as a `Measurement` with name "logit".

    Parameters
    ----------
    index
        Which output; the target's where it is null. A positive score then means that training
        more on the example raises this output.
    """

    higher_is_better = True

    def __init__(self, index: Annotated[int, AtLeast(0)] | None = None) -> None:
        self.index = index

    def values(
        self, outputs: torch.Tensor, targets: torch.Tensor, objective: Objective
    ) -> torch.Tensor:
        """Compute the logit, ``[B]``."""
        return objective.logits(outputs, targets, self.index)
