"""Images of a page: each once, as bytes, made smaller where they would not fit."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hessinf.display import pixels
from hessinf.reporting.page_segments import compressed, size_in_page
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")

CHUNK = 256
"""Images of one segment."""

MOST_HELD = 200_000_000
"""Bytes of images that are held until the page is written; beyond, all are made smaller."""

LONGEST = 512
"""Pixels of the longer side: larger images are made smaller in any case."""

SMALLEST = 4
"""Pixels of the longer side below which nobody sees anything."""


class ImageStore:
    """The images of a page, by number, in the order in which they came."""

    def __init__(self) -> None:
        self._images: list[np.ndarray] = []
        self._longest = LONGEST
        self._largest = 0  # of the longer sides, as they came
        self._held = 0

    def __len__(self) -> int:
        return len(self._images)

    def add(self, image: Any) -> int | None:
        """Keep an image.

        Parameters
        ----------
        image
            What ``display["image"]`` holds.

        Returns
        -------
        int or None
            Its number; None where it is no image.
        """
        values = pixels.image_of(image)
        if values is None:
            return None
        self._largest = max(self._largest, *values.shape[:2])
        kept = _compact(_smaller(values, self._longest))
        self._images.append(kept)
        self._held += kept.nbytes
        while self._held > MOST_HELD and self._longest > SMALLEST:
            self._longest //= 2
            self._images = [_compact(_smaller(one, self._longest)) for one in self._images]
            self._held = sum(one.nbytes for one in self._images)
        return len(self._images) - 1

    def pack(self, room: int, shown: pixels.ValueRange | None) -> tuple[list[bytes], str | None]:
        """Write all images as bytes.

        Parameters
        ----------
        room
            How many bytes of the page they may take, compressed and in base64.
        shown
            What :attr:`value_range` said.

        Returns
        -------
        list of bytes
            A segment for each :data:`CHUNK` images, compressed: for each image its height and width
            (two bytes each, the lower one first), channels (one byte: 1 or 3), and its values row
            by row.
        str or None
            What was done to make them fit, in words; None where they are as they came.
        """
        images = [] if shown is None else [_shown(one, shown) for one in self._images]
        longest = min(self._longest, self._largest)
        packed, taken, share = _packed(images, longest, room)
        while taken > room and longest > SMALLEST:
            longest = _fitting(images, longest, room * 0.98 / share)
            packed, taken, share = _packed(images, longest, room)
        return packed, self._note(longest)

    @property
    def value_range(self) -> pixels.ValueRange | None:
        """The values that are black and white, of all images together; None without images."""
        return pixels.value_range(self._images) if self._images else None

    def _note(self, longest: int) -> str | None:
        if longest >= self._largest:
            return None
        return f"reduced to at most {longest} × {longest} pixels to keep the page small"


def _compact(values: np.ndarray) -> np.ndarray:
    """Keep values in as few bytes as hold them: whole numbers of a byte, or float32."""
    small = values.astype(np.uint8) if _holds_bytes(values) else None
    if small is not None and bool((small == values).all()):
        return small
    limit = float(np.finfo(np.float32).max)
    kept: np.ndarray = np.clip(values, -limit, limit).astype(np.float32)
    return kept


def _holds_bytes(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and values.min() >= 0 and values.max() <= pixels.BYTE)


def _shown(values: np.ndarray, found: pixels.ValueRange) -> np.ndarray:
    if values.dtype == np.uint8 and found == (0, pixels.BYTE):
        return values
    shown = pixels.pixels_of(values, found)
    return np.zeros(values.shape, dtype=np.uint8) if shown is None else shown


def _smaller(values: np.ndarray, longest: int) -> np.ndarray:
    """Make an image smaller, in the precision it has."""
    if max(values.shape[:2]) <= longest:
        return values
    return pixels.reduced(values, longest)


def _packed(
    images: Sequence[np.ndarray], longest: int, room: int
) -> tuple[list[bytes], int, float]:
    """Write images of at most a side; stop where they take more room than there is.

    Returns
    -------
    list of bytes
        The segments so far, compressed.
    int
        Bytes of the page that all would take, about, where it stopped.
    float
        Bytes of the page that one byte took.
    """
    segments: list[bytes] = []
    written = taken = 0
    for some in _chunks(images):
        data = b"".join(_written(one) for one in _all_smaller(some, longest))
        segments.append(compressed(data))
        written += len(data)
        taken += size_in_page(segments[-1])
        if taken > room:
            break
    share = taken / max(written, 1)
    if taken > room:
        taken = max(taken, int(share * _size(images, longest)))
    return segments, taken, share


def _chunks(images: Sequence[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
    for start in range(0, len(images), CHUNK):
        yield images[start : start + CHUNK]


def _all_smaller(images: Sequence[np.ndarray], longest: int) -> list[np.ndarray]:
    """Make images smaller: those of one shape together, which is much faster."""
    shapes = {one.shape for one in images}
    if len(shapes) > 1 or max(images[0].shape[:2]) <= longest:
        return [_smaller(one, longest) for one in images]
    together = np.moveaxis(np.stack(images), 0, -1)  # [H, W, B] or [H, W, 3, B]
    return [*np.moveaxis(pixels.reduced(together, longest), -1, 0)]


def _written(image: np.ndarray) -> bytes:
    channels = 1 if image.ndim == 2 else image.shape[2]
    return struct.pack("<HHB", *image.shape[:2], channels) + image.tobytes()


def _size(images: Sequence[np.ndarray], longest: int) -> int:
    """Count the bytes of all images when they are made smaller."""
    total = 0
    for (height, width, *channels), count in Counter(one.shape for one in images).items():
        factor = min(1.0, longest / max(height, width))
        sides = (max(1, round(side * factor)) for side in (height, width))
        total += count * math.prod([*sides, *channels])
    return total


def _fitting(images: Sequence[np.ndarray], longest: int, most: float) -> int:
    """Find the longest side, shorter than now, at which all images take at most some bytes."""
    low, high = SMALLEST, longest - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _size(images, middle) <= most:
            low = middle
        else:
            high = middle - 1
    return low
