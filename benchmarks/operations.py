"""What an engine asks of the machine: every operation of PyTorch, with its flops, bytes and time.

:class:`Operations` sees each operation as it is carried out, those of backward passes and inside
``torch.func`` too. Flops are counted by ``torch.utils.flop_counter``, and for decompositions and
products with vectors, which that leaves out, by the formulas below. Bytes are those of the tensors
that an operation reads and writes, each counted once, as if nothing stayed in a cache; views move
none. The stage of an operation is the source file that asked for it.
"""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten


def _size(value: Any) -> tuple[int, int]:
    """Return how many matrices there are, and how many rows the last two dimensions have."""
    return math.prod(value.shape[:-2]), value.shape[-1]


def _decomposition(factor: float) -> Callable[..., int]:
    def flops(matrix: torch.Tensor, *_: Any, **__: Any) -> int:
        count, size = _size(matrix)
        return int(count * factor * size**3)

    return flops


def _triangular(right_first: bool) -> Callable[..., int]:
    def flops(first: torch.Tensor, second: torch.Tensor, *_: Any, **__: Any) -> int:
        triangle, right = (second, first) if right_first else (first, second)
        return right.numel() * triangle.shape[-1]

    return flops


def _svd(matrix: torch.Tensor, *_: Any, **__: Any) -> int:
    count = math.prod(matrix.shape[:-2])
    large, small = max(matrix.shape[-2:]), min(matrix.shape[-2:])
    return count * (6 * large * small**2 + 20 * small**3)


def _vector_product(matrix: torch.Tensor, *_: Any, **__: Any) -> int:
    return 2 * matrix.numel()


def _added_vector_product(_: Any, matrix: torch.Tensor, *__: Any, **___: Any) -> int:
    return 2 * matrix.numel()


def _convolution_backward(
    gradient: torch.Tensor, inputs: torch.Tensor, weight: torch.Tensor, *others: Any, **_: Any
) -> int:
    transposed, wanted = others[4], others[7]
    places = math.prod((inputs if transposed else gradient).shape[2:])
    # The weight's shape has the channels of one group only.
    return sum(wanted[:2]) * 2 * len(inputs) * places * weight.numel()


def _attention(queries: torch.Tensor, keys: torch.Tensor, *_: Any, **__: Any) -> int:
    return 2 * 2 * queries.numel() * keys.shape[-2]  # masked scores are counted too


def _attention_backward(
    _: torch.Tensor, queries: torch.Tensor, keys: torch.Tensor, *__: Any, **___: Any
) -> int:
    return 5 * 2 * queries.numel() * keys.shape[-2]


FORMULAS: dict[Any, Callable[..., int]] = {
    # Golub & Van Loan, Matrix Computations (2013), §4.2, §8.3, §8.6: what a usual algorithm needs.
    aten.linalg_cholesky_ex: _decomposition(1 / 3),
    aten.cholesky_inverse: _decomposition(2 / 3),
    aten.linalg_inv_ex: _decomposition(2),
    aten._linalg_eigh: _decomposition(9),
    aten._linalg_svd: _svd,
    aten.linalg_solve_triangular: _triangular(right_first=False),
    aten.triangular_solve: _triangular(right_first=True),
    aten.cholesky_solve: lambda right, factor, *_, **__: 2 * right.numel() * factor.shape[-1],
    aten.mv: _vector_product,
    aten.dot: _vector_product,
    aten.addmv: _added_vector_product,
    aten.linalg_ldl_factor_ex: _decomposition(1 / 3),
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    aten.convolution_backward: _convolution_backward,
}
"""Flops of what torch.utils.flop_counter takes for free, nominal for decompositions; and of the
backward passes of convolutions, whose groups it overlooks (torch 2.13)."""

UNTOUCHED = {
    aten._unsafe_view,
    aten.lift_fresh,
    *(aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided),
}
"""Operations besides views that neither read nor write the numbers of tensors."""

GATHERING = {aten.index_select, aten.index, aten.gather, aten.embedding, aten.take}
"""Operations that read as many numbers of their first operand as they write."""

ADDING_ROWS = {aten.index_add, aten.index_put, aten.scatter_add}
"""Operations that read and write as many numbers of their first operand as they are given."""

Key = tuple[str, str, str, str]
"""Stage, operation, shapes of its operands, precision."""


@dataclass
class Work:
    """What some operations took together.

    Parameters
    ----------
    calls
        How many operations.
    flops
        Of matrix products, convolutions and decompositions; element by element, none are counted.
    bytes
        Read and written.
    seconds
        Of the processor, inside of the operations.
    """

    calls: int = 0
    flops: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def add(self, other: Work) -> None:
        """Take in other work."""
        self.calls += other.calls
        self.flops += other.flops
        self.bytes += other.bytes
        self.seconds += other.seconds

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "calls": self.calls,
            "flops": self.flops,
            "bytes": self.bytes,
            "cpu_seconds": round(self.seconds, 6),
        }


