"""Calls that multiply positions by a matrix: linear layers, in all their spellings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar

import torch

from hessinf.gradients.layers.call import Call, Compute, Find, MatrixPart, Position, views_of
from hessinf.gradients.layers.parameter_table import ParameterView
from hessinf.gradients.layers.usage import outer_products


class LinearCall(Call):
    """``y = x Wᵀ + b``, at any number of positions."""

    kind: ClassVar[str] = "linear"

    def example_dimensions(self) -> Sequence[int]:
        """Name every dimension but the features'."""
        return range(len(self.shape) - 1)

    def parts(self) -> tuple[MatrixPart, ...]:
        """Give the one matrix."""
        return (MatrixPart(self.views.get("weight"), self.views.get("bias")),)

    def factors(
        self, place: int, gradient: torch.Tensor, position: Position
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give ``[K, B, S, O]`` and ``[B, S, I]``."""
        return position.to_rows(gradient, 1), position.to_rows(self.inputs["input"])

    def values(
        self, wanted: Collection[str], gradient: torch.Tensor, position: Position
    ) -> Iterator[tuple[ParameterView, Compute]]:
        """Sum outer products, and rows, over positions."""
        (part,) = self.parts()
        rows = position.to_rows(gradient, 1)  # [K, B, S, O]
        if part.weight is not None and part.weight.name in wanted:
            inputs = position.to_rows(self.inputs["input"])  # [B, S, I]
            size = part.weight.size[0]
            yield part.weight, lambda out: outer_products("rows", rows, inputs, size, out)
        if part.bias is not None and part.bias.name in wanted:
            yield part.bias, lambda out: torch.sum(rows, 2, out=out)


def read_linear(
    find: Find, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> Call | None:
    """Read the arguments of :func:`torch.nn.functional.linear`."""
    if find(input) is not None or weight.ndim != 2:
        return None
    return LinearCall(views_of(find, weight=weight, bias=bias), {"input": input})


def read_addmm(
    find: Find,
    input: torch.Tensor,
    mat1: torch.Tensor,
    mat2: torch.Tensor,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> Call | None:
    """Read the arguments of :func:`torch.addmm`: the bias comes first, the weight is ``[I, O]``."""
    if find(mat1) is not None or beta != 1 or alpha != 1:
        return None
    views = _transposed(views_of(find, weight=mat2, bias=input))
    if "bias" in views and views["bias"].size != (mat2.shape[1],):
        return None
    return LinearCall(views, {"input": mat1})


def read_matmul(find: Find, input: torch.Tensor, other: torch.Tensor) -> Call | None:
    """Read the arguments of :func:`torch.matmul`, the weight being ``[I, O]`` on the right."""
    if find(input) is not None or other.ndim != 2 or input.ndim < 2:
        return None
    return LinearCall(_transposed(views_of(find, weight=other)), {"input": input})


def _transposed(views: dict[str, ParameterView]) -> dict[str, ParameterView]:
    return {name: view.transposed if name == "weight" else view for name, view in views.items()}
