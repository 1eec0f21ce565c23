"""Per-example gradients: a gradient an example, many examples at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import torch

from hessinf.data.batching import Batch
from hessinf.gradients.errors import GradientError
from hessinf.gradients.factored_gradients import FactoredGradients
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.gradients import Gradients
from hessinf.gradients.layers import LayerCapture
from hessinf.gradients.layers.general_route import GeneralRoute
from hessinf.gradients.out_of_memory import is_out_of_memory

logger = logging.getLogger(__name__)

ValueFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From outputs ``[B, ...]`` and targets ``[B, ...]`` to one number an example, ``[B]``."""

Part = tuple[Gradients, torch.Tensor]
"""Gradients of B examples, and their values ``[B]``."""


class PerExampleGradients:
    """Computes ∇_θ of one number an example: its loss, or a measurement.

    Gradients are made of what layers receive and give back (:class:`LayerCapture`) where that is
    possible, and stay factors until they are asked for as tensors (:class:`FactoredGradients`);
    by ``torch.func`` for the other parameters (for all, where those are the larger part), and one
    example after another for models that this cannot batch.

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
        self.capture = LayerCapture(model)
        """Says which parameters go which route, after the first batch."""
        self._general = GeneralRoute(model)
        self._by_layers = True
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
        parts = list(self.parts(batch))
        if len(parts) == 1:
            return parts[0]
        flat = torch.cat([gradients.flatten() for gradients, _ in parts])  # [B, P]
        values = torch.cat([values for _, values in parts])  # [B]
        return Gradients.from_flat(flat, self.model.layout), values

    def parts(self, batch: Batch) -> Iterator[Part]:
        """Compute a batch in parts that fit: the whole of it, as long as that does.

        Parameters
        ----------
        batch
            As for a call.

        Yields
        ------
        tuple of Gradients and torch.Tensor
            Of the next examples, in order.
        """
        start = 0
        while start < batch.size:
            size = min(self._at_once or batch.size, batch.size - start)
            some = batch.select(slice(start, start + size)) if size < batch.size else batch
            part = self._part(some)
            if part is None:
                logger.warning("out of memory with %d examples at once: halving", size)
                self._at_once = -(-size // 2)
                continue
            self._check_finite(*part, some)
            yield part
            start += size

    def numbers_formed(self, batch: Batch) -> int:
        """Say how many numbers of a gradient are no factors: all P, or those in no matrix.

        Parameters
        ----------
        batch
            Some examples, of which the first few are looked at where nothing is known yet.
        """
        size = self.model.layout.size
        if not self._by_layers:
            return size
        try:
            plan = self.capture.learn(batch)
        except RuntimeError as error:  # what it is about is told when gradients are computed
            if is_out_of_memory(error):
                raise
            return size
        if self._mostly_general():
            return size
        sizes = {name: value.numel() for name, value in self.model.parameters.items()}
        return sum(sizes[name] for name in (*plan.elementwise, *plan.general))

    def _mostly_general(self) -> bool:
        """Whether the pass for parameters without factors may as well do the rest."""
        sizes = {name: value.numel() for name, value in self.model.parameters.items()}
        return 2 * sum(sizes[name] for name in self.capture.general) > sum(sizes.values())

    @property
    def routes(self) -> dict[str, tuple[str, ...]]:
        """The parameters by the way that their gradients are computed, after the first batch.

        "layers" for matrices of layers, "elementwise" for scales and shifts, "general" for what
        goes through ``torch.func``, "idle" for what no output depends on.

        Raises
        ------
        GradientError
            Before the first batch.
        """
        if self._by_layers:
            return self.capture.routes
        names = tuple(self.model.parameters)
        return {"layers": (), "elementwise": (), "general": names, "idle": ()}

    def _part(self, batch: Batch) -> Part | None:
        """Compute some examples together; None where memory does not suffice for so many.

        Once this returns, nothing holds on to what was allocated in a failed try.
        """
        try:
            if self._by_layers:
                try:
                    return self._through_layers(batch)
                except RuntimeError as error:
                    if is_out_of_memory(error):
                        raise
                    found = self._one_by_one(batch)  # raises an error of the model itself
                    logger.warning(
                        "the model cannot be run for many examples together (%s); every example "
                        "goes through it by itself, which is slower and gives the same gradients",
                        str(error).partition("\n")[0],
                    )
                    self._by_layers = False
                    return found
            return self._one_by_one(batch)
        except RuntimeError as error:
            if batch.size > 1 and is_out_of_memory(error):
                return None
            raise

    def _through_layers(self, batch: Batch) -> Part:
        """Run all examples together, and make gradients of what each layer receives."""
        with self.capture.recording(batch, explains=False) as record:
            if self._mostly_general():
                self._by_layers = False
            else:
                outputs = record.outputs.requires_grad_()
                with torch.enable_grad():
                    values = self._checked(self.values(outputs, batch.targets), batch)  # [B]
                cotangents = self._cotangents(values, outputs)
                gradients = record.pull_back(cotangents.unsqueeze(0), last=True)
        if not self._by_layers:
            return self._one_by_one(batch)
        return FactoredGradients(gradients), values.detach()

    def _checked(self, values: torch.Tensor, batch: Batch) -> torch.Tensor:
        if values.shape != (batch.size,):
            raise GradientError(
                f"the {self.what} is a tensor of shape {list(values.shape)} for {batch.size} "
                f"examples; expected one number an example, shape [{batch.size}]"
            )
        return values

    def _cotangents(self, values: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        if not values.requires_grad:  # they do not depend on the outputs
            return torch.zeros_like(outputs)
        return torch.autograd.grad(values.sum(), outputs)[0]

    def _one_by_one(self, batch: Batch) -> Part:
        """Take every example through the model by itself, many of them at once where possible."""

        def value(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return self.values(outputs, target.unsqueeze(0))  # [1]

        names = list(self.model.parameters)
        gradients, values = self._general.differentiate(names, batch, batch.targets, value, 1)
        flat = self.model.layout.flatten(gradients, leading=2)[0]  # [B, P]
        return Gradients.from_flat(flat, self.model.layout), values[0]

    def _check_finite(self, gradients: Gradients, values: torch.Tensor, batch: Batch) -> None:
        if bool((values.sum() + gradients.bound()).isfinite()):
            return
        finite = values.isfinite() & gradients.flatten().isfinite().all(dim=1)  # [B]
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
