"""Data in a page: compressed, as text that no browser takes for markup."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

LEVEL = 6


def json_bytes(value: Any) -> bytes:
    """Write JSON as compact as it gets; half characters are written as escapes.

    Parameters
    ----------
    value
        JSON without NaN and infinity.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", errors="backslashreplace")


def compressed(data: bytes) -> bytes:
    """Compress data as gzip; the same data give the same bytes: no time is in them."""
    return gzip.compress(data, LEVEL, mtime=0)


def size_in_page(packed: bytes) -> int:
    """Count the bytes of a page that compressed data take."""
    return -(-len(packed) // 3) * 4


def segment_element(name: str, packed: bytes) -> str:
    """Return the element that holds compressed data.

    Parameters
    ----------
    name
        What the page calls it: letters, digits and "-".
    packed
        What :func:`compressed` returned.
    """
    text = base64.b64encode(packed).decode("ascii")
    return (
        f'<script type="text/plain" class="segment" id="segment-{name}" '
        f'data-encoding="gzip-base64">{text}</script>'
    )
