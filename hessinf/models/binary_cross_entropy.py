"""Binary cross-entropy of logits, for one yes-or-no question an example or several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hessinf.models.errors import ObjectiveError
from hessinf.models.objective import (
    Objective,
    at_least_single,
    examples_with_targets,
    whole_targets,
    widened,
)
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as functional

    from hessinf.data import Dataset
else:
    torch = lazy_import("torch")
    functional = lazy_import("torch.nn.functional")


@Objective.register("binary-cross-entropy")
class BinaryCrossEntropy(Objective):
    """Binary cross-entropy of logits: two classes with one output, or several labels at once.

    Registered as an `Objective` with name "binary-cross-entropy".

    Outputs are logits ``[B]``, ``[B, 1]`` or ``[B, T]``; targets have as many numbers, 0 or 1 (or
    probabilities between them). The terms of an example are summed over its ``T`` labels.

    Parameters
    ----------
    pos_weight
        What the term of a positive target is multiplied by: one number for every label.
    """

    def __init__(self, pos_weight: list[float] | None = None) -> None:
        if pos_weight is not None and any(not value >= 0 for value in pos_weight):
            raise ValueError(f"pos_weight has to be 0 or more for every label, found {pos_weight}")
        self.pos_weight = pos_weight

    @property
    def is_negative_log_likelihood(self) -> bool:
        """Whether the loss is -log of the density that targets are sampled from."""
        return self.pos_weight is None

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the loss of every example, ``[B]``."""
        given, outputs = at_least_single(outputs).dtype, widened(outputs)
        terms = functional.binary_cross_entropy_with_logits(
            outputs,
            self._like_outputs(outputs, targets),
            pos_weight=self._pos_weight(outputs),
            reduction="none",
        )
        return _sum_labels(terms).to(given)

    def sample_targets(
        self, outputs: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw every label from its own Bernoulli distribution."""
        quantiles = torch.rand(
            outputs.shape, generator=generator, device=generator.device, dtype=torch.float64
        )
        return self.targets_at_quantiles(outputs, targets, quantiles.to(outputs.device))

    def quantile_shape(self, outputs: torch.Tensor) -> tuple[int, ...]:
        """Say that every label has one number: ``[B, ...]``."""
        return tuple(outputs.shape)

    def targets_at_quantiles(
        self, outputs: torch.Tensor, targets: torch.Tensor, quantiles: torch.Tensor
    ) -> torch.Tensor:
        """Return 1 where the quantile is below the probability."""
        self._like_outputs(outputs, targets)
        positive = quantiles < outputs.detach().double().sigmoid()
        return positive.reshape(targets.shape).to(targets.dtype)

    def hessian_square_root_blocks(
        self, outputs: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Compute ``diag √(w p (1 - p))``, ``[B, 1, T, T]``; ``w`` belongs to positives."""
        given, outputs = outputs.dtype, at_least_single(outputs)
        labels = self._like_outputs(outputs, targets)
        curvature = outputs.sigmoid() * (-outputs).sigmoid()  # [B, T]
        pos_weight = self._pos_weight(outputs)
        if pos_weight is not None:
            curvature = curvature * (1 + (pos_weight - 1) * labels)
        return torch.diag_embed(curvature.sqrt().reshape(outputs.shape[0], 1, -1)).to(given)

    def out_features(self, dataset: Dataset) -> int:
        """Say how many labels an example has."""
        return dataset[0].target.numel()

    def predictions(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return 1 where the logit is positive: ``[B]``, or ``[B, T]`` for several labels."""
        return (outputs.squeeze(1) if outputs.shape[1:] == (1,) else outputs).gt(0).long()

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """Compute those of "no" and "yes", ``[B, 2]``; None for several labels."""
        if outputs.shape[1:] not in ((), (1,)):
            return None
        logits = widened(outputs).flatten()  # [B]
        return torch.stack([(-logits).sigmoid(), logits.sigmoid()], dim=1)

    def check_targets(self, dataset: Dataset, *, out_features: int | None = None) -> None:
        """Refuse targets that are not between 0 and 1, and training data of one class only."""
        number = self.out_features(dataset) if out_features is None else out_features
        if self.pos_weight is not None and len(self.pos_weight) not in (1, number):
            raise ObjectiveError(
                f"{self.described} has {len(self.pos_weight)} values of pos_weight for {number} "
                "labels; give one for every label"
            )
        seen = self._labels_seen(dataset, number)
        if out_features is None and number == 1 and len(seen) < 2:
            raise ObjectiveError(
                f"{self.described} needs examples of both classes, and the training data show "
                f"only class {next(iter(seen), 0):g}; give data with both"
            )

    def _labels_seen(self, dataset: Dataset, number: int) -> set[float]:
        """Collect labels of the data, both ends at least; refuse those not between 0 and 1."""
        whole = whole_targets(dataset)
        if whole is not None and not whole.is_complex() and whole[0].numel() == number > 0:
            least, most = (end.item() for end in whole.aminmax())
            if least >= 0 and most <= 1:  # NaN is neither
                return {least, most}
        seen: set[float] = set()
        for description, target in examples_with_targets(dataset):
            values = target.flatten().tolist()
            if len(values) != number:
                raise ObjectiveError(
                    f"the target of {description} has {len(values)} labels, but {number} are "
                    "expected; give every example as many"
                )
            for value in values:
                if not 0 <= value <= 1:
                    raise ObjectiveError(
                        f"{self.described} needs targets of 0 or 1, and the target of "
                        f'{description} is {value:g}; for more than two classes try "cross-entropy"'
                    )
            seen.update(values)
        return seen

    def margins(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the logit, turned negative where the target is 0, summed over labels, ``[B]``."""
        return _sum_labels(outputs * (2 * self._like_outputs(outputs, targets) - 1))

    def log_probabilities(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the log-probability of the target, summed over labels, ``[B]``."""
        outputs = at_least_single(outputs)
        labels = self._like_outputs(outputs, targets)
        terms = functional.binary_cross_entropy_with_logits(outputs, labels, reduction="none")
        return -_sum_labels(terms)

    def logits(
        self, outputs: torch.Tensor, targets: torch.Tensor, index: int | None = None
    ) -> torch.Tensor:
        """Compute the logit of label ``index``, or the logits towards the target, ``[B]``."""
        if index is None:
            return self.margins(outputs, targets)
        labels = outputs.reshape(outputs.shape[0], -1)  # [B, T]
        if not 0 <= index < labels.shape[1]:
            raise ObjectiveError(
                f'the measurement "logit" has index {index}, but the model has '
                f"{labels.shape[1]} outputs, 0 to {labels.shape[1] - 1}"
            )
        return labels[:, index]

    def _like_outputs(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the targets in the shape and type of the outputs."""
        if outputs.shape[0] != targets.shape[0] or outputs.numel() != targets.numel():
            raise ObjectiveError(
                f"{self.described} needs one target for every output: found outputs "
                f"{list(outputs.shape)} and targets {list(targets.shape)}; for classes with an "
                'output each try "cross-entropy"'
            )
        return targets.reshape(outputs.shape).to(outputs.dtype)

    def _pos_weight(self, outputs: torch.Tensor) -> torch.Tensor | None:
        if self.pos_weight is None:
            return None
        return torch.tensor(self.pos_weight, dtype=outputs.dtype, device=outputs.device)


def _sum_labels(terms: torch.Tensor) -> torch.Tensor:
    """Add the labels of every example up: ``[B]`` or ``[B, T]`` to ``[B]``."""
    return terms.flatten(1).sum(1) if terms.dim() > 1 else terms
