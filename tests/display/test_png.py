from __future__ import annotations

import base64
import re
import struct
import zlib

import numpy as np
import pytest

from hessinf.display.png import data_uri, png


def decoded(content: bytes) -> np.ndarray:
    """Read a PNG of 8 bits whose rows have no filter."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, data = 8, b""
    while place < len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        body = content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, place + 8 + length)
        assert checksum == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height, depth, color, *rest = struct.unpack(">IIBBBBB", body)
            assert (depth, rest) == (8, [0, 0, 0])
        elif kind == b"IDAT":
            data += body
        place += 12 + length
    assert kind == b"IEND"
    channels = {0: 1, 2: 3}[color]
    rows = np.frombuffer(zlib.decompress(data), dtype=np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    pixels = rows[:, 1:].reshape(height, width, channels)
    return pixels[:, :, 0] if channels == 1 else pixels


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (2, 300), (5, 7, 3), (1, 1, 3)])
def test_pixels_come_back(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(decoded(png(pixels)), pixels)
    np.testing.assert_array_equal(decoded(png(pixels.tolist())), pixels)
    assert png(pixels) == png(pixels)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 4), (0, 3), (2, 2, 3, 1)])
def test_what_is_no_picture_is_refused(shape):
    message = f"a picture is [H, W] or [H, W, 3] with a pixel or more, found {list(shape)}"
    with pytest.raises(ValueError, match=re.escape(message)):
        png(np.zeros(shape))


@pytest.mark.parametrize("value", [-1, 256, 0.5, float("nan"), 1e300])
def test_what_is_no_byte_is_refused(value):
    message = re.escape("pixels are whole numbers from 0 to 255; pixels_of() makes such")
    with pytest.raises(ValueError, match=message):
        png([[value]])


def test_an_address_holds_the_picture():
    kind, _, content = data_uri([[0, 255]]).partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == png([[0, 255]])
