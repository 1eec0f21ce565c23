"""Cross-entropy over classes, for one class an example or one class a position."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from hessinf.models.errors import ObjectiveError
from hessinf.models.objective import (
    Objective,
    at_least_single,
    examples_with_targets,
    whole_targets,
    widened,
)
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
        given, outputs = at_least_single(outputs).dtype, widened(outputs)
        classes, mask = self._classes(outputs, targets)  # [B, S], [B, S]
        log_probabilities = outputs.log_softmax(-1)  # [B, S, C]
        weighted = log_probabilities  # [B, S, C]
        if self.weight is not None:
            weighted = self._class_weights(outputs) * log_probabilities
        terms = -(1 - self.label_smoothing) * _pick(weighted, classes)  # [B, S]
        if self.label_smoothing:
            terms = terms - self.label_smoothing * weighted.mean(-1)
        return self._reduce(terms, mask).to(given)

    def sample_targets(
        self, outputs: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw classes from the softmax; ignored positions stay ignored."""
        quantiles = torch.rand(
            self.quantile_shape(outputs),
            generator=generator,
            device=generator.device,
            dtype=torch.float64,
        )  # [B, S]
        return self.targets_at_quantiles(outputs, targets, quantiles.to(outputs.device))

    def quantile_shape(self, outputs: torch.Tensor) -> tuple[int, ...]:
        """Say that every position has one number: ``[B, S]``."""
        return tuple(outputs.shape[:-1])

    def targets_at_quantiles(
        self, outputs: torch.Tensor, targets: torch.Tensor, quantiles: torch.Tensor
    ) -> torch.Tensor:
        """Return the classes at which the softmax, summed up, passes the quantiles."""
        _, mask = self._classes(outputs, targets)
        # Single precision holds probabilities well enough, but not their sums.
        probabilities = at_least_single(outputs.detach()).softmax(-1)  # [B, S, C]
        cumulative = probabilities.cumsum(-1, dtype=torch.float64)  # [B, S, C]
        threshold = quantiles * cumulative[..., -1]  # the last one is 1 only up to rounding
        classes = torch.searchsorted(cumulative, threshold.unsqueeze(-1), right=True).squeeze(-1)
        classes = classes.clamp(max=outputs.shape[-1] - 1)  # [B, S]
        return torch.where(mask, classes, self.ignore_index).to(targets.dtype)

    def hessian_square_root_blocks(
        self, outputs: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Compute ``√s (diag √p - p √pᵀ)`` for every position, ``[B, S, C, C]``.

        Every term ``-log p_c`` of the loss has the Hessian ``diag p - p pᵀ``, whatever ``c`` is,
        so that the position's factor is ``s = Σ_c t_c w_c``, divided by the number of positions
        where the example takes their mean.
        """
        given = outputs.dtype
        scale, log_probabilities = self._curvature_scale(outputs, targets)  # [B, S], [B, S, C]
        probabilities = log_probabilities.exp()  # [B, S, C]
        roots = (0.5 * log_probabilities).exp()  # [B, S, C]
        square_roots = torch.diag_embed(roots) - probabilities.unsqueeze(-1) * roots.unsqueeze(-2)
        return self._as_blocks(square_roots * scale.sqrt()[..., None, None], given)

    def reduced_square_root_blocks(
        self, outputs: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Compute another square root, with a column less: the Hessian's rank is C - 1.

        The root above has ``√p`` for a null vector. With the reflection H that takes ``√p`` to the
        unit vector of the most probable class m (but for the sign), the m-th column of ``S H`` is
        zero. What is left has a closed form without differences of nearly equal numbers:
        ``√p_c (δ_ck - √(p_c p_k) / (1 + √p_m))`` in the rows ``c ≠ m``, ``-√(p_m p_k)`` in row m.

        Returns
        -------
        torch.Tensor
            ``[B, S, C, C - 1]``, with the same products ``blocks @ blocks.T``.
        """
        given = outputs.dtype
        scale, log_probabilities = self._curvature_scale(outputs, targets)  # [B, S], [B, S, C]
        roots = (0.5 * log_probabilities).exp()  # [B, S, C]
        largest, most = roots.max(-1, keepdim=True)  # [B, S, 1] each
        number_of_classes = outputs.shape[-1]
        classes = torch.arange(number_of_classes, device=outputs.device)  # [C]
        divisor = torch.where(classes == most, largest, 1 + largest)  # [B, S, C]
        reflected = roots.square() / divisor  # [B, S, C]
        square_roots = torch.diag_embed(torch.where(classes == most, 0.0, roots))
        square_roots = square_roots - reflected.unsqueeze(-1) * roots.unsqueeze(-2)
        # The last column takes the place of the one that is zero.
        last = square_roots[..., -1:]  # [B, S, C, 1]
        square_roots = torch.where((classes == most).unsqueeze(-2), last, square_roots)
        square_roots = square_roots[..., :-1] * scale.sqrt()[..., None, None]
        return self._as_blocks(square_roots, given)

    def _curvature_scale(
        self, outputs: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the factor ``[B, S]`` of each position's Hessian, and log-probabilities."""
        outputs = widened(outputs)
        classes, mask = self._classes(outputs, targets)  # [B, S], [B, S]
        weights = self._class_weights(outputs).expand(outputs.shape)  # [B, S, C]
        scale = (1 - self.label_smoothing) * _pick(weights, classes)  # [B, S]
        if self.label_smoothing:
            scale = scale + self.label_smoothing * weights.mean(-1)
        return scale * mask / self._divisor(mask), outputs.log_softmax(-1)

    def _as_blocks(self, square_roots: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Bring ``[B, *positions, C, R]`` to ``[B, S, C, R]``."""
        examples, *positions = square_roots.shape[:-2]
        shape = (examples, math.prod(positions), *square_roots.shape[-2:])
        return square_roots.reshape(shape).to(dtype)

    def out_features(self, dataset: Dataset) -> int:
        """Say how many classes the data have."""
        self._check_whole_numbers(dataset)
        if dataset.label_names is not None:
            return len(dataset.label_names)
        whole = whole_targets(dataset)
        if whole is not None:
            return self._largest_class(whole) + 1
        return max(self._largest_class(target) for _, target in examples_with_targets(dataset)) + 1

    def predictions(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the most probable class, ``[B]`` or ``[B, S]``."""
        return outputs.argmax(-1)

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """Compute the softmax, ``[B, C]``; None where an example has several positions."""
        return widened(outputs).softmax(-1) if outputs.dim() == 2 else None

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
        seen = self._classes_seen(dataset, number)
        if decides and len(seen) < 2:
            found = f"only class {seen.pop()}" if seen else "no class at all"
            raise ObjectiveError(
                f"{self.described} needs examples of at least two classes, and the training data "
                f"show {found}; give data with more classes"
            )

    def _classes_seen(self, dataset: Dataset, number: int) -> set[int]:
        """Collect the classes of the data, and refuse those that are not among ``number``."""
        whole = whole_targets(dataset)
        if whole is not None:
            classes = torch.unique(whole.long()).tolist()  # ascending
            classes = [value for value in classes if value != self.ignore_index]
            if all(0 <= value < number for value in classes):
                return set(classes)
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
        return seen

    def margins(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the target's logit minus the log-sum-exp of the others, ``[B]``."""
        given, outputs = at_least_single(outputs).dtype, widened(outputs)
        classes, mask = self._classes(outputs, targets)
        is_target = torch.arange(outputs.shape[-1], device=outputs.device) == classes.unsqueeze(-1)
        others = outputs.masked_fill(is_target, -torch.inf).logsumexp(-1)  # [B, S]
        return self._reduce(_pick(outputs, classes) - others, mask).to(given)

    def log_probabilities(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the log-probability of the target, ``[B]``."""
        given, outputs = at_least_single(outputs).dtype, widened(outputs)
        classes, mask = self._classes(outputs, targets)
        return self._reduce(_pick(outputs.log_softmax(-1), classes), mask).to(given)

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
        target = target.long()
        kept = target[target != self.ignore_index]
        return int(kept.max()) if kept.numel() else 0

    def _check_whole_numbers(self, dataset: Dataset) -> None:
        whole = whole_targets(dataset)
        if whole is not None and _are_whole_numbers(whole):
            return
        for description, target in examples_with_targets(dataset):
            if not _are_whole_numbers(target):
                dtype = str(target.dtype).removeprefix("torch.")
                raise ObjectiveError(
                    f"{self.described} needs targets that are class numbers (int64), and the "
                    f"target of {description} is {dtype}; for values to be regressed try "
                    '"mean-squared-error", for 0/1 labels "binary-cross-entropy"'
                )


def _are_whole_numbers(targets: torch.Tensor) -> bool:
    other = targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool
    return not other


def _pick(values: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Take the value of each position's class: ``[B, S, C], [B, S] -> [B, S]``."""
    return values.gather(-1, classes.unsqueeze(-1)).squeeze(-1)
