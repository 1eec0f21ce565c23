"""What scoring and saving see of an interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import torch

    from hessinf.data import Dataset
    from hessinf.data.batching import Batch, Batches
    from hessinf.gradients.functional_model import FunctionalModel
    from hessinf.gradients.gradients import Gradients
    from hessinf.gradients.per_example import PerExampleGradients
    from hessinf.interpreters.memory_plan import MemoryPlan
    from hessinf.models import Measurement, Objective
    from hessinf.scores.loss_change import TrainingReduction


class FittedMethod(Protocol):
    """An :class:`~hessinf.interpreters.influence_interpreter.InfluenceInterpreter`, from below."""

    version: ClassVar[int]
    without_effect_on_factors: ClassVar[tuple[str, ...]]
    predicts_loss_changes: ClassVar[bool]
    scores_are_inner_products: ClassVar[bool]
    arguments: dict[str, Any]
    model: FunctionalModel
    objective: Objective
    measurement: Measurement
    train_data: Dataset
    weight_decay: float
    training_reduction: TrainingReduction
    batch_size: int | Literal["auto"]
    query_batch_size: int
    memory_limit: float
    score_precision: Literal["model", "tf32", "bfloat16"]
    refinement: Literal["newton-step"] | None
    seed: int
    fitted: bool
    reports: dict[str, Any]
    checkpoints: tuple[str, ...]
    members: tuple[FittedMethod, ...]
    given: dict[str, Any]

    @property
    def memory_plan(self) -> MemoryPlan:
        """How many examples and vectors go through the model together."""

    @property
    def mean_train_gradient(self) -> torch.Tensor:
        """The mean gradient of the training losses, ``[P]``."""

    @property
    def gradient_routes(self) -> dict[str, tuple[str, ...]] | None:
        """Which parameters' gradients are computed which way."""

    @property
    def measured_gradients(self) -> PerExampleGradients:
        """The gradients of what is measured of queries."""

    @property
    def training_losses(self) -> torch.Tensor:
        """The loss of each training example, ``[N]``."""

    def member_weights(self) -> Sequence[float]:
        """Return what each member's scores are multiplied with."""

    def change_damping(self, damping: Any) -> None:
        """Take another damping without another pass."""

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        """Map gradients to vectors whose inner products are the scores."""

    @classmethod
    def registered_name(cls) -> str:
        """Return the method's name."""

    @classmethod
    def injected_names(cls) -> tuple[str, ...]:
        """List the constructor arguments that code passes."""

    def fit(self) -> Any:
        """Learn from the training data."""

    def precondition(self, gradients: Gradients) -> Gradients:
        """Turn gradients into influence factors."""

    def solve_with_ridge(self, vectors: torch.Tensor, share: float) -> torch.Tensor:
        """Apply the inverse with a share of weight decay and damping."""

    def solve_without(self, batch: Batch, vectors: torch.Tensor, share: float) -> torch.Tensor:
        """Apply the inverse without each example of a batch."""

    def inverse_blocks(self) -> Sequence[torch.Tensor | slice]:
        """List the blocks of θ within which the inverse stays."""

    @classmethod
    def refinement_refusal(cls) -> str | None:
        """Say why the method gives no refined loss changes; None where it does."""

    def self_score(self, gradients: Gradients) -> torch.Tensor:
        """Score training examples for themselves, ``[B]``."""

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        """Score training examples for queries, ``[Q, B]``."""

    def scorer(self, query_gradients: Gradients) -> Callable[[Gradients], torch.Tensor]:
        """Prepare a block of queries for all training examples that go by."""

    def gradients(self, batch: Batch) -> Gradients:
        """Compute the gradients of the losses of a batch, one an example."""

    def train_batches(self, batch_size: int | None = None) -> Batches:
        """Go through the training data in order."""

    def train_pass(
        self, stage: str, *, factored: bool = False
    ) -> Iterator[tuple[Gradients, torch.Tensor]]:
        """Compute gradients and losses of the training data, batch by batch."""

    def check_queries(self, test_data: Any) -> Dataset:
        """Check test data, and fit where that is still to do."""

    def ensure_checked(self) -> None:
        """Check once that model, objective and data keep what influence rests on."""
