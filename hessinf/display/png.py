"""PNG files of 8 bits a channel, by the standard library alone (ISO/IEC 15948)."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hessinf.display.html_text import Html
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTH = 8
GREY, COLOR = 0, 2
"""What the header calls one channel, and three."""


def png(pixels: np.ndarray | Sequence[Any]) -> bytes:
    """Return a picture as the bytes of a PNG file, the same each time.

    Parameters
    ----------
    pixels
        ``[H, W]`` (grey) or ``[H, W, 3]`` (red, green, blue): whole numbers from 0 to 255, as an
        array or as nested lists. :func:`hessinf.display.pixels.pixels_of` makes such.

    Raises
    ------
    ValueError
        When the shape is another, or a number is not whole or outside 0..255.
    """
    values = np.asarray(pixels)
    grey = values.ndim == 2
    if not (grey or (values.ndim == 3 and values.shape[2] == 3)) or 0 in values.shape:
        raise ValueError(
            f"a picture is [H, W] or [H, W, 3] with a pixel or more, found {list(values.shape)}"
        )
    if values.dtype != np.uint8:
        _check(values)
        values = values.astype(np.uint8)
    height, width = values.shape[:2]
    rows = values.reshape(height, -1)  # [H, W * channels]
    # Each row begins with the number of its filter: 0, none.
    data = np.pad(rows, ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">IIBBBBB", width, height, DEPTH, GREY if grey else COLOR, 0, 0, 0)
    return b"".join(
        (SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(data, 9)))
    ) + _chunk(b"IEND", b"")


def _check(values: np.ndarray) -> None:
    fine = values.dtype.kind in "iufb"
    fine = fine and bool(((values >= 0) & (values <= 255) & (values % 1 == 0)).all())
    if not fine:
        raise ValueError("pixels are whole numbers from 0 to 255; pixels_of() makes such")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def data_uri(pixels: np.ndarray | Sequence[Any]) -> Html:
    """Return a picture as an address that holds it: for ``<img src="...">``, with no network.

    Parameters
    ----------
    pixels
        As for :func:`png`.
    """
    return Html(f"data:image/png;base64,{base64.b64encode(png(pixels)).decode('ascii')}")
