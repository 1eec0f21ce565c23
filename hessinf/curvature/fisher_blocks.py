"""The Fisher of parameters that are no matrices: dense blocks where small, diagonals beyond.

Scales and shifts of normalizations, positional embeddings, whatever a module uses in a way of its
own. Blocks follow modules: the parameters of one module share a block where that stays small, and
have one each otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hessinf.curvature.fisher_finite import require_finite_examples
from hessinf.gradients.layers import LayerGradients

LARGEST_DENSE_BLOCK = 1024
"""Up to so many parameters, all their products are kept: 8 MiB, and a second to decompose."""


@dataclass(frozen=True)
class ParameterBlock:
    """Parameters whose Fisher is one block.

    Parameters
    ----------
    name
        What reports call it: that of the module, or of the parameters.
    parameters
        Names.
    size
        How many numbers they have.
    """

    name: str
    parameters: tuple[str, ...]
    size: int

    @property
    def dense(self) -> bool:
        """Whether all products are kept, or only squares."""
        return self.size <= LARGEST_DENSE_BLOCK


def parameter_blocks(sizes: Mapping[str, int]) -> tuple[ParameterBlock, ...]:
    """Group parameters to blocks.

    Parameters
    ----------
    sizes
        How many numbers each parameter has, by name.
    """
    modules: dict[str, list[str]] = {}
    for name in sizes:
        modules.setdefault(name.rpartition(".")[0], []).append(name)
    blocks = []
    for module, names in modules.items():
        total = sum(sizes[name] for name in names)
        if len(names) > 1 and total <= LARGEST_DENSE_BLOCK:
            blocks.append(ParameterBlock(module or ", ".join(names), tuple(names), total))
        else:
            blocks += [ParameterBlock(name, (name,), sizes[name]) for name in names]
    return tuple(blocks)


class BlockSums:
    """Products, or squares, of the gradients of each block, over one batch.

    Parameters
    ----------
    blocks
        Which parameters.
    """

    def __init__(self, blocks: Sequence[ParameterBlock]) -> None:
        self.blocks = blocks
        self.sums: list[torch.Tensor | None] = [None for _ in blocks]

    def add(self, gradients: LayerGradients) -> list[torch.Tensor]:
        """Take in K columns; return by block the trace that each adds, ``[K, B]``."""
        traces = []
        for place, block in enumerate(self.blocks):
            values = gradients.materialize(block.parameters)
            parts = [values[name] for name in block.parameters]  # [K, B, *shape] each
            flat_parts = [part.reshape(*part.shape[:2], -1) for part in parts]
            both = torch.cat(flat_parts, dim=2)  # [K, B, D]
            if both.dtype in (torch.float16, torch.bfloat16):
                both = both.float()  # products of it are added up
            require_finite_examples(
                f'the gradient of "{block.name}" is', both.isfinite().all(dim=2).all(dim=0)
            )
            squares = both.square()  # [K, B, D]
            traces.append(squares.sum(dim=2))
            if block.dense:
                flat = both.flatten(0, 1)  # [K·B, D]
                part = (flat.T @ flat).double()  # [D, D]
            else:
                part = squares.sum(dim=(0, 1)).double()  # [D]
            known = self.sums[place]
            self.sums[place] = part if known is None else known.add_(part)
        return traces

    def result(self) -> list[Any]:
        """Return the sums by block: ``[D, D]`` or ``[D]``."""
        return self.sums
