"""Leaving a module's modes and gradients as they were found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
