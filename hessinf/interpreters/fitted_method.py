"""What scoring and saving see of an interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import torch

    from hessinf.data import Dataset
    from hessinf.data.batching import Batches
    from hessinf.gradients.functional_model import FunctionalModel
    from hessinf.gradients.gradients import Gradients
    from hessinf.models import Measurement, Objective
    from hessinf.scores.loss_change import TrainingReduction


class FittedMethod(Protocol):
    """An :class:`~hessinf.interpreters.influence_interpreter.InfluenceInterpreter`, from below."""

    version: ClassVar[int]
    without_effect_on_factors: ClassVar[tuple[str, ...]]
    predicts_loss_changes: ClassVar[bool]
    arguments: dict[str, Any]
    model: FunctionalModel
    objective: Objective
    measurement: Measurement
    train_data: Dataset
    weight_decay: float
    training_reduction: TrainingReduction
    query_batch_size: int
    seed: int
    fitted: bool
    reports: dict[str, Any]

    @classmethod
    def registered_name(cls) -> str:
        """Return the method's name."""

    @classmethod
    def injected_names(cls) -> tuple[str, ...]:
        """List the constructor arguments that code passes."""

    def precondition(self, gradients: Gradients) -> Gradients:
        """Turn gradients into influence factors."""

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        """Score training examples for queries, ``[Q, B]``."""

    def train_batches(self, batch_size: int | None = None) -> Batches:
        """Go through the training data in order."""

    def train_pass(self, stage: str) -> Iterator[tuple[Gradients, torch.Tensor]]:
        """Compute gradients and losses of the training data, batch by batch."""

    def check_queries(self, test_data: Any) -> Dataset:
        """Check test data, and fit where that is still to do."""

    def ensure_checked(self) -> None:
        """Check once that model, objective and data keep what influence rests on."""
