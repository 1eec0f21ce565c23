"""Lines of JSON with images in them, read without the images: most are there many times.

A run lists the same training example for many queries, each time with its image. What an image
holds stays text until somebody asks for it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")

IMAGE = re.compile(rb'"image": (\[\[[-+\d.eE, \[\]]*\]\])')
"""An image of numbers. No text can look like it: its quotes would be escaped."""

MARK = "\1image "
"""What stands for an image while the rest of its line is read."""

ESCAPED_MARK = rb"\u0001image "

NUMBERS = b"0123456789.-+eE "
"""What is taken out of an image's text to see its shape."""


class ImageText:
    """An image as its text: an array to NumPy, nested lists to JSON.

    Parameters
    ----------
    text
        Nested lists of numbers, as JSON.
    """

    __slots__ = ("_text",)

    def __init__(self, text: bytes) -> None:
        self._text = text

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the numbers; refused where rows differ in length."""
        shape = _shape(self._text.translate(None, NUMBERS))
        if shape is None:
            return np.asarray(self.tolist(), dtype=dtype)
        values = np.fromstring(self._text.translate(None, b"[]").decode("ascii"), sep=",")
        return values.reshape(shape).astype(np.float64 if dtype is None else dtype)

    def tolist(self) -> Any:
        """Return nested lists."""
        return json.loads(self._text)


@cache
def _shape(brackets: bytes) -> tuple[int, ...] | None:
    """Find the shape of nested lists by their brackets and commas; None where there is none."""
    numbers = re.sub(rb"(?<=[\[,])(?=[,\]])", b"0", brackets)
    try:
        return np.asarray(json.loads(numbers)).shape
    except ValueError:
        return None


def parsed(line: bytes) -> Any:
    """Parse a line of JSON, and leave each "image" that is nested lists of numbers as its text.

    Parameters
    ----------
    line
        JSON.

    Raises
    ------
    ValueError
        Where it is no JSON.
    """
    if ESCAPED_MARK in line:
        return json.loads(line)
    texts: list[bytes] = []

    def put_aside(found: re.Match[bytes]) -> bytes:
        texts.append(found[1])
        return b'"image": "%s%d"' % (ESCAPED_MARK, len(texts) - 1)

    def put_back(found: dict[str, Any]) -> dict[str, Any]:
        mark = found.get("image")
        if isinstance(mark, str) and mark.startswith(MARK):
            found["image"] = ImageText(texts[int(mark.removeprefix(MARK))])
        return found

    return json.loads(IMAGE.sub(put_aside, line), object_hook=put_back)
