"""Networks that are called one after the other, where :class:`StackedNetworks` calls all."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hessinf.models.forward import forward
from hessinf.training import module_state


class SeparateNetworks:
    """``M`` networks.

    Parameters
    ----------
    modules
        The networks, of one kind, on one device.
    """

    def __init__(self, modules: Sequence[torch.nn.Module]) -> None:
        self.modules = modules
        self.number = len(modules)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.modules[0].parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the first parameter that is trained."""
        return module_state.trained_parameters(self.modules[0])[0].dtype

    def outputs_of_all(self, inputs: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
        """Compute the outputs of every network for the same inputs ``[B, ...]``, ``[M, B, ...]``.

        In evaluation mode.
        """
        outputs = []
        for module in self.modules:
            with module_state.mode(module, training=False):
                outputs.append(forward(module, inputs))
        return torch.stack(outputs)

    def make_module(self, row: int) -> torch.nn.Module:
        """Return a copy of one of the networks, on the CPU."""
        return module_state.copied(self.modules[row]).cpu()
