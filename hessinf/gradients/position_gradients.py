"""``PositionGradients``: gradients that know which position of a sequence they are of."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional

from hessinf.data.batching import Batch
from hessinf.gradients.errors import GradientError
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.layers import LayerCapture
from hessinf.gradients.layers.forward_pass import run_forward
from hessinf.gradients.layers.layer_gradients import LayerGradients
from hessinf.gradients.out_of_memory import is_out_of_memory
from hessinf.gradients.per_example import ValueFunction
from hessinf.gradients.position_products import PositionProducts, positional_dimensions

logger = logging.getLogger(__name__)


class PositionGradients:
    """Computes ∇_θ of one number an example, position by position of its sequence.

    Which layers work position by position is seen by going through the model once more, with
    sequences of another length: there is one dimension in what such a layer gives that follows. A
    model that takes sequences of one length only has positions where they are looked up in tables.

    Parameters
    ----------
    model
        The model as a function of θ.
    values
        What is differentiated.
    """

    def __init__(self, model: FunctionalModel, values: ValueFunction) -> None:
        self.model = model
        self.values = values
        self.capture = LayerCapture(model)

    def __call__(self, batch: Batch, sequence: Sequence[str]) -> PositionProducts:
        """Go through the model forth and back, and forth once more.

        Parameters
        ----------
        batch
            B examples, on the model's device.
        sequence
            The entries of the inputs that have a number, or several, for each position, in their
            dimension 1; ``""`` where inputs are one tensor. The first has whole numbers.

        Returns
        -------
        PositionProducts

        Raises
        ------
        GradientError
            When gradients are not made of what layers receive and give back; it names the
            parameters.
        """
        gradients = self._gradients(batch)
        tokens = _entry(batch.inputs, sequence[0])  # [B, S]
        length = tokens.shape[1]
        shapes = self._shapes_at(batch, sequence, length)
        if shapes is None:
            positional = _lookups(gradients, tokens)
        else:
            positional = positional_dimensions(gradients, length, *shapes)
        return PositionProducts(gradients, length, positional)

    def _gradients(self, batch: Batch) -> LayerGradients:
        try:
            with self.capture.recording(batch) as record:
                self._require_layers()
                outputs = record.outputs.requires_grad_()
                with torch.enable_grad():
                    total = self.values(outputs, batch.targets).sum()
                cotangents = torch.autograd.grad(total, outputs)[0]  # [B, ...]
                gradients = record.pull_back(cotangents.unsqueeze(0), last=True)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            first_line = str(error).partition("\n")[0]
            raise GradientError(
                "the layers of the model cannot be looked into, so that its gradients cannot be "
                f"split by position: it cannot be run for many examples together ({first_line})"
            ) from error
        self._require_layers()  # a pass may bring out more
        return gradients

    def _require_layers(self) -> None:
        general = self.capture.general
        if general:
            shown = ", ".join(f'"{name}"' for name in general[:5])
            more = f" and {len(general) - 5} more" if len(general) > 5 else ""
            reason = self.capture.plan.general[general[0]]
            raise GradientError(
                f"the gradients of {shown}{more} are not made of what layers receive and give back "
                f"({reason}), so that they cannot be split by position; leave such parameters out "
                "with params_to_freeze"
            )

    def _shapes_at(
        self, batch: Batch, sequence: Sequence[str], length: int
    ) -> tuple[dict[str, torch.Size], int] | None:
        """Say what shapes calls give for sequences of another length; None if there are none."""
        plan = self.capture.plan
        for other in (length - 1, length + 1):
            if not other:
                continue
            inputs = _resized(batch.inputs, sequence, other)
            try:
                forward = run_forward(
                    self.model,
                    replace(batch, inputs=inputs),
                    shared=plan.shared,
                    idle=plan.idle,
                )
            except Exception as error:
                # Whatever a module says of a length that it does not take.
                logger.debug("sequences of %d positions: %s", other, error)
                continue
            return {call.site: call.shape for call in forward.calls}, other
        return None


def _entry(inputs: Any, name: str) -> torch.Tensor:
    tensor: torch.Tensor = inputs[name] if isinstance(inputs, Mapping) else inputs
    return tensor


def _resized(inputs: Any, sequence: Sequence[str], length: int) -> Any:
    """Cut sequences to a length, or pad them with zeros as batches are."""
    if not isinstance(inputs, Mapping):
        return _of_length(inputs, length)
    return {
        name: _of_length(tensor, length) if name in sequence else tensor
        for name, tensor in inputs.items()
    }


def _of_length(tensor: torch.Tensor, length: int) -> torch.Tensor:
    missing = length - tensor.shape[1]
    if missing <= 0:
        return tensor[:, :length]
    return functional.pad(tensor, (0, 0) * (tensor.ndim - 2) + (0, missing))


def _lookups(gradients: LayerGradients, tokens: torch.Tensor) -> dict[str, int]:
    """Find the calls that look up the tokens themselves: there each has its own position."""
    return {
        call.site: 1
        for call, _ in gradients.calls
        if call.gradient_side == "columns"
        and call.inputs["ids"].shape == tokens.shape
        and bool((call.inputs["ids"] == tokens).all())
    }
