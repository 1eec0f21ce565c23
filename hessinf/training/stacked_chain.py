"""The commonest networks without ``torch.vmap``: linear layers, and functions of single numbers.

PyTorch multiplies and adds the bias of all models in one call here, and nothing of its machinery
for batching is gone through: a third faster where models are small or few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hessinf.models.networks import ACTIVATIONS, FlatSequential

POINTWISE = frozenset(ACTIVATIONS.values())
SEQUENCES = frozenset({nn.Sequential, FlatSequential})


@dataclass(frozen=True)
class StackedChain:
    """Layers that are called one after the other, of many networks at once.

    Parameters
    ----------
    layers
        By the names of their places in the module: linear ones, and functions of single numbers.
    flattens
        Whether inputs are flattened first.
    """

    layers: Sequence[tuple[str, nn.Module]]
    flattens: bool

    def outputs(
        self, values: Mapping[str, tuple[torch.Tensor, bool]], inputs: torch.Tensor, number: int
    ) -> torch.Tensor:
        """Compute the outputs of ``M`` networks, ``[M, B, ...]``.

        Parameters
        ----------
        values
            Parameters by their places in the module; and whether they are stacked, ``[M, ...]``,
            or the same for all.
        inputs
            ``[M, B, features]``, or ``[1, B, features]`` where all see the same.
        number
            M.
        """

        def of_all(name: str) -> torch.Tensor:
            value, stacked = values[name]
            return value if stacked else value.expand(number, *value.shape)

        outputs = inputs.flatten(2).expand(number, -1, -1)  # [M, B, F]
        for name, layer in self.layers:
            if not isinstance(layer, nn.Linear):
                outputs = layer(outputs)
                continue
            matrices = of_all(f"{name}.weight").mT  # [M, F, F']
            if layer.bias is None:
                outputs = torch.bmm(outputs, matrices)
            else:
                outputs = torch.baddbmm(of_all(f"{name}.bias").unsqueeze(1), outputs, matrices)
        return outputs


def chain_of(module: nn.Module) -> StackedChain | None:
    """Return the layers of a network that is such a chain, else None."""
    if not isinstance(module, nn.Sequential) or type(module) not in SEQUENCES:
        return None
    names = {layer: name for name, layer in module.named_children()}
    # A layer that stands in two places has the name of the first one.
    layers = [(names[layer], layer) for layer in module]
    if any(type(layer) not in {nn.Linear, *POINTWISE} for layer in names):
        return None
    if any(_is_hooked(one) for one in (module, *names)):
        return None
    return StackedChain(layers, isinstance(module, FlatSequential))


def _is_hooked(module: nn.Module) -> bool:
    """Whether calling a module does more than its forward pass."""
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)
