"""K-FAC and EK-FAC in float64, written out.

The Fisher is the exact one, "type-2", with every column of the output's curvature; or "sampled",
with one target drawn for each example (and position). Random numbers alone are taken from hessinf,
so that the targets are the ones that it draws.

A layer's gradient for one example is ``Σ_s g_s a_sᵀ`` over the positions that share its weight; a
one is appended to its inputs for the bias. Nothing is approximated beyond what the methods say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from benchmarks.peers.workloads import Workload

CHUNK = 128
"""Examples that are worked on at a time."""

Columns = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""Gives what goes back from the outputs ``[B, ...]`` as ``[K, B, ...]``, from outputs, targets, and
the place of the first example in the training data."""


@dataclass
class LayerRecord:
    """Inputs with a one, ``[B, S, I]``, and output gradients by column, ``[K, B, S, O]``."""

    inputs: torch.Tensor
    gradients: torch.Tensor


def type_2(workload: Workload) -> Columns:
    """Go back with ``S``, where ``SSᵀ`` is the second derivative of the loss by the outputs."""

    def columns(outputs: torch.Tensor, _targets: torch.Tensor, _first: int) -> torch.Tensor:
        eye = torch.eye(outputs.shape[1], dtype=outputs.dtype)  # [C, C]
        if workload.task == "regression":
            return 2**0.5 * eye[:, None, :].expand(-1, len(outputs), -1)  # [C, B, C]
        if workload.task != "classification":
            raise SystemExit(f"there is no type-2 reference for {workload.task}")
        chances = outputs.softmax(dim=1)  # [B, C]
        return chances.sqrt().T[:, :, None] * (eye[:, None, :] - chances)  # [C, B, C]

    return columns


def losses(workload: Workload) -> Columns:
    """Go back with the gradients of the losses."""

    def columns(outputs: torch.Tensor, targets: torch.Tensor, _first: int) -> torch.Tensor:
        leaf = outputs.detach().requires_grad_()
        (gradients,) = torch.autograd.grad(workload.losses(leaf, targets).sum(), leaf)  # [B, ...]
        return gradients[None]

    return columns


def sampled(workload: Workload) -> Columns:
    """Go back with the gradients of the losses at targets that the model draws."""
    from hessinf.curvature.fisher_draws import quantiles
    from hessinf.runtime.randomness import derive_seed

    key = derive_seed(0, "fisher.0")
    at_targets = losses(workload)

    def columns(outputs: torch.Tensor, targets: torch.Tensor, first: int) -> torch.Tensor:
        places = torch.arange(first, first + len(outputs))  # [B]
        numbers = quantiles(key, places, targets[0].numel()).view(targets.shape)  # [B, ...]
        if workload.task == "regression":
            drawn = outputs + torch.special.ndtri(numbers) / 2**0.5
        else:
            sums = outputs.softmax(dim=-1).cumsum(dim=-1)  # [B, ..., C]
            drawn = (sums < (numbers * sums[..., -1])[..., None]).sum(dim=-1)  # [B, ...]
        return at_targets(outputs, drawn, first)

    return columns


