"""Many networks of one kind as one: their parameters side by side in tensors ``[M, ...]``."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.func import functional_call

from hessinf.gradients.functional_model import slots_of
from hessinf.models.forward import forward
from hessinf.training import module_state
from hessinf.training.errors import ObstacleError
from hessinf.training.stacked_chain import chain_of


class StackedNetworks:
    """``M`` networks that differ in nothing but the values of parameters and buffers.

    Parameters
    ----------
    modules
        The networks, one after the other: each is looked at once, and not kept. The first one says
        what is computed.
    number
        How many there are.
    device
        Where the values lie.

    Raises
    ------
    ObstacleError
        When a network has other parameters or buffers than the first.
    """

    def __init__(
        self, modules: Iterable[torch.nn.Module], number: int, device: torch.device
    ) -> None:
        self.number = number
        self.trained: dict[str, torch.Tensor] = {}
        """Parameters that require gradients, ``[M, ...]`` each."""
        self.own: dict[str, torch.Tensor] = {}
        """Other parameters, and buffers, that are not the same in all networks, ``[M, ...]``."""
        self.shared: dict[str, torch.Tensor] = {}
        """Other parameters, and buffers, that are the same in all."""
        for row, module in enumerate(modules):
            if row == 0:
                self._unused = module_state.copied(module).cpu()
                self.module = copy.deepcopy(self._unused).to(device)
                """The first network, whose own values are of no account."""
            self._take(row, module)
        for value in self.trained.values():
            value.requires_grad_()
        self._slots = slots_of(self.module)
        self._chain = chain_of(self.module)

    def _take(self, row: int, module: torch.nn.Module) -> None:
        trained, others = _values(module)
        known = {**self.trained, **self.own, **self.shared}
        if row and {**trained, **others}.keys() != known.keys():
            raise ObstacleError("models have other parameters or buffers than the first of them")
        for name, value in trained.items():
            self._put(self.trained, name, row, value)
        for name, value in others.items():
            if row == 0:
                self.shared[name] = value.to(self.device).clone()
                continue
            first = self.shared.get(name)
            if first is not None and (
                first.shape != value.shape or not torch.equal(first, value.to(first.device))
            ):
                for earlier in range(row):
                    self._put(self.own, name, earlier, first)
                del self.shared[name]
            if name in self.own:
                self._put(self.own, name, row, value)

    def _put(
        self, stacks: dict[str, torch.Tensor], name: str, row: int, value: torch.Tensor
    ) -> None:
        if name not in stacks:
            stacks[name] = value.new_empty((self.number, *value.shape), device=self.device)
        stack = stacks[name]
        if (stack.shape[1:], stack.dtype) != (value.shape, value.dtype):
            raise ObstacleError(
                f'"{name}" is {_kind(value)} in one model and {_kind(stack[0])} in the first'
            )
        stack[row] = value.to(self.device)

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return next(self.module.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the first parameter that is trained."""
        return next(iter(self.trained.values())).dtype

    def outputs_of_each(self, inputs: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
        """Compute the outputs of every network for inputs of its own ``[M, B, ...]``, alike."""
        return self._outputs(inputs, 0)

    def outputs_of_all(self, inputs: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
        """Compute the outputs of every network for the same inputs ``[B, ...]``, ``[M, B, ...]``.

        In evaluation mode.
        """
        with module_state.mode(self.module, training=False):
            return self._outputs(inputs, None)

    def _outputs(self, inputs: Any, axis: int | None) -> torch.Tensor:
        """Compute outputs; ``axis`` is that of the networks in the inputs."""
        values = {**self.trained, **self.own}
        if self._chain is not None and isinstance(inputs, torch.Tensor):
            rows = inputs if axis == 0 else inputs[None]  # [M or 1, B, ...]
            if rows.dim() == 3 or self._chain.flattens:
                known = {name: (value, True) for name, value in values.items()}
                known |= {name: (value, False) for name, value in self.shared.items()}
                places = {slot: known[name] for slot, name in self._slots.items()}
                return self._chain.outputs(places, rows, self.number)
        outputs: torch.Tensor = torch.vmap(self._outputs_of_one, in_dims=(0, axis))(values, inputs)
        return outputs

    def _outputs_of_one(self, values: Mapping[str, torch.Tensor], inputs: Any) -> torch.Tensor:
        known = {**self.shared, **values}
        state = {slot: known[name] for slot, name in self._slots.items()}

        def call(*args: torch.Tensor, **kwargs: torch.Tensor) -> Any:
            return functional_call(self.module, state, args, kwargs, tie_weights=False)

        return forward(call, inputs)

    def values_of(self, row: int) -> dict[str, torch.Tensor]:
        """Return views of the parameters that are trained of one network."""
        return {name: value.detach()[row] for name, value in self.trained.items()}

    def make_module(self, row: int) -> torch.nn.Module:
        """Return one of the networks as a module, on the CPU."""
        # The one that is called may keep batched activations in attributes.
        module = copy.deepcopy(self._unused)
        state = {name: value[row] for name, value in self.own.items()}
        state |= {**self.shared, **self.values_of(row)}
        trained, others = _values(module)
        for name, value in {**trained, **others}.items():
            value.copy_(state[name])
        return module

    def keep(self, rows: Sequence[int]) -> None:
        """Keep some networks, in this order, and let go of the others."""
        self.number = len(rows)
        for value in self.trained.values():
            value.grad = None  # of another shape from now on
            value.data = _rows(value.detach(), rows)
        self.own = {name: _rows(value, rows) for name, value in self.own.items()}

    def replace(self, trained: Mapping[str, torch.Tensor], own: dict[str, torch.Tensor]) -> None:
        """Take other values of trained and other parameters, of any number of networks."""
        for name, value in self.trained.items():
            value.grad = None
            value.data = trained[name]
        self.own = own
        self.number = len(next(iter(trained.values())))


def kept_state(optimizer: torch.optim.Optimizer, rows: Sequence[int]) -> None:
    """Keep some models in an optimizer's state, to be called before they are kept themselves.

    Parameters
    ----------
    optimizer
        Of elementwise rules, over stacked parameters: what it keeps of each is a tensor of the
        same shape, or counts steps, which are those of all models.
    rows
        The models that go on.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                state[name] = _rows(value, rows)


def _rows(value: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
    return value.index_select(0, torch.tensor(rows, device=value.device))


def _values(
    module: torch.nn.Module,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return what is trained of a module, and its other parameters and buffers."""
    trained: dict[str, torch.Tensor] = {}
    others: dict[str, torch.Tensor] = {}
    for name, value in module.named_parameters():
        (trained if value.requires_grad else others)[name] = value.detach()
    others |= {name: value.detach() for name, value in module.named_buffers()}
    return trained, others


def _kind(value: torch.Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
