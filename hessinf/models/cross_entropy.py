"""Cross-entropy over classes, for one class an example or one class a position."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from hessinf.models.errors import ObjectiveError
from hessinf.models.objective import Objective, at_least_single, examples_with_targets
from hessinf.registry import Between
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data import Dataset
else:
    torch = lazy_import("torch")


@Objective.register("cross-entropy")
class CrossEntropy(Objective):
    """Cross-entropy of a softmax over classes: the loss of classification.

    Registered as an `Objective` with name "cross-entropy".

    Outputs are logits ``[B, C]`` with targets ``[B]``, or ``[B, S, C]`` with targets ``[B, S]``.
    The loss of a target ``y`` is ``-Σ_c t_c w_c log p_c`` with
    ``t = (1 - ε) onehot(y) + ε / C`` for a label smoothing ``ε``, as in
    ``torch.nn.functional.cross_entropy(..., reduction="none")``.

    Parameters
    ----------
    weight
        One weight for every class, which multiplies its term. It is never divided by the
        weights of other examples in a batch (PyTorch's ``reduction="mean"`` does), because the
        loss of an example may not depend on its batch mates.
    label_smoothing
        The share of every target that is spread evenly over all classes.
    ignore_index
        Positions with this target have no loss.
    example_reduction
        How the positions of one example add up: their sum, or their mean over the positions that
        are not ignored.
    """

    def __init__(
        self,
        weight: list[float] | None = None,
        label_smoothing: Annotated[float, Between(0, 1)] = 0.0,
        ignore_index: int = -100,
        example_reduction: Literal["sum", "mean"] = "sum",
    ) -> None:
        if weight is not None and any(not value >= 0 for value in weight):
            raise ValueError(f"weight has to be 0 or more for every class, found {weight}")
        self.weight = weight
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.example_reduction = example_reduction

    @property
    def is_negative_log_likelihood(self) -> bool:
        """Whether the loss is -log of the density that targets are sampled from."""
        return self.weight is None and self.label_smoothing == 0 and self.example_reduction == "sum"

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the loss of every example, ``[B]``."""
        outputs = at_least_single(outputs)
        classes, mask = self._classes(outputs, targets)  # [B, S], [B, S]
        log_probabilities = outputs.log_softmax(-1)  # [B, S, C]
        weighted = self._class_weights(outputs) * log_probabilities  # [B, S, C]
        terms = -(1 - self.label_smoothing) * _pick(weighted, classes)  # [B, S]
        if self.label_smoothing:
            terms = terms - self.label_smoothing * weighted.mean(-1)
        return self._reduce(terms, mask)

    def sample_targets(
        self, outputs: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw classes from the softmax; ignored positions stay ignored."""
        _, mask = self._classes(outputs, targets)
        cumulative = outputs.detach().double().softmax(-1).cumsum(-1)  # [B, S, C]
        uniform = torch.rand(
            mask.shape, generator=generator, device=generator.device, dtype=torch.float64
        ).to(outputs.device)  # [B, S]
        threshold = uniform * cumulative[..., -1]  # the last one is 1 only up to rounding
        classes = (cumulative <= threshold.unsqueeze(-1)).sum(-1)  # [B, S]
        classes = classes.clamp(max=outputs.shape[-1] - 1)
        return torch.where(mask, classes, self.ignore_index).to(targets.dtype)

    def hessian_square_root_blocks(
        self, outputs: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Compute ``√s (diag √p - p √pᵀ)`` for every position, ``[B, S, C, C]``.

        Every term ``-log p_c`` of the loss has the Hessian ``diag p - p pᵀ``, whatever ``c`` is,
        so that the position's factor is ``s = Σ_c t_c w_c``, divided by the number of positions
        where the example takes their mean.
        """
        given, outputs = outputs.dtype, at_least_single(outputs)
        classes, mask = self._classes(outputs, targets)  # [B, S], [B, S]
        weights = self._class_weights(outputs).expand(outputs.shape)  # [B, S, C]
        scale = (1 - self.label_smoothing) * _pick(weights, classes)  # [B, S]
        if self.label_smoothing:
            scale = scale + self.label_smoothing * weights.mean(-1)
        scale = scale * mask / self._divisor(mask)  # [B, S]
        log_probabilities = outputs.log_softmax(-1)
        probabilities = log_probabilities.exp()  # [B, S, C]
        roots = (0.5 * log_probabilities).exp()  # [B, S, C]
        square_roots = torch.diag_embed(roots) - probabilities.unsqueeze(-1) * roots.unsqueeze(-2)
        square_roots = square_roots * scale.sqrt()[..., None, None]  # [B, S, C, C]
        positions, number_of_classes = math.prod(outputs.shape[1:-1]), outputs.shape[-1]
        return square_roots.reshape(
            outputs.shape[0], positions, number_of_classes, number_of_classes
        ).to(given)

    def out_features(self, dataset: Dataset) -> int:
        """Say how many classes the data have."""
        self._check_whole_numbers(dataset)
        if dataset.label_names is not None:
            return len(dataset.label_names)
        return max(self._largest_class(target) for _, target in examples_with_targets(dataset)) + 1

    def predictions(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the most probable class, ``[B]`` or ``[B, S]``."""
        return outputs.argmax(-1)

    def check_targets(self, dataset: Dataset, *, out_features: int | None = None) -> None:
        """Refuse targets that are no classes, or classes that the model does not have."""
        decides = out_features is None
        self._check_whole_numbers(dataset)
        number = self.out_features(dataset) if out_features is None else out_features
        if self.weight is not None and len(self.weight) != number:
            raise ObjectiveError(
                f"{self.described} has {len(self.weight)} class weights for {number} classes; "
                "give one weight for every class"
            )
        seen: set[int] = set()
        for description, target in examples_with_targets(dataset):
            for value in target.flatten().tolist():
                if value == self.ignore_index:
                    continue
                if not 0 <= value < number:
                    raise ObjectiveError(
                        f"the target of {description} is class {value}, but there are {number} "
                        f"classes, 0 to {number - 1}; correct the data, or its label names"
                    )
                seen.add(value)
        if decides and len(seen) < 2:
            found = f"only class {seen.pop()}" if seen else "no class at all"
            raise ObjectiveError(
                f"{self.described} needs examples of at least two classes, and the training data "
                f"show {found}; give data with more classes"
            )

    def margins(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the target's logit minus the log-sum-exp of the others, ``[B]``."""
        outputs = at_least_single(outputs)
        classes, mask = self._classes(outputs, targets)
        is_target = torch.arange(outputs.shape[-1], device=outputs.device) == classes.unsqueeze(-1)
        others = outputs.masked_fill(is_target, -torch.inf).logsumexp(-1)  # [B, S]
        return self._reduce(_pick(outputs, classes) - others, mask)

    def log_probabilities(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the log-probability of the target, ``[B]``."""
        outputs = at_least_single(outputs)
        classes, mask = self._classes(outputs, targets)
        return self._reduce(_pick(outputs.log_softmax(-1), classes), mask)

    def logits(
        self, outputs: torch.Tensor, targets: torch.Tensor, index: int | None = None
    ) -> torch.Tensor:
        """Compute the logit of class ``index``, or of the target, ``[B]``."""
        classes, mask = self._classes(outputs, targets)
        if index is None:
            return self._reduce(_pick(outputs, classes), mask)
        if not 0 <= index < outputs.shape[-1]:
            raise ObjectiveError(
                f'the measurement "logit" has index {index}, but the model has '
                f"{outputs.shape[-1]} outputs, 0 to {outputs.shape[-1] - 1}"
            )
        return self._reduce(outputs[..., index], mask)

    def _classes(
        self, outputs: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the target classes (0 where ignored) and the mask of those not ignored."""
        if outputs.shape[:-1] != targets.shape:
            raise ObjectiveError(
                f"{self.described} needs outputs [..., classes] with one target for each: found "
                f"outputs {list(outputs.shape)} and targets {list(targets.shape)}; classes are the "
                "last axis of the outputs"
            )
        mask = targets != self.ignore_index
        return torch.where(mask, targets, 0).long(), mask

    def _class_weights(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the class weights, ``[C]``, or ones ``[1]``."""
        weight = [1.0] if self.weight is None else self.weight
        if len(weight) not in (1, outputs.shape[-1]):
            raise ObjectiveError(
                f"{self.described} has {len(weight)} class weights, but the model has "
                f"{outputs.shape[-1]} outputs; give one weight for every class"
            )
        return torch.tensor(weight, dtype=outputs.dtype, device=outputs.device)

    def _divisor(self, mask: torch.Tensor) -> torch.Tensor | int:
        """Return what the terms of an example are divided by, ``[B, 1...]`` or 1."""
        if self.example_reduction == "sum" or mask.dim() < 2:
            return 1
        axes = tuple(range(1, mask.dim()))
        return mask.sum(axes, keepdim=True).clamp(min=1)

    def _reduce(self, terms: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Add the terms of every example up, without the ignored ones: ``[B, ...] -> [B]``."""
        kept = torch.where(mask, terms, 0) / self._divisor(mask)
        return kept.flatten(1).sum(1) if kept.dim() > 1 else kept

    def _largest_class(self, target: torch.Tensor) -> int:
        kept = [value for value in target.flatten().tolist() if value != self.ignore_index]
        return int(max(kept, default=0))

    def _check_whole_numbers(self, dataset: Dataset) -> None:
        for description, target in examples_with_targets(dataset):
            if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
                dtype = str(target.dtype).removeprefix("torch.")
                raise ObjectiveError(
                    f"{self.described} needs targets that are class numbers (int64), and the "
                    f"target of {description} is {dtype}; for values to be regressed try "
                    '"mean-squared-error", for 0/1 labels "binary-cross-entropy"'
                )


def _pick(values: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Take the value of each position's class: ``[B, S, C], [B, S] -> [B, S]``."""
    return values.gather(-1, classes.unsqueeze(-1)).squeeze(-1)
