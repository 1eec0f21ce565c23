"""What of a module is trained, copies of it, and leaving its modes and gradients as they were."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hessinf.training.errors import TrainingError


def trained_parameters(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Return the parameters that require gradients.

    Raises
    ------
    TrainingError
        When there are none.
    """
    parameters = [value for value in module.parameters() if value.requires_grad]
    if not parameters:
        raise TrainingError(
            "the model has no parameter that requires gradients, so that nothing can be trained; "
            "unfreeze some"
        )
    return parameters


def copied(module: torch.nn.Module) -> torch.nn.Module:
    """Copy a module, also where it keeps activations of its last forward pass in attributes."""
    kept = [
        value
        for layer in module.modules()
        for value in vars(layer).values()
        if isinstance(value, torch.Tensor) and value.grad_fn is not None
    ]
    return copy.deepcopy(module, {id(value): value.detach().clone() for value in kept})


@contextmanager
def mode(module: torch.nn.Module, *, training: bool) -> Iterator[None]:
    """Put all layers into training or evaluation mode, and back into their own afterwards."""
    found = [(layer, layer.training) for layer in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for layer, was_training in found:
            layer.training = was_training


@contextmanager
def gradients_kept(module: torch.nn.Module) -> Iterator[None]:
    """Put every ``.grad`` back afterwards."""
    found = [(parameter, parameter.grad) for parameter in module.parameters()]
    try:
        yield
    finally:
        for parameter, gradient in found:
            parameter.grad = gradient


@contextmanager
def random_numbers_from(seed: int, device: torch.device) -> Iterator[None]:
    """Seed PyTorch's own generators (dropout uses them), and put them back afterwards."""
    on_gpu = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=on_gpu):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
