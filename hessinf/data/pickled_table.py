"""Tables of numbers that pandas has pickled, read without pandas and without unpickling.

What is understood is what pandas 1.3 to 2 write: blocks of columns of one type of number, kept as
plain bytes (pickle protocol 5), under names kept as Python text.
"""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.data.errors import DataError
from hessinf.data.pickled_data import Description, describe_pickle
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")

LARGEST = 1 << 26
"""Bytes that a file may have when it is unpacked: small files can unpack to very much."""


def read_pickled_table(path: Path) -> dict[str, np.ndarray]:
    """Read the numbers of a pickled ``pandas.DataFrame``, packed by LZMA.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        ``[N]`` a column, in the order of the table.

    Raises
    ------
    DataError
        When it is something else.
    """
    try:
        unpacked = lzma.LZMADecompressor().decompress(path.read_bytes(), LARGEST)
        return _columns(describe_pickle(unpacked))
    except (OSError, lzma.LZMAError, DataError) as error:
        raise DataError(
            f"{path} cannot be read as a table of numbers pickled by pandas: {error}"
        ) from error


def _columns(frame: Any) -> dict[str, np.ndarray]:
    try:
        blocks, axes = _called(frame.state["_mgr"], "BlockManager")
        names = _called(axes[0], "_new_Index")[1]["data"].state[4]
        columns: list[np.ndarray | None] = [None] * len(names)
        for block in blocks:
            values, places, _ = _called(block, "_unpickle_block")
            for place, column in zip(_places(places), _array(values), strict=True):
                columns[place] = column  # [N]
        if any(column is None for column in columns):
            raise ValueError("a column without values")
        return dict(zip(names, columns, strict=True))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"it describes no table of numbers ({error})") from error


def _called(description: Any, name: str) -> tuple[Any, ...]:
    """Return the arguments of a call, or say that it is another one."""
    if not isinstance(description, Description) or description.arguments is None:
        raise ValueError(f"found a {type(description).__name__} for {name}")
    if description.name.rpartition(".")[2] != name:
        raise ValueError(f"found {description.name} for {name}")
    return description.arguments


def _array(description: Any) -> np.ndarray:
    content, kind, shape, order = _called(description, "_frombuffer")
    (code, *_), byte_order = _called(kind, "dtype"), kind.state[1]
    if not isinstance(content, bytes | bytearray) or code[0] not in "fiu":
        raise ValueError(f"an array of type {code}")
    return np.frombuffer(content, byte_order + code).reshape(shape, order=order)  # [columns, N]


def _places(description: Any) -> range | list[int]:
    if isinstance(description, Description) and description.name == "builtins.slice":
        return range(*_called(description, "slice"))
    places: list[int] = _array(description).tolist()
    return places
