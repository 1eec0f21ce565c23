"""Per-example gradients of any parameters: ``torch.func``, or one example at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.func import grad_and_value, vjp, vmap

from hessinf.data.batching import Batch
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.layers.fault import explained
from hessinf.gradients.layers.forward_pass import detached
from hessinf.gradients.out_of_memory import is_out_of_memory

logger = logging.getLogger(__name__)

Numbers = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From the outputs ``[1, ...]`` of one example, and what it has of its own, to numbers ``[K]``."""


def combined(outputs: torch.Tensor, cotangents: torch.Tensor) -> torch.Tensor:
    """Multiply the outputs ``[1, ...]`` of an example with each of ``[K, ...]``: ``[K]``."""
    return (cotangents * outputs).reshape(len(cotangents), -1).sum(1)


class GeneralRoute:
    """Differentiates in chosen parameters, for any model that PyTorch can differentiate.

    Parameters
    ----------
    model
        The model as a function of θ.
    """

    def __init__(self, model: FunctionalModel) -> None:
        self.model = model
        self._one_at_a_time = False

    def pull_back(
        self, names: Sequence[str], batch: Batch, cotangents: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Compute ``cotangent · ∂outputs/∂θ`` of every example.

        Parameters
        ----------
        names
            The parameters asked for.
        batch
            B examples.
        cotangents
            ``[K, B, ...]``.

        Returns
        -------
        dict of str to torch.Tensor
            ``[K, B, *shape]``.
        """
        if len(cotangents) == 0:
            shapes = {name: self.model.parameters[name].shape for name in names}
            return {n: cotangents.new_zeros(0, batch.size, *shape) for n, shape in shapes.items()}
        own = cotangents.transpose(0, 1)  # [B, K, ...]
        return self.differentiate(names, batch, own, combined, len(cotangents))[0]

    def differentiate(
        self,
        names: Sequence[str],
        batch: Batch,
        own: torch.Tensor,
        numbers: Numbers,
        count: int,
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Differentiate numbers of every example.

        Parameters
        ----------
        names
            The parameters asked for.
        batch
            B examples.
        own
            ``[B, ...]``: what ``numbers`` needs of each example beside its outputs.
        numbers
            Computes K numbers of an example.
        count
            K.

        Returns
        -------
        dict of str to torch.Tensor
            Their gradients, ``[K, B, *shape]``.
        torch.Tensor
            The numbers, ``[K, B]``.

        Raises
        ------
        GradientError
            When PyTorch cannot differentiate the model; it names the module.
        """
        if not self._one_at_a_time:
            try:
                return self._together(names, batch, own, numbers, count)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                found = self._loop(names, batch, own, numbers)  # raises an error of the model
                logger.warning(
                    "the model cannot be differentiated for many examples at once (%s); going on "
                    "one example at a time, which is slower and gives the same gradients",
                    str(error).partition("\n")[0],
                )
                self._one_at_a_time = True
                return found
        return self._loop(names, batch, own, numbers)

    def _together(
        self,
        names: Sequence[str],
        batch: Batch,
        own: torch.Tensor,
        numbers: Numbers,
        count: int,
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        chosen = {name: self.model.parameters[name] for name in names}

        def of_one(inputs: Any, own: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
            one = (
                {name: tensor.unsqueeze(0) for name, tensor in inputs.items()}
                if isinstance(inputs, dict)
                else inputs.unsqueeze(0)
            )

            def forward(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
                return numbers(
                    self.model.outputs({**self.model.parameters, **parameters}, one), own
                )

            if count == 1:
                row, number = grad_and_value(lambda theta: forward(theta).squeeze(0))(chosen)
                return {name: x.unsqueeze(0) for name, x in row.items()}, number.unsqueeze(0)
            found, pull = vjp(forward, chosen)[:2]  # [K]
            eye = torch.eye(count, dtype=found.dtype, device=found.device)
            return vmap(lambda row: pull(row)[0])(eye), found

        # Recurrent layers cannot be pulled back through where gradients are switched off.
        with torch.enable_grad():
            gradients, found = vmap(of_one, out_dims=1)(detached(batch.inputs), own.detach())
        return {name: x.detach() for name, x in gradients.items()}, found.detach()

    def _loop(
        self, names: Sequence[str], batch: Batch, own: torch.Tensor, numbers: Numbers
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        rows = [
            one_by_one(
                self.model, names, batch.select(slice(place, place + 1)), own[place], numbers
            )
            for place in range(batch.size)
        ]
        gradients = {name: torch.stack([row[0][name] for row in rows], dim=1) for name in names}
        return gradients, torch.stack([row[1] for row in rows], dim=1)


def one_by_one(
    model: FunctionalModel,
    names: Sequence[str],
    one: Batch,
    own: torch.Tensor,
    numbers: Numbers,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Differentiate K numbers of a single example by plain autograd.

    Parameters
    ----------
    model
        The model as a function of θ.
    names
        The parameters asked for.
    one
        A batch of one.
    own, numbers
        See :meth:`GeneralRoute.differentiate`.

    Returns
    -------
    dict of str to torch.Tensor
        ``[K, *shape]``.
    torch.Tensor
        The numbers, ``[K]``.
    """
    leaves = {name: model.parameters[name].detach().requires_grad_() for name in names}
    with explained(model, one), torch.enable_grad():
        found = numbers(model.outputs({**model.parameters, **leaves}, one.inputs), own)  # [K]
        rows = [
            torch.autograd.grad(
                number,
                list(leaves.values()),
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            if number.requires_grad  # otherwise it depends on no parameter
            else [torch.zeros_like(leaf) for leaf in leaves.values()]
            for number in found
        ]
    return {
        name: torch.stack([row[place] for row in rows]) for place, name in enumerate(leaves)
    }, found.detach()
