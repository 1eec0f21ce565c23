"""Calls that look rows up in a table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar, Literal

import torch

from hessinf.gradients.layers.call import Call, Compute, Find, MatrixPart, Position, views_of
from hessinf.gradients.layers.parameter_table import ParameterView
from hessinf.gradients.layers.usage import outer_products


class EmbeddingCall(Call):
    """``y = W[ids]``; the row at ``padding_idx`` gets no gradient."""

    kind: ClassVar[str] = "embedding"
    gradient_side: ClassVar[Literal["rows", "columns"]] = "columns"

    def example_dimensions(self) -> Sequence[int]:
        """Name every dimension but the features'."""
        return range(len(self.shape) - 1)

    def parts(self) -> tuple[MatrixPart, ...]:
        """Give the table."""
        return (MatrixPart(self.views["weight"], None),)

    def factors(
        self, place: int, gradient: torch.Tensor, position: Position
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give ids ``[B, S]`` and gradients ``[K, B, S, E]``."""
        ids = position.to_rows(self.inputs["ids"].unsqueeze(-1)).squeeze(-1)  # [B, S]
        inputs = position.to_rows(gradient, 1)  # [K, B, S, E]
        if self.padding_idx is not None:
            inputs = inputs.masked_fill((ids == self.padding_idx).unsqueeze(-1), 0)
        return ids, inputs

    def values(
        self, wanted: Collection[str], gradient: torch.Tensor, position: Position
    ) -> Iterator[tuple[ParameterView, Compute]]:
        """Add each position's gradient to the row that it looked up."""
        weight = self.views["weight"]
        if weight.name in wanted:
            ids, inputs = self.factors(0, gradient, position)
            yield weight, lambda _: outer_products("columns", ids, inputs, weight.size[0])


def read_functional_embedding(
    find: Find,
    input: torch.Tensor,
    weight: torch.Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    _: float = 2.0,
    scale_grad_by_freq: bool = False,
    **__: Any,
) -> Call | None:
    """Read the arguments of :func:`torch.nn.functional.embedding`."""
    if weight.ndim != 2 or scale_grad_by_freq or max_norm is not None:
        return None
    call = EmbeddingCall(views_of(find, weight=weight), {"ids": input})
    if padding_idx is not None:
        call.padding_idx = padding_idx % len(weight)
    return call


def read_embedding(
    find: Find,
    weight: torch.Tensor,
    indices: torch.Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    *_: Any,
    **__: Any,
) -> Call | None:
    """Read the arguments of :func:`torch.embedding`, where -1 means no padding."""
    padding = padding_idx if padding_idx >= 0 else None
    return read_functional_embedding(
        find, indices, weight, padding, scale_grad_by_freq=scale_grad_by_freq
    )


def read_index(find: Find, table: torch.Tensor, index: Any) -> Call | None:
    """Read ``table[ids]``, where ids are a tensor of whole numbers that are not negative."""
    if find(table) is None or table.ndim != 2 or not isinstance(index, torch.Tensor):
        return None
    if index.dtype not in (torch.int32, torch.int64):
        return None
    return EmbeddingCall(views_of(find, weight=table), {"ids": index.long() % len(table)})
