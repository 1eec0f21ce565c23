"""Which module is to blame when PyTorch cannot differentiate a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook

from hessinf.data.batching import Batch
from hessinf.gradients.errors import GradientError
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.layers.forward_pass import ForwardPass
from hessinf.gradients.layers.tensors_among import tensors_among
from hessinf.gradients.out_of_memory import is_out_of_memory


@contextmanager
def explained(model: FunctionalModel, one: Batch) -> Iterator[None]:
    """Turn an error of differentiation into one that names the module it comes from.

    Errors that the model has without derivatives too are its own, and are left as they are.

    Parameters
    ----------
    model
        What is differentiated inside.
    one
        The batch that this is done with.

    Raises
    ------
    GradientError
        In place of a RuntimeError of PyTorch's automatic differentiation.
    """
    try:
        yield
    except RuntimeError as error:  # NotImplementedError among them
        if is_out_of_memory(error) or not _runs_without_derivatives(model, one):
            raise
        reason = str(error).partition("\n")[0].partition(" Hint:")[0].rstrip(".")
        where = _first_failing(model, one)
        raise GradientError(
            f"PyTorch cannot differentiate {where}: {reason}; likely causes: it writes into a "
            "tensor that its own derivative needs, or has an operation without a derivative; "
            "replace that, or freeze the parameters before it with params_to_freeze"
        ) from error


def require_no_state(model: FunctionalModel, batch: Batch, forward: ForwardPass) -> None:
    """Check that a pass which has written into buffers would give the same once more.

    Parameters
    ----------
    model
        The model as a function of θ.
    batch
        What it ran on.
    forward
        What that left.

    Raises
    ------
    GradientError
        When it would not: there is no such thing as the gradient then.
    """
    if not forward.written:
        return
    with torch.no_grad():
        again = model.outputs(model.parameters, batch.inputs)
    tolerance = 8 * torch.finfo(again.dtype).eps
    if torch.allclose(forward.outputs, again, rtol=tolerance, atol=tolerance, equal_nan=True):
        return
    buffer = forward.written[0]
    raise GradientError(
        f'the module "{buffer.rpartition(".")[0]}" writes into its buffer "{buffer}" in its '
        "forward pass, and gives something else the next time, though it is in eval(); let it do "
        "so in training only"
    )


def _runs_without_derivatives(model: FunctionalModel, one: Batch) -> bool:
    try:
        with torch.no_grad():
            model.outputs(model.parameters, one.inputs)
    except RuntimeError:
        return False
    return True


class _Found(Exception):
    """Ends a forward pass at the module that was looked for."""


def _first_failing(model: FunctionalModel, one: Batch) -> str:
    """Name the innermost module after which derivatives cannot be had any more."""
    leaves = {name: x.detach().requires_grad_() for name, x in model.parameters.items()}
    names = {id(module): name for name, module in model.module.named_modules()}
    running: list[torch.nn.Module] = []
    found: list[torch.nn.Module] = []

    def enter(module: torch.nn.Module, _: Any) -> None:
        running.append(module)

    def leave(module: torch.nn.Module, _: Any, result: Any) -> None:
        running.pop()
        varying = [value for value in tensors_among(result) if value.requires_grad]
        if not varying:
            return
        try:
            torch.autograd.grad(
                [value.sum() for value in varying],
                list(leaves.values()),
                retain_graph=True,
                allow_unused=True,
            )
        except RuntimeError as error:
            found.append(module)
            raise _Found from error

    handles = [
        torch.nn.modules.module.register_module_forward_pre_hook(enter),
        register_module_forward_hook(leave),
    ]
    try:
        with torch.enable_grad():
            model.outputs(leaves, one.inputs)
    except (_Found, RuntimeError):
        found += running[-1:]
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        return "what is computed of the model's outputs"
    name, kind = names.get(id(found[0]), ""), type(found[0]).__name__
    return f'the module "{name}" ({kind})' if name else f"the model ({kind}) itself"
