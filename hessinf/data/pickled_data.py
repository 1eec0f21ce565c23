"""What a pickle describes, without making it: nothing is imported, and nothing is called.

A pickle is a program that builds objects. Here its instructions are followed as far as they move
plain values about; where they would call something, a :class:`Description` of the call is kept in
place of its result. So a file of an unknown author can do no harm.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hessinf.data.errors import DataError


@dataclass(eq=False)
class Description:
    """What a pickle names, or would call.

    Parameters
    ----------
    name
        The module and the name in it, ``"numpy.dtype"``.
    arguments
        What it would be called with; None where it is only named.
    state
        What would be set on the result.
    """

    name: str
    arguments: tuple[Any, ...] | None = None
    state: Any = None


class PickledData:
    """Follows the instructions of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def step(self, instruction: str, value: Any) -> None:
        """Follow one instruction; a LookupError where it is not one that moves values."""
        if instruction in VALUES:
            self.stack.append(value)
        elif instruction in CONSTANTS:
            self.stack.append(CONSTANTS[instruction]())
        elif instruction in SIZES:
            items = [self.stack.pop() for _ in range(SIZES[instruction])]
            self.stack.append(tuple(reversed(items)))
        elif instruction not in IGNORED:
            INSTRUCTIONS[instruction](self, value)

    def _mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def _since_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def _tuple(self, _: Any) -> None:
        items = self._since_mark()
        self.stack.append(tuple(items))

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def _get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def _append(self, _: Any) -> None:
        item = self.stack.pop()
        self.stack[-1].append(item)

    def _appends(self, _: Any) -> None:
        items = self._since_mark()
        self.stack[-1].extend(items)

    def _set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][key] = value

    def _set_items(self, _: Any) -> None:
        items = self._since_mark()
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _global(self, value: str) -> None:
        self.stack.append(Description(value.replace(" ", ".", 1)))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(Description(f"{module}.{name}"))

    def _call(self, _: Any) -> None:
        arguments, named = self.stack.pop(), self.stack.pop()
        self.stack.append(Description(named.name, tuple(arguments)))

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        self.stack[-1].state = state


IGNORED = {"PROTO", "FRAME", "STOP"}

VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "BYTEARRAY8"),
}

CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}

SIZES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

INSTRUCTIONS: dict[str, Callable[[PickledData, Any], None]] = {
    "MARK": PickledData._mark,
    "TUPLE": PickledData._tuple,
    "MEMOIZE": PickledData._memoize,
    "BINPUT": PickledData._put,
    "LONG_BINPUT": PickledData._put,
    "BINGET": PickledData._get,
    "LONG_BINGET": PickledData._get,
    "APPEND": PickledData._append,
    "APPENDS": PickledData._appends,
    "SETITEM": PickledData._set_item,
    "SETITEMS": PickledData._set_items,
    "GLOBAL": PickledData._global,
    "STACK_GLOBAL": PickledData._stack_global,
    "REDUCE": PickledData._call,
    "NEWOBJ": PickledData._call,
    "BUILD": PickledData._build,
}


def describe_pickle(content: bytes) -> Any:
    """Say what a pickle describes.

    Parameters
    ----------
    content
        The pickle.

    Returns
    -------
    Any
        Plain values: None, truth values, numbers, text, bytes, tuples, lists, dicts, and
        :class:`Description` for everything else.

    Raises
    ------
    DataError
        When it is broken, or has instructions that more than describe.
    """
    data = PickledData()
    try:
        for instruction, value, position in pickletools.genops(content):
            try:
                data.step(instruction.name, value)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise DataError(
                    f"byte {position} has the instruction {instruction.name}, which is not "
                    "followed there"
                ) from error
    except ValueError as error:  # from genops
        raise DataError(f"it is no whole pickle: {error}") from error
    if len(data.stack) != 1 or data.marks:
        raise DataError(f"it ends with {len(data.stack)} values, expected one")
    return data.stack[0]
