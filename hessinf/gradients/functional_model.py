"""A module as a function of its parameters, without ever changing the module itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.func import functional_call

from hessinf.gradients.checkpoints import without_checkpoints
from hessinf.gradients.errors import GradientError
from hessinf.gradients.layout import ParameterLayout
from hessinf.gradients.plain_kernels import (
    UnfusedWeightNorm,
    normalizes_weights,
    unfused_layers,
    without_compilation,
)


class FunctionalModel:
    """A module, its parameters taken out, so that outputs are a function of them.

    Parameters are used where they lie, or copied when another device or type is asked for; buffers
    are copied, since a module may write into them. The module keeps its own.

    Parameters
    ----------
    module
        The trained module.
    params_to_freeze
        Regular expressions; a parameter whose name one of them matches anywhere (``re.search``) is
        left out of θ.
    device
        Where to compute.
    dtype
        The type to compute in; the parameters' own when None.
    keep
        The names that make up θ, where that is decided already.

    Raises
    ------
    GradientError
        When no parameter is left, an expression matches none, or a name of ``keep`` is unknown.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        params_to_freeze: Sequence[str] = (),
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        keep: Collection[str] | None = None,
    ) -> None:
        self.module = module
        self.device = torch.device(device)
        named = dict(module.named_parameters())
        frozen = _frozen_names(named, params_to_freeze)
        floating = [value.dtype for value in named.values() if value.is_floating_point()]
        if not floating:
            raise GradientError("the model has no parameters, so no example can have influenced it")
        unknown = [name for name in keep or () if name not in named]
        if unknown:
            raise GradientError(
                f"the model has no parameter {', '.join(unknown)}; there are: {', '.join(named)}"
            )
        self.dtype = dtype or floating[0]
        self.parameters = {
            name: self._place(value)
            for name, value in named.items()
            if (value.requires_grad and name not in frozen if keep is None else name in keep)
        }
        """θ: the parameters that influence is about."""
        if not self.parameters:
            if keep is not None:
                raise GradientError(f"no parameter is left: keep is empty, {len(named)} exist")
            raise GradientError(
                f"no parameter is left: {len(frozen)} of {len(named)} are frozen by "
                f"params_to_freeze={list(params_to_freeze)}, the others by requires_grad=False"
            )
        self.constants = {
            name: self._place(value) for name, value in named.items() if name not in self.parameters
        } | {name: self._place(value, copy=True) for name, value in module.named_buffers()}
        self.slots = slots_of(module)
        """Of each place in the module that holds a parameter or buffer, which one that is."""
        self._recurrent = [x for x in module.modules() if isinstance(x, torch.nn.RNNBase)]
        self._normalizes_weights = normalizes_weights(module)
        self._evaluating = False
        self.layout = ParameterLayout({name: x.shape for name, x in self.parameters.items()})
        self.coverage = self.layout.size / sum(value.numel() for value in named.values())
        """The share of the model's parameters that θ holds."""

    def _place(self, value: torch.Tensor, copy: bool = False) -> torch.Tensor:
        dtype = value.dtype
        if value.is_floating_point():
            dtype = self.dtype
        elif value.is_complex():
            dtype = self.dtype.to_complex()
        return value.detach().to(device=self.device, dtype=dtype, copy=copy)

    def outputs(self, parameters: Mapping[str, torch.Tensor], inputs: Any) -> torch.Tensor:
        """Compute the outputs ``[B, ...]`` for a batch's inputs, at given parameters θ."""
        values = {**self.constants, **parameters}
        return self.outputs_at({slot: values[name] for slot, name in self.slots.items()}, inputs)

    def outputs_at(self, values: Mapping[str, torch.Tensor], inputs: Any) -> torch.Tensor:
        """Compute the outputs as :meth:`outputs` does, θ given by the places in the module.

        Parameters
        ----------
        values
            By slot; a parameter that several places share may be another tensor in each. Places
            that are left out hold what is no part of θ.
        inputs
            A batch's.
        """
        state = {
            slot: values[slot] if slot in values else self.constants[name]
            for slot, name in self.slots.items()
        }
        with (
            without_checkpoints(),
            without_compilation(),
            unfused_layers(recurrent=bool(self._recurrent) and self.device.type == "cuda"),
            UnfusedWeightNorm() if self._normalizes_weights else nullcontext(),
        ):
            if isinstance(inputs, dict):
                outputs = functional_call(self.module, state, (), inputs, tie_weights=False)
            else:
                outputs = functional_call(self.module, state, (inputs,), tie_weights=False)
        return _output_tensor(outputs)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put the module into evaluation mode, and every submodule back as it was at the end.

        Attributes that are tensors go back too: a forward pass may keep activations or normalised
        weights there, and those of ours are of no use outside, and cannot be copied or saved.
        """
        if torch.is_inference_mode_enabled():  # second derivatives would be wrong, without an error
            raise GradientError(
                "derivatives cannot be taken inside torch.inference_mode(); call this outside of it"
            )
        submodules = list(self.module.modules())
        if self._evaluating and not any(submodule.training for submodule in submodules):
            yield  # the block around this one puts everything back
            return
        attributes = [
            (submodule, submodule.training, dict(vars(submodule))) for submodule in submodules
        ]
        self.module.eval()
        self._evaluating = True
        try:
            yield
        finally:
            self._evaluating = False
            for submodule, training, before in attributes:
                submodule.training = training
                present = vars(submodule)
                for name, value in list(present.items()):
                    if isinstance(value, torch.Tensor) and name not in before:
                        del present[name]
                    elif isinstance(value, torch.Tensor):
                        present[name] = before[name]
            for recurrent in self._recurrent:
                # These keep a list of the weights they last ran with: give them their own again.
                recurrent._init_flat_weights()


def slots_of(module: torch.nn.Module) -> dict[str, str]:
    """Say of each place that holds a parameter or buffer which one that is, by its first name.

    Shared parameters stand in several places. A shared submodule has several names, and its places
    must be filled once only: ``functional_call`` would otherwise not give the module its own back.
    """
    named = (*module.named_parameters(), *module.named_buffers())
    names: dict[int, str] = {}
    for name, value in named:
        names.setdefault(id(value), name)
    return {
        f"{path}.{key}" if path else key: names[id(value)]
        for path, submodule in module.named_modules()
        for held in (submodule._parameters, submodule._buffers)
        for key, value in held.items()
        if value is not None
    }


def _frozen_names(named: Mapping[str, torch.Tensor], patterns: Sequence[str]) -> set[str]:
    frozen: set[str] = set()
    for pattern in patterns:
        try:
            matching = {name for name in named if re.search(pattern, name)}
        except re.error as error:
            raise GradientError(
                f'params_to_freeze: "{pattern}" is no regular expression: {error}'
            ) from error
        if not matching:
            raise GradientError(
                f'params_to_freeze: "{pattern}" matches no parameter; there are: '
                + ", ".join(named)
            )
        frozen |= matching
    return frozen


def _output_tensor(outputs: Any) -> torch.Tensor:
    """Find the logits in what a module returns: a tensor, or an object or dict with ``logits``."""
    if isinstance(outputs, torch.Tensor):
        return outputs
    logits = outputs.get("logits") if isinstance(outputs, Mapping) else None
    logits = getattr(outputs, "logits", None) if logits is None else logits
    if isinstance(logits, torch.Tensor):
        return logits
    raise GradientError(
        f"the model returns a {type(outputs).__name__}; expected a tensor, or an object or dict "
        "with `logits`"
    )
