"""A method that is no preconditioner: it scores pairs of gradients directly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import gradients as hessinf_gradients
    from hessinf.data.batching import Batch
    from hessinf.gradients import Gradients
else:
    # Checking a config imports this file: that stays fast when torch is loaded at its first use.
    torch = lazy_import("torch")
    hessinf_gradients = lazy_import("hessinf.gradients")

SMALLEST_LENGTH = 1e-30
"""Gradients of length zero are similar to nothing, instead of dividing by zero."""


@InfluenceInterpreter.register("label-similarity")
class LabelSimilarity(InfluenceInterpreter):
    """Scores examples by which labels' gradients theirs resemble: a cheap baseline for classes.

    Registered as an `InfluenceInterpreter` with name "label-similarity".

    `μ_c` is the mean gradient of the training examples with label c: the way in which the model
    moves when it sees more of c. An example has a profile, `a_c = cos(∇ℓ, μ_c)`, one number for
    each label, and `score[q, i] = mean_c a_c(q) · a_c(i)`, between -1 and 1: positive where both
    examples move the model towards the same labels and away from the same others, negative where
    they pull against each other.

    It approximates the cosine of the two gradients, seen through the labels alone. There is no
    curvature in it, so its scores rank examples, and say nothing about the size of a loss change.
    Examples of one label look alike to it, also one that has that label by mistake: use it as the
    baseline that a better method has to beat, not to find wrong labels. Self-influence is large for
    what is typical of the labels, not for what is odd.

    Parameters
    ----------
    minimum_count
        Labels with fewer training examples have no part in the profile: the mean of very few
        gradients says more about these examples than about their label.

    Cost
    ----
    Time: one pass for the training gradients, then Q·N·C in place of Q·N·P. Memory: C·P numbers.

    References
    ----------
    None: it comes with the example plugin, to be copied and to be beaten.
    """

    predicts_loss_changes = False  # scores rank; they are in no units of the loss

    def __init__(
        self, *args: Any, minimum_count: Annotated[int, AtLeast(1)] = 1, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.minimum_count = minimum_count
        if not self.train_data.is_classification or self.train_data.target_shape != ():
            raise ValueError(
                "label-similarity needs one label an example, found targets of shape "
                f"{list(self.train_data.target_shape)} and type {self.train_data[0].target.dtype}; "
                "try gradient-whitening, which takes any targets"
            )

    def fit(self) -> None:  # type: ignore[override]
        """Learn the direction of each label's mean gradient."""
        counts, sums = self.sum_over_train(self._sums_by_label)  # [C], [C, P]
        enough = counts >= self.minimum_count  # [C]
        if not bool(enough.any()):
            raise InterpreterError(
                f"minimum_count is {self.minimum_count}, but no label has that many training "
                f"examples: the most frequent one has {int(counts.max())}"
            )
        lengths = sums.norm(dim=1, keepdim=True).clamp(min=SMALLEST_LENGTH)  # [C, 1]
        self.labels_ = enough.nonzero().flatten()  # [C'], the labels that are left
        self.directions_ = (sums / lengths)[enough].to(self.model.dtype)  # [C', P]

    def _sums_by_label(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Count the examples of each label in a batch, and add up their gradients."""
        per_example = hessinf_gradients.PerExampleGradients(
            self.model, self.objective.losses, "training loss"
        )
        gradients, _ = per_example(batch)
        labels = torch.arange(self.train_data.num_classes or 0, device=batch.targets.device)  # [C]
        members = (batch.targets == labels[:, None]).double()  # [C, B]
        return members.sum(dim=1), members @ gradients.flatten().double()

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        """Compare the profiles of queries and training examples."""
        queries = self._profiles(query_gradients)  # [Q, C']
        examples = self._profiles(train_gradients)  # [B, C']
        similarity, nearest = queries.max(dim=1)  # [Q], [Q]
        # How far to believe it: little, where no label's gradient resembles that of the query.
        self.report(nearest_label=self.labels_[nearest], similarity_to_nearest_label=similarity)
        return queries @ examples.T / len(self.labels_)  # [Q, B]

    def _profiles(self, gradients: Gradients) -> torch.Tensor:
        flat = gradients.flatten()  # [B, P]
        lengths = flat.norm(dim=1, keepdim=True).clamp(min=SMALLEST_LENGTH)  # [B, 1]
        return flat @ self.directions_.T / lengths  # [B, C']
