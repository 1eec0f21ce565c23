"""What is kept of a training run: with the model, in ``training.json``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

StoppedBecause = Literal["epochs", "gradient-tolerance", "early-stopping", "stalled"]
"""Why training ended. "stalled": rounding lets the optimizer make no further progress."""


@dataclass(frozen=True)
class TrainingRecord:
    """What was minimized, how, and how near its minimum the model is.

    Parameters
    ----------
    weight_decay
        The factor of ``½‖θ‖²`` in the objective, beside the mean loss.
    reduction
        How the losses of examples are combined: their (weighted) mean.
    optimizer
        The optimizer's config, defaults written out.
    epochs
        How many epochs were run; iterations of a full-batch optimizer.
    stopped_because
        Why training ended.
    loss
        The mean loss over the training data at the end, in evaluation mode.
    objective
        The loss plus ``½ weight_decay ‖θ‖²``.
    gradient_norm
        The 2-norm of the objective's gradient at the end, accumulated in float64.
    relative_gradient_norm
        The same, divided by the norm before training (None where that is 0).
    gradient_tolerance
        The norm that was asked for, or None.
    num_examples
        How many examples were trained on (with a weight above 0).
    num_parameters
        How many parameters were trained.
    seconds
        How long it took.
    seed
        The run's seed.
    """

    weight_decay: float
    reduction: Literal["mean"]
    optimizer: dict[str, Any]
    epochs: int
    stopped_because: StoppedBecause
    loss: float
    objective: float
    gradient_norm: float
    relative_gradient_norm: float | None
    gradient_tolerance: float | None
    num_examples: int
    num_parameters: int
    seconds: float
    seed: int

    @property
    def tolerance_reached(self) -> bool | None:
        """Whether the gradient is as small as was asked for; None where nothing was asked."""
        if self.gradient_tolerance is None:
            return None
        return self.gradient_norm <= self.gradient_tolerance

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return {**dataclasses.asdict(self), "tolerance_reached": self.tolerance_reached}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrainingRecord:
        """Read what :meth:`to_json` wrote; what it does not know is left out."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: item for name, item in value.items() if name in names})
