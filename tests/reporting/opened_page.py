"""Opens a report's page without a browser: its elements, and what is in its segments."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
from typing import Any

SEGMENT = re.compile(
    r'<script type="text/plain" class="segment" id="segment-([\w-]+)" '
    r'data-encoding="gzip-base64">([A-Za-z0-9+/=]*)</script>'
)


def segments_of(page: str) -> dict[str, bytes]:
    """What each segment holds."""
    return {name: gzip.decompress(base64.b64decode(text)) for name, text in SEGMENT.findall(page)}


def json_of(packed: bytes) -> Any:
    """What a compressed segment of JSON says."""
    return json.loads(gzip.decompress(packed))


def images_of(data: bytes) -> list[tuple[tuple[int, int, int], bytes]]:
    """The images of a segment: height, width and channels, and the values."""
    found = []
    place = 0
    while place < len(data):
        shape = struct.unpack_from("<HHB", data, place)
        start = place + 5
        place = start + shape[0] * shape[1] * shape[2]
        found.append((shape, data[start:place]))
    assert place == len(data)
    return found
