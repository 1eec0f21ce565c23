"""Which parameters make up one block of a block-diagonal curvature."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from hessinf.registry import RegularExpression
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.gradients.layout import ParameterLayout
else:
    torch = lazy_import("torch")

Blocks = Literal["layer", "parameter"] | dict[str, list[Annotated[str, RegularExpression()]]]
"""A block for each layer, for each parameter, or blocks by name as regular expressions."""

ROOT = "(model)"
"""The block of parameters that no submodule owns."""


def parameter_blocks(names: Sequence[str], blocks: Blocks) -> dict[str, tuple[str, ...]]:
    """Sort parameters into blocks, every one into exactly one.

    Parameters
    ----------
    names
        Of the parameters, in the model's order. A tied parameter stands there once, under the first
        of its names, and belongs to the block of that one.
    blocks
        "layer": the module that owns a parameter; "parameter": each its own; or regular expressions
        for each block, one of which has to match anywhere in the name (``re.search``).

    Returns
    -------
    dict of str to tuple of str
        The names of each block, in the model's order; blocks in the order of their first parameter.

    Raises
    ------
    ValueError
        When a parameter is in no block or in several, an expression is none or matches nothing, or
        ``blocks`` is something else.
    """
    if blocks == "parameter":
        return {name: (name,) for name in names}
    if blocks == "layer":
        return _grouped({name: _owner(name) for name in names})
    if not isinstance(blocks, Mapping) or not blocks:
        raise ValueError(
            'blocks must be "layer", "parameter" or {"name": ["regular expression", ...]}, found '
            f"{blocks!r}"
        )
    found: dict[str, list[str]] = {name: [] for name in names}
    for block, patterns in blocks.items():
        if isinstance(patterns, str):  # its characters are expressions too
            raise ValueError(
                f"blocks.{block} must be a list of regular expressions; write "
                f'{{"{block}": ["{patterns}"]}}'
            )
        matching: dict[str, None] = {}
        for pattern in patterns:
            hits = [name for name in names if _matches(pattern, name, block)]
            if not hits:
                raise ValueError(
                    f'blocks.{block}: "{pattern}" matches no parameter; there are: '
                    + ", ".join(names)
                )
            matching.update(dict.fromkeys(hits))
        if not matching:
            raise ValueError(f"blocks.{block} has no regular expression; leave the block out")
        for name in matching:
            found[name].append(block)
    missing = [name for name, inside in found.items() if not inside]
    if missing:
        raise ValueError(
            f"blocks leave out {', '.join(missing)}; every parameter belongs to one block: add "
            "them to one, or freeze them with params_to_freeze"
        )
    doubled = [f"{name} ({', '.join(inside)})" for name, inside in found.items() if len(inside) > 1]
    if doubled:
        raise ValueError(
            f"blocks overlap: {'; '.join(doubled)}; every parameter belongs to one block: make "
            "the regular expressions narrower"
        )
    return _grouped({name: inside[0] for name, inside in found.items()})


def _matches(pattern: Any, name: str, block: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except (re.error, TypeError) as error:
        raise ValueError(
            f"blocks.{block}: {pattern!r} is no regular expression: {error}"
        ) from error


def _grouped(block_of: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for name, block in block_of.items():
        groups.setdefault(block, []).append(name)
    return {block: tuple(inside) for block, inside in groups.items()}


def _owner(name: str) -> str:
    """Name the module that owns a parameter; of a parametrized one, the module itself."""
    path = f".{name}".partition(".parametrizations.")
    owner = path[0] if path[1] else path[0].rpartition(".")[0]
    return owner.removeprefix(".") or ROOT


def columns_of(layout: ParameterLayout, names: Sequence[str]) -> slice | torch.Tensor:
    """Say where some parameters lie in a flat vector ``[P]``.

    Parameters
    ----------
    layout
        Of all parameters.
    names
        Some of them, in the layout's order.

    Returns
    -------
    slice or torch.Tensor
        A slice where they lie side by side, else their places ``[P_b]``.
    """
    starts: dict[str, tuple[int, int]] = {}
    first = 0
    for name, size in zip(layout.shapes, layout.sizes, strict=True):
        starts[name] = (first, first + size)
        first += size
    ranges = [starts[name] for name in names]
    start, stop = ranges[0][0], ranges[-1][1]
    if stop - start == sum(last - begin for begin, last in ranges):
        return slice(start, stop)
    return torch.cat([torch.arange(begin, last) for begin, last in ranges])


def count(columns: slice | torch.Tensor) -> int:
    """Count the parameters of a block, P_b."""
    return columns.stop - columns.start if isinstance(columns, slice) else len(columns)
