"""Per-example gradients by ``torch.func``: a gradient an example, many examples at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.func import grad_and_value, vmap

from hessinf.data.batching import Batch
from hessinf.gradients.errors import GradientError
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.gradients import Gradients
from hessinf.gradients.out_of_memory import is_out_of_memory

logger = logging.getLogger(__name__)

ValueFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From outputs ``[B, ...]`` and targets ``[B, ...]`` to one number an example, ``[B]``."""


class PerExampleGradients:
    """Computes ∇_θ of one number an example: its loss, or a measurement.

    Parameters
    ----------
    model
        The model as a function of θ.
    values
        What is differentiated.
    what
        How errors call it: ``"training loss"``.
    """

    def __init__(self, model: FunctionalModel, values: ValueFunction, what: str) -> None:
        self.model = model
        self.values = values
        self.what = what
        self._one_at_a_time = False
        self._at_once: int | None = None

    def __call__(self, batch: Batch) -> tuple[Gradients, torch.Tensor]:
        """Compute gradients and values of a batch.

        Parameters
        ----------
        batch
            B examples, on the model's device.

        Returns
        -------
        Gradients
            Of B examples.
        torch.Tensor
            The values, ``[B]``.

        Raises
        ------
        GradientError
            When a gradient is not finite, or the model cannot be differentiated.
        """
        gradients, values = self._compute(batch)
        flat = self.model.layout.flatten(gradients, leading=1)  # [B, P]
        self._check_finite(flat, values, batch)
        return Gradients.from_flat(flat, self.model.layout), values

    def _compute(self, batch: Batch) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Compute a batch in parts that fit: the whole of it, as long as that does."""
        while True:
            size = min(self._at_once or batch.size, batch.size)
            parts = []
            for start in range(0, batch.size, size):
                part = self._part(batch.select(slice(start, start + size)))
                if part is None:
                    break
                parts.append(part)
            else:
                return _join(parts)
            logger.warning("out of memory with %d examples at once: halving", size)
            self._at_once = -(-size // 2)

    def _part(self, batch: Batch) -> tuple[dict[str, torch.Tensor], torch.Tensor] | None:
        """Compute some examples together; None where memory does not suffice for so many.

        Once this returns, nothing holds on to what was allocated in a failed try.
        """
        if self._one_at_a_time:
            return self._loop(batch)
        try:
            with torch.no_grad():  # nothing beyond these gradients is to be differentiated
                gradients, values = vmap(grad_and_value(self._value), in_dims=(None, 0, 0))(
                    self.model.parameters, batch.inputs, batch.targets
                )
        except RuntimeError as error:
            if is_out_of_memory(error):
                if batch.size == 1:
                    raise
                return None
            # Some modules (in-place state, branches on values) cannot be batched by vmap.
            gradients_and_values = self._loop(batch)  # an error of the model itself is raised here
            logger.warning(
                "the model cannot be differentiated for many examples at once (%s); going on one "
                "example at a time, which is slower and gives the same gradients",
                str(error).partition("\n")[0],
            )
            self._one_at_a_time = True
            return gradients_and_values
        return gradients, values

    def _value(
        self, parameters: dict[str, torch.Tensor], inputs: Any, target: torch.Tensor
    ) -> torch.Tensor:
        """Compute the value of one example, whose tensors have no batch dimension."""
        one = (
            {name: tensor.unsqueeze(0) for name, tensor in inputs.items()}
            if isinstance(inputs, dict)
            else inputs.unsqueeze(0)
        )
        outputs = self.model.outputs(parameters, one)  # [1, ...]
        return self.values(outputs, target.unsqueeze(0)).squeeze(0)

    def _loop(self, batch: Batch) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        rows = []
        for place in range(batch.size):
            one = batch.select(slice(place, place + 1))
            parameters = {
                name: value.detach().requires_grad_()
                for name, value in self.model.parameters.items()
            }
            with torch.enable_grad():
                outputs = self.model.outputs(parameters, one.inputs)  # [1, ...]
                value = self.values(outputs, one.targets).squeeze(0)
                gradients = _gradients(value, list(parameters.values()))
            rows.append((gradients, value.detach()))
        stacked = [torch.stack(column) for column in zip(*(row[0] for row in rows), strict=True)]
        names = list(self.model.parameters)
        return dict(zip(names, stacked, strict=True)), torch.stack([row[1] for row in rows])

    def _check_finite(self, flat: torch.Tensor, values: torch.Tensor, batch: Batch) -> None:
        finite = values.isfinite() & flat.isfinite().all(dim=1)  # [B]
        if bool(finite.all()):
            return
        place = int((~finite).nonzero()[0])
        index = int(batch.indices[place])
        if bool(values[place].isfinite()):
            what = f"the gradient of the {self.what} is not finite"
        else:
            what = f"the {self.what} is {values[place].item()}"
        raise GradientError(
            f"{what} at example {index}; likely causes: NaN or huge values among its inputs, a "
            "model whose training diverged, or a square root or logarithm at zero"
        )


def _gradients(value: torch.Tensor, parameters: list[torch.Tensor]) -> Sequence[torch.Tensor]:
    if not value.requires_grad:  # it depends on no parameter
        return [torch.zeros_like(parameter) for parameter in parameters]
    return torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)


def _join(
    parts: list[tuple[dict[str, torch.Tensor], torch.Tensor]],
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    if len(parts) == 1:
        return parts[0]
    names = parts[0][0]
    gradients = {name: torch.cat([gradients[name] for gradients, _ in parts]) for name in names}
    return gradients, torch.cat([values for _, values in parts])
