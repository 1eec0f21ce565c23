"""Cross-entropy of the next token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from hessinf.models.cross_entropy import CrossEntropy
from hessinf.models.objective import Objective
from hessinf.registry import Between
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data import Dataset
else:
    torch = lazy_import("torch")


@Objective.register("language-modeling")
class LanguageModeling(CrossEntropy):
    """Cross-entropy of the next token, summed over the tokens of an example.

    Registered as an `Objective` with name "language-modeling".

    Outputs are logits ``[B, S, V]`` and targets are tokens ``[B, S]``.

    Parameters
    ----------
    shift
        Whether targets are the input tokens themselves, so that the output at position ``s`` is
        compared with the target at ``s + 1`` and the last output with nothing. False where the
        targets are aligned with the outputs already.
    ignore_index
        Positions with this target (padding, prompts) have no loss.
    label_smoothing
        The share of every target that is spread evenly over all tokens.
    example_reduction
        How the tokens of one example add up: their sum, or their mean over the tokens that are not
        ignored.
    """

    def __init__(
        self,
        shift: bool = True,
        ignore_index: int = -100,
        label_smoothing: Annotated[float, Between(0, 1)] = 0.0,
        example_reduction: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__(
            label_smoothing=label_smoothing,
            ignore_index=ignore_index,
            example_reduction=example_reduction,
        )
        self.shift = shift

    def targets_at_quantiles(
        self, outputs: torch.Tensor, targets: torch.Tensor, quantiles: torch.Tensor
    ) -> torch.Tensor:
        """Return every next token at a quantile of the softmax; ignored positions stay ignored.

        The first token is predicted by no output, and stays.
        """
        found = super().targets_at_quantiles(outputs, targets, quantiles)  # [B, S], aligned
        if not self.shift:
            return found
        return torch.cat([targets[:, :1], found[:, :-1]], dim=1)

    def out_features(self, dataset: Dataset) -> int:
        """Say how large the vocabulary has to be: the largest token of the data plus one."""
        return super().out_features(dataset)

    def _classes(
        self, outputs: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next tokens and the mask of those not ignored.

        Targets move, outputs stay: the last output then has an ignored target, and everything
        else is the cross-entropy of positions.
        """
        if self.shift:
            nothing = torch.full_like(targets[:, :1], self.ignore_index)  # [B, 1]
            targets = torch.cat([targets[:, 1:], nothing], dim=1)
        return super()._classes(outputs, targets)
