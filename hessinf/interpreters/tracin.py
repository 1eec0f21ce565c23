"""TracIn: inner products of gradients, added up over checkpoints of the training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from hessinf.interpreters.gradient_dot import GradientDot
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.registry import Above

if TYPE_CHECKING:
    import torch


@InfluenceInterpreter.register("tracin")
class TracIn(GradientDot):
    """Inner products of gradients at several checkpoints, weighted by their learning rates.

    Registered as an `InfluenceInterpreter` with name "tracin".

    ``score[q, i] = Σ_k η_k ∇m_q(θ_k)ᵀ ∇ℓ_i(θ_k)``: how much the steps of gradient descent that were
    taken on example i have lowered the query's loss, to first order, as seen from some checkpoints
    θ_k (TracInCP). Like the original, it knows nothing of batch sizes, momentum or numbers of
    steps: scores only rank, and no loss changes are predicted from them. Use it for models that are
    at no minimum, where checkpoints of their training by gradient descent are there.

    Parameters
    ----------
    checkpoints
        Weights of some moments of the training: files (.safetensors, .pt), model archives or
        directories of runs, relative to the working directory. The given model counts only where
        it is among them.
    learning_rates
        The learning rate η_k at each checkpoint, in the same order; without them, each counts 1/K.

    Cost
    ----
    Time and memory: K times those of "gradient-dot".

    References
    ----------
    Pruthi, Liu, Kale & Sundararajan, Estimating Training Data Influence by Tracing Gradient
    Descent, NeurIPS 2020, section 3.3.
    """

    def __init__(
        self,
        *args: Any,
        checkpoints: Sequence[str],
        learning_rates: Sequence[Annotated[float, Above(0)]] | None = None,
        **kwargs: Any,
    ) -> None:
        if not len(checkpoints):
            raise ValueError("tracin needs at least one checkpoint, found none")
        if learning_rates is not None:
            if len(learning_rates) != len(checkpoints):
                raise ValueError(
                    "learning_rates has to name one for each checkpoint, found "
                    f"{len(learning_rates)} for {len(checkpoints)} checkpoints"
                )
            if not all(rate > 0 for rate in learning_rates):
                raise ValueError(f"learning_rates must be > 0, found {list(learning_rates)}")
        self.learning_rates = None if learning_rates is None else tuple(learning_rates)
        super().__init__(*args, checkpoints=checkpoints, **kwargs)

    def member_weights(self) -> Sequence[float]:
        """Return the learning rates; 1/K where there are none."""
        return self.learning_rates or super().member_weights()

    def at_checkpoint(self, model: torch.nn.Module, **changed: Any) -> GradientDot:
        """Make a "gradient-dot" of the checkpoint's weights."""
        own = ("checkpoints", "learning_rates")
        given = {name: value for name, value in self.given.items() if name not in own}
        return GradientDot(**{**given, "model": model, **changed})
