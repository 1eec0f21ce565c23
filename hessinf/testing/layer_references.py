"""Inputs and output gradients of layers, one example after another.

References for factored gradients. While an example runs, PyTorch's functions for linear layers,
convolutions and embeddings are replaced by ones that write down what they are called with; patches
of images are cut out by hand, ids become unit vectors. Each position of a call gives an outer
product; see :class:`Sides`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hessinf.testing.problem import Problem, outputs_of

Matrix = np.ndarray

NAMES = ("linear", "conv1d", "conv2d", "conv3d", "embedding")
"""Functions whose first two arguments are an input and a matrix of parameters."""


@dataclass(frozen=True)
class Spot:
    """One position of a call.

    Parameters
    ----------
    kind
        Of the function, one of :data:`NAMES`; "" where its output has no dimension of positions.
    number, place
        Which of how many positions of the call.
    padding
        Whether it is an embedding's ``padding_idx`` that was looked up.
    """

    kind: str
    number: int
    place: int
    padding: bool = False


@dataclass
class Sides:
    """The two sides of the gradient of one matrix, at all positions of one example.

    Parameters
    ----------
    rows
        ``[R, S, O]`` for the R columns of the Fisher, or ``[S, O]``.
    columns
        ``[S, I]``, or ``[R, S, I]``.
    spots
        What the S positions are.
    with_gradient
        The spots of this example, those of other matrices too, at which a row or column that has a
        gradient is not zero.
    """

    rows: Matrix
    columns: Matrix
    spots: list[Spot]
    with_gradient: set[Spot] = field(default_factory=set)


@dataclass
class Unit:
    """A matrix of parameters.

    Parameters
    ----------
    places
        Where its numbers lie in θ, ``[O, I]``; the bias is the last column.
    examples
        For each training example, its sides by the kind of use.
    """

    places: Matrix
    examples: list[dict[str, Sides]] = field(default_factory=list)


@dataclass
class _Call:
    """One call of a function: its arguments, and what it returned."""

    kind: str
    inputs: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    options: dict[str, Any]
    output: torch.Tensor


def kept_parameters(module: nn.Module, frozen: Sequence[str] = ()) -> dict[str, nn.Parameter]:
    """List what θ consists of."""
    return {
        name: value
        for name, value in module.named_parameters()
        if value.requires_grad and not any(re.search(pattern, name) for pattern in frozen)
    }


def places_of(kept: dict[str, nn.Parameter]) -> dict[str, Matrix]:
    """Say where each entry of each parameter lies in θ."""
    first = 0
    found = {}
    for name, value in kept.items():
        found[name] = np.arange(first, first + value.numel()).reshape(tuple(value.shape))
        first += value.numel()
    return found


def square_root(problem: Problem, outputs: torch.Tensor, targets: torch.Tensor) -> Matrix:
    """Compute a square root of the loss's Hessian in the outputs of one example: ``[F, R]``."""
    curvature = problem.output_hessians(outputs.detach(), targets)[0].numpy()  # [F, F]
    values, vectors = np.linalg.eigh(curvature)
    root: Matrix = vectors * np.sqrt(values.clip(min=0))
    return root