def positions(module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Lay out what a layer multiplies its weight with, and a one: ``[B, S, I]``."""
    if isinstance(module, nn.Conv2d):
        patches = nn.functional.unfold(
            inputs, module.kernel_size, module.dilation, module.padding, module.stride
        )  # [B, I, S]
        rows = patches.transpose(1, 2)  # [B, S, I]
    else:
        rows = inputs.reshape(len(inputs), -1, inputs.shape[-1])  # [B, S, I]
    return torch.cat([rows, torch.ones_like(rows[..., :1])], dim=-1)


def record(
    workload: Workload,
    data: tuple[torch.Tensor, torch.Tensor],
    columns: Columns,
    first: int = 0,
) -> dict[str, LayerRecord]:
    """Run the model once, and go back for each column."""
    model = workload.fresh_model().double()
    inputs, targets = (each.double() if each.is_floating_point() else each for each in data)
    seen: dict[str, tuple[nn.Module, torch.Tensor, torch.Tensor]] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            seen[name] = (module, given[0].detach(), output)

        return hook

    for name in workload.kronecker_modules:
        model.get_submodule(name).register_forward_hook(keep(name))
    outputs = model(inputs)  # [B, ...]
    tracked = [output for _, _, output in seen.values()]
    by_column = [
        torch.autograd.grad(outputs, tracked, column, retain_graph=True)
        for column in columns(outputs.detach(), targets, first)
    ]
    return {
        name: LayerRecord(
            positions(module, given),
            torch.stack([_as_positions(module, each[place]) for each in by_column]),
        )
        for place, (name, (module, given, _)) in enumerate(seen.items())
    }


def _as_positions(module: nn.Module, gradient: torch.Tensor) -> torch.Tensor:
    """Lay out an output gradient as ``[B, S, O]``."""
    if isinstance(module, nn.Conv2d):
        return gradient.flatten(2).transpose(1, 2)
    return gradient.reshape(len(gradient), -1, gradient.shape[-1])


def matrices(g: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Form ``Σ_s g_s a_sᵀ`` of each example: ``[B, O, I]``."""
    return torch.einsum("bso,bsi->boi", g, a)


def records(workload: Workload, columns: Columns) -> Iterator[dict[str, LayerRecord]]:
    """Go through the training data, some examples at a time."""
    inputs, targets = workload.train
    for first in range(0, len(inputs), CHUNK):
        some = slice(first, first + CHUNK)
        yield record(workload, (inputs[some], targets[some]), columns, first)


Bases = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""By layer, the eigenvectors of outputs ``[O, O]`` and inputs ``[I, I]``."""


def decompose(workload: Workload, columns: Columns) -> tuple[Bases, dict[str, torch.Tensor]]:
    """Give the eigenvectors of K-FAC's factors, and its eigenvalues ``[O, I]``, by layer."""
    of_inputs: dict[str, torch.Tensor] = {}
    of_outputs: dict[str, torch.Tensor] = {}
    places = {}
    for some in records(workload, columns):
        for name, layer in some.items():
            a, g = layer.inputs.flatten(0, 1), layer.gradients.flatten(0, 2)  # [·, I], [·, O]
            of_inputs[name] = of_inputs.get(name, 0) + a.T @ a  # [I, I]
            of_outputs[name] = of_outputs.get(name, 0) + g.T @ g  # [O, O]
            places[name] = layer.inputs.shape[1]
    examples = len(workload.train[0])
    bases, eigenvalues = {}, {}
    for name, positions_each in places.items():
        input_values, input_basis = torch.linalg.eigh(
            of_inputs[name] / (examples * positions_each)
        )  # [I], [I, I]
        output_values, output_basis = torch.linalg.eigh(of_outputs[name] / examples)
        bases[name] = (output_basis, input_basis)
        eigenvalues[name] = output_values[:, None] * input_values  # [O, I]
    return bases, eigenvalues


def correct(workload: Workload, columns: Columns, bases: Bases) -> dict[str, torch.Tensor]:
    """Give EK-FAC's eigenvalues by layer: mean squares of gradients in the basis, ``[O, I]``."""
    squares: dict[str, torch.Tensor] = {}
    for some in records(workload, columns):
        for name, layer in some.items():
            output_basis, input_basis = bases[name]
            rotated = layer.inputs @ input_basis  # [B, S, I]
            for column in layer.gradients:
                found = matrices(column @ output_basis, rotated).square().sum(dim=0)  # [O, I]
                squares[name] = squares.get(name, 0) + found
    return {name: sums / len(workload.train[0]) for name, sums in squares.items()}


def rotated(layer: LayerRecord, basis: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Form the gradients of examples in an eigenbasis: ``[B, O·I]``."""
    output_basis, input_basis = basis
    return matrices(layer.gradients[0] @ output_basis, layer.inputs @ input_basis).flatten(1)


def kronecker(
    workload: Workload, fisher: Callable[[Workload], Columns], *, corrected: bool
) -> np.ndarray:
    """Score with K-FAC at exact damping, or EK-FAC where ``corrected``: ``[Q, N]``."""
    columns = fisher(workload)
    bases, eigenvalues = decompose(workload, columns)
    if corrected:
        eigenvalues = correct(workload, columns, bases)
    queries = record(workload, workload.test, losses(workload))
    factors = {
        name: rotated(layer, bases[name]) / (eigenvalues[name].flatten() + workload.damping)
        for name, layer in queries.items()
    }  # [Q, O·I]
    found = [
        sum(factors[name] @ rotated(layer, bases[name]).T for name, layer in some.items())
        for some in records(workload, losses(workload))
    ]
    return torch.cat(found, dim=1).numpy()
