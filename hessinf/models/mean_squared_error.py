"""Mean squared error, for regression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from hessinf.models.errors import ObjectiveError
from hessinf.models.objective import (
    Objective,
    at_least_single,
    examples_with_targets,
    whole_targets,
)
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data import Dataset
else:
    torch = lazy_import("torch")


@Objective.register("mean-squared-error")
class MeanSquaredError(Objective):
    """Squared differences between outputs and targets: the loss of regression.

    Registered as an `Objective` with name "mean-squared-error".

    Outputs are ``[B]`` or ``[B, T]``; targets have as many numbers. The loss of an example is
    ``mean_t (f_t - y_t)²``, without a factor ½, as in ``torch.nn.functional.mse_loss``. It is the
    negative log-likelihood, up to a constant, of a normal distribution with variance ``T / 2``
    (``1 / 2`` where the squares are summed), from which targets are sampled.

    Parameters
    ----------
    example_reduction
        How the ``T`` squares of one example add up: their mean, as in PyTorch, or their sum.
    """

    def __init__(self, example_reduction: Literal["mean", "sum"] = "mean") -> None:
        self.example_reduction = example_reduction

    @property
    def is_negative_log_likelihood(self) -> bool:
        """Whether the loss is -log of the density that targets are sampled from: always."""
        return True

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the loss of every example, ``[B]``."""
        outputs = at_least_single(outputs)
        squares = (outputs - self._like_outputs(outputs, targets)).square()
        squares = squares.reshape(outputs.shape[0], -1)  # [B, T]
        return squares.sum(1) / self._divisor(outputs)

    def sample_targets(
        self, outputs: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw targets from a normal distribution around the outputs."""
        noise = torch.randn(
            outputs.shape, generator=generator, device=generator.device, dtype=outputs.dtype
        ).to(outputs.device)
        return self._deviating(outputs, targets, noise)

    def quantile_shape(self, outputs: torch.Tensor) -> tuple[int, ...]:
        """Say that every output has one number: ``[B, ...]``."""
        return tuple(outputs.shape)

    def targets_at_quantiles(
        self, outputs: torch.Tensor, targets: torch.Tensor, quantiles: torch.Tensor
    ) -> torch.Tensor:
        """Return the quantiles of the normal distribution around the outputs."""
        noise = math.sqrt(2) * torch.erfinv(2 * quantiles - 1)  # [B, ...]
        return self._deviating(outputs, targets, noise.to(outputs.dtype))

    def _deviating(
        self, outputs: torch.Tensor, targets: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Move away from the outputs, by standard deviations ``[B, ...]``."""
        self._like_outputs(outputs, targets)
        sampled = outputs.detach() + math.sqrt(self._divisor(outputs) / 2) * noise
        return sampled.reshape(targets.shape).to(targets.dtype)

    def hessian_square_root_blocks(
        self, outputs: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Compute ``√(2 / T) I`` (``√2 I`` for a sum), ``[B, 1, T, T]``."""
        self._like_outputs(outputs, targets)
        number = self._number_of_outputs(outputs)
        eye = torch.eye(number, dtype=outputs.dtype, device=outputs.device)  # [T, T]
        root = math.sqrt(2 / self._divisor(outputs)) * eye
        return root.expand(outputs.shape[0], 1, number, number)

    def out_features(self, dataset: Dataset) -> int:
        """Say how many values a target has."""
        return dataset[0].target.numel()

    def predictions(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the values themselves: ``[B]``, or ``[B, T]`` where there are several."""
        return outputs.squeeze(1) if outputs.shape[1:] == (1,) else outputs

    def check_targets(self, dataset: Dataset, *, out_features: int | None = None) -> None:
        """Refuse class numbers, values that are not finite, and targets of unequal length."""
        number = self.out_features(dataset) if out_features is None else out_features
        whole = whole_targets(dataset)
        if (
            whole is not None
            and whole.is_floating_point()
            and whole[0].numel() == number
            and bool(whole.isfinite().all())
        ):
            return
        for description, target in examples_with_targets(dataset):
            if not target.is_floating_point():
                dtype = str(target.dtype).removeprefix("torch.")
                raise ObjectiveError(
                    f"{self.described} needs targets that are floating-point values, and the "
                    f'target of {description} is {dtype}; for classes try "cross-entropy", for '
                    "values give them as floats"
                )
            if target.numel() != number:
                raise ObjectiveError(
                    f"the target of {description} has {target.numel()} values, but {number} are "
                    "expected; give every example as many"
                )
            if not bool(target.isfinite().all()):
                raise ObjectiveError(
                    f"the target of {description} is not finite: {target.tolist()}; remove the "
                    "example, or fill the value in"
                )

    def _number_of_outputs(self, outputs: torch.Tensor) -> int:
        return math.prod(outputs.shape[1:])

    def _divisor(self, outputs: torch.Tensor) -> int:
        return self._number_of_outputs(outputs) if self.example_reduction == "mean" else 1

    def _like_outputs(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the targets in the shape and type of the outputs."""
        if outputs.shape[0] != targets.shape[0] or outputs.numel() != targets.numel():
            raise ObjectiveError(
                f"{self.described} needs one target for every output: found outputs "
                f"{list(outputs.shape)} and targets {list(targets.shape)}; the model has to have "
                "as many outputs as a target has values"
            )
        return targets.reshape(outputs.shape).to(outputs.dtype)