def gradients_of(value: torch.Tensor, of: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    """Differentiate a number; zeros in what it does not depend on."""
    return torch.autograd.grad(
        value, list(of), retain_graph=True, allow_unused=True, materialize_grads=True
    )


def units(problem: Problem, frozen: Sequence[str] = ()) -> tuple[list[Unit], set[str]]:
    """Collect both sides of every matrix's gradients, for all training examples.

    Returns
    -------
    list of Unit
        One a matrix; one a group of a convolution.
    set of str
        The parameters that they hold.
    """
    module = problem.module().eval()
    places = places_of(kept_parameters(module, frozen))
    names = {id(value): name for name, value in module.named_parameters() if name in places}
    found: dict[tuple[str, int], Unit] = {}
    covered: set[str] = set()
    runs = []
    for inputs, targets in problem.examples(problem.train):
        with _calls() as calls:
            outputs = outputs_of(module, inputs)
        runs.append((outputs, targets, [call for call in calls if id(call.weight) in names]))
    biases = {
        names[id(call.weight)]: names[id(call.bias)]
        for _, _, calls in runs
        for call in calls
        if call.bias is not None and id(call.bias) in names
    }
    for outputs, targets, calls in runs:
        slopes = _slopes(outputs, square_root(problem, outputs, targets), calls)
        sides: dict[tuple[str, int], dict[str, Sides]] = {}
        for call, slope in zip(calls, slopes, strict=True):
            weight = names[id(call.weight)]
            bias = biases.get(weight)
            covered |= {weight} if bias is None else {weight, bias}
            for group in range(call.options.get("groups", 1)):
                key = (weight, group)
                if key not in found:
                    grid = _grid(places[weight], None if bias is None else places[bias], call)
                    found[key] = Unit(grid[group])
                column = None
                if bias is not None:
                    column = 0.0 if call.bias is None else 1.0
                own = _call_sides(call, slope, group, column)
                by_kind = sides.setdefault(key, {})
                known = by_kind.get(call.kind)
                by_kind[call.kind] = own if known is None else _joined(known, own)
        with_gradient = {
            spot
            for by_kind in sides.values()
            for own in by_kind.values()
            for place, spot in enumerate(own.spots)
            if np.any((own.rows if own.rows.ndim == 3 else own.columns)[:, place] != 0)
        }
        for key, by_kind in sides.items():
            found[key].examples.append(by_kind)
            for own in by_kind.values():
                own.with_gradient = with_gradient
    return list(found.values()), covered


@contextmanager
def _calls() -> Iterator[list[_Call]]:
    """Write down the calls of functions with matrices."""
    calls: list[_Call] = []

    def noted(name: str) -> Any:
        original = getattr(functional, name)

        def function(inputs: Any, weight: Any, *rest: Any, **options: Any) -> Any:
            output = original(inputs, weight, *rest, **options)
            bias = None
            if name.startswith("conv"):
                order = ("bias", "stride", "padding", "dilation", "groups")
                options = dict(zip(order, rest, strict=False)) | options
            elif name == "linear":
                options = dict(zip(("bias",), rest, strict=False)) | options
            else:
                options = dict(zip(("padding_idx",), rest, strict=False)) | options
            bias = options.pop("bias", None)
            calls.append(_Call(name, inputs.detach(), weight, bias, options, output))
            return output

        return function

    with mock.patch.multiple(functional, **{name: noted(name) for name in NAMES}):
        yield calls


def _slopes(outputs: torch.Tensor, root: Matrix, calls: Sequence[_Call]) -> list[Matrix]:
    """Differentiate the outputs, times each column of ``root``, in what calls returned."""
    by_column = [
        gradients_of((outputs.reshape(-1) * column).sum(), [call.output for call in calls])
        for column in torch.from_numpy(root).T
    ]
    return [torch.stack(list(slope)).numpy() for slope in zip(*by_column, strict=True)]


def _grid(weight: Matrix, bias: Matrix | None, call: _Call) -> list[Matrix]:
    """Say where the matrix of each group lies in θ, ``[O, I]``."""
    groups = call.options.get("groups", 1)
    grids = []
    for group in range(groups):
        height = len(weight) // groups
        rows = slice(group * height, (group + 1) * height)
        grid = weight[rows].reshape(height, -1)
        if bias is not None:
            grid = np.concatenate([grid, bias[rows][:, None]], axis=1)
        grids.append(grid)
    return grids


def _joined(left: Sides, right: Sides) -> Sides:
    """Put the positions of two calls beside each other."""
    return Sides(
        np.concatenate([left.rows, right.rows], axis=left.rows.ndim - 2),
        np.concatenate([left.columns, right.columns], axis=left.columns.ndim - 2),
        left.spots + right.spots,
    )


def _call_sides(call: _Call, slopes: Matrix, group: int, bias_column: float | None) -> Sides:
    """Take a call on one example apart; ``slopes`` is ``[R, *output.shape]``."""
    count = len(slopes)
    if call.kind == "embedding":
        ids = call.inputs.reshape(-1).numpy()
        rows = np.eye(len(call.weight))[ids]  # [S, V]
        columns = slopes.reshape(count, len(ids), -1)  # [R, S, E]
        if call.options.get("padding_idx") is not None:
            columns = columns * (ids != call.options["padding_idx"])[None, :, None]
        if bias_column is not None:
            columns = np.concatenate([columns, np.zeros((*columns.shape[:2], 1))], axis=2)
        unused = call.options.get("padding_idx")
        return Sides(rows, columns, _spots(call, len(ids), [number == unused for number in ids]))
    if call.kind == "linear":
        columns = call.inputs.reshape(-1, call.inputs.shape[-1]).numpy()  # [S, I]
        rows = slopes.reshape(count, len(columns), -1)
    else:
        rows, columns = _patches(call, call.inputs[0].numpy(), slopes[:, 0], group)
    if bias_column is not None:
        column = np.full((len(columns), 1), bias_column)
        columns = np.concatenate([columns, column], axis=1)
    return Sides(rows, columns, _spots(call, len(columns), [False] * len(columns)))


def _spots(call: _Call, number: int, padding: Sequence[bool]) -> list[Spot]:
    """List the positions of a call on one example."""
    kind = "" if call.output.shape == (1, call.output.shape[-1]) else call.kind
    return [Spot(kind, number, place, padding[place]) for place in range(number)]


def _patches(call: _Call, image: Matrix, slopes: Matrix, group: int) -> tuple[Matrix, Matrix]:
    """Cut out what each place of a convolution's output sees: image ``[C, *sizes]``."""
    size = call.weight.shape[2:]
    pads, strides, dilations = (
        np.broadcast_to(call.options.get(name, default), len(size))
        for name, default in (("padding", 0), ("stride", 1), ("dilation", 1))
    )
    groups = call.options["groups"]
    image = np.pad(image, [(0, 0), *((pad, pad) for pad in pads)])
    inside, outside = len(image) // groups, slopes.shape[1] // groups
    image = image[group * inside : (group + 1) * inside]
    slopes = slopes[:, group * outside : (group + 1) * outside]  # [R, O, *places]
    rows, columns = [], []
    for place in np.ndindex(*slopes.shape[2:]):
        patch = [
            image[(channel, *(np.array(place) * strides + np.array(step) * dilations))]
            for channel in range(inside)
            for step in np.ndindex(*size)
        ]
        rows.append(slopes[(slice(None), slice(None), *place)])
        columns.append(patch)
    return np.stack(rows, axis=1), np.array(columns)