@dataclass
class OperationTable:
    """All operations of a piece of work, grouped.

    Parameters
    ----------
    entries
        By stage, operation, shapes and precision.
    """

    entries: dict[Key, Work] = field(default_factory=lambda: defaultdict(Work))

    def by(self, group: Callable[[Key], str | None]) -> dict[str, Work]:
        """Add up by a name of the key; None leaves an entry out. The longest come first."""
        found: dict[str, Work] = defaultdict(Work)
        for key, work in self.entries.items():
            name = group(key)
            if name is not None:
                found[name].add(work)
        return dict(sorted(found.items(), key=lambda item: -item[1].seconds))

    @property
    def total(self) -> Work:
        """All of it."""
        total = Work()
        for work in self.entries.values():
            total.add(work)
        return total

    def ideal_seconds(self, rates: Mapping[str, float]) -> float:
        """Say what the flops would take at the rates of matrix products of their precisions."""
        return sum(work.flops / rates[key[3]] for key, work in self.entries.items() if work.flops)


class Operations(TorchDispatchMode):
    """Watches the operations of a block of code.

    Parameters
    ----------
    packages
        Folders whose source files are stages, called by their paths: ``"curvature/dense"``.
    clock
        Gives processor seconds.
    """

    def __init__(
        self,
        packages: Iterable[Path],
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        super().__init__()
        self.table = OperationTable()
        self._roots = tuple(f"{Path(package).resolve()}/" for package in packages)
        self._clock = clock
        self._stages: dict[str, str | None] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Carry out one operation, and note what it took."""
        kwargs = kwargs or {}
        packet = _out_of_place(func._overloadpacket)
        own = packet in FORMULAS
        formula = FORMULAS.get(packet) or flop_registry.get(packet)
        if formula is None and not func.is_view:
            # In inference mode, operations arrive that others are made of.
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        started = self._clock()
        result = func(*args, **kwargs)
        elapsed = self._clock() - started
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        made = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        flops = 0
        if formula is not None:
            flops = formula(*args, **kwargs, **({} if own else {"out_val": result}))
        moved = 0 if func.is_view else _moved(packet, tensors, made)
        shapes = " × ".join(str(list(x.shape)) for x in tensors[:3])
        if made and (not tensors or made[0].numel() > max(x.numel() for x in tensors)):
            shapes += f" → {list(made[0].shape)}"
        dtype = str((made or tensors or [torch.empty(0)])[0].dtype).removeprefix("torch.")
        key = (self._stage(sys._getframe(1)), func._overloadpacket.__name__, shapes, dtype)
        self.table.entries[key].add(Work(1, int(flops), moved, elapsed))
        return result

    def _stage(self, frame: FrameType | None) -> str:
        """Find the innermost source file of the packages."""
        while frame is not None:
            file = frame.f_code.co_filename
            if file not in self._stages:
                self._stages[file] = self._name(file)
            name = self._stages[file]
            if name is not None:
                return name
            frame = frame.f_back
        return "elsewhere"

    def _name(self, file: str) -> str | None:
        for root in self._roots:
            if file.startswith(root):
                return file.removeprefix(root).removesuffix(".py")
        return None


def _out_of_place(packet: Any) -> Any:
    """Return the operation that gives a new tensor, for one that works in place."""
    name = packet.__name__
    if name.endswith("_") and not name.endswith("__"):
        return getattr(aten, name[:-1], packet)
    return packet


def _moved(packet: Any, given: Sequence[torch.Tensor], made: Sequence[torch.Tensor]) -> int:
    """Count the bytes that an operation reads and writes."""
    if packet in UNTOUCHED:
        return 0
    if packet in GATHERING:
        return sum(map(memory_of, given[1:])) + 2 * sum(map(memory_of, made))
    if packet in ADDING_ROWS:
        return sum(map(memory_of, given[1:])) + 2 * memory_of(given[-1])
    return sum(map(memory_of, _distinct([*given, *made])))


def _distinct(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Leave out tensors that are there twice: results of operations that work in place."""
    return list({id(x): x for x in tensors}.values())


def memory_of(tensor: torch.Tensor) -> int:
    """Count the bytes of a tensor, those that are expanded once."""
    numbers = math.prod(
        size for size, step in zip(tensor.shape, tensor.stride(), strict=True) if step != 0
    )
    return numbers * tensor.element_size()
