"""Pixels from what ``display["image"]`` holds: numbers of any usual range and layout."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")

ValueRange = tuple[float, float]
"""The values that are shown as black and as white."""

DIGITS = 16
"""Whole numbers up to it are the range of scikit-learn's digits."""

BYTE = 255

HALF_BYTE = 128
"""Fractions beyond it come from pixels of 0..255, made smaller or larger; below, from elsewhere."""


def image_of(image: Any) -> np.ndarray | None:
    """Return an image's numbers, with the channels last.

    Parameters
    ----------
    image
        ``[H, W]``, ``[H, W, 3]``, ``[3, H, W]``, ``[1, H, W]`` or ``[H, W, 1]``, as nested lists,
        array or tensor. Where both ends are 3 long, the last are the channels.

    Returns
    -------
    array
        ``[H, W]`` or ``[H, W, 3]``, float64; None where it is no such image.
    """
    try:
        values = np.asarray(image)
        if values.dtype.kind not in "biuf":
            return None
        values = values.astype(np.float64)
    except (TypeError, ValueError, RuntimeError):  # ragged, or no numbers at all
        return None
    if values.size == 0:
        return None
    if values.ndim == 2:
        return values  # [H, W]
    if values.ndim != 3:
        return None
    if values.shape[2] == 3:
        return values  # [H, W, 3]
    if values.shape[0] == 3:
        return values.transpose(1, 2, 0)  # [H, W, 3]
    if values.shape[0] == 1:
        values = values[0]  # [H, W]
    elif values.shape[2] == 1:
        values = values[:, :, 0]  # [H, W]
    return values if values.ndim == 2 else None


def value_range(images: Iterable[np.ndarray]) -> ValueRange:
    """Say which values are black and white, by all images of a data set together.

    One rule for all of them: a dark picture beside a bright one stays dark. The range is the
    smallest of those in use that holds every value: 0..1; 0..16 and 0..255 for whole numbers (and
    0..255 for fractions of which some are beyond 128); -1..1. Else it goes from the smallest value,
    or from 0 where none is negative, to the largest.

    Parameters
    ----------
    images
        What :func:`image_of` returned, one or more. Values that are not finite do not count.

    Returns
    -------
    tuple of float
        The first is less than the second.
    """
    low, high, whole = math.inf, -math.inf, True
    for image in images:
        finite = image[np.isfinite(image)]  # [n]
        if finite.size:
            low = min(low, float(finite.min()))
            high = max(high, float(finite.max()))
            whole = whole and not (finite % 1).any()
    if low > high:  # nothing is finite
        return 0.0, 1.0
    if low >= 0:
        tops = [(1, True), (DIGITS, whole), (BYTE, whole or high > HALF_BYTE)]
        fitting = (float(top) for top, usual in tops if usual and high <= top)
        return 0.0, next(fitting, high)
    if low >= -1 and high <= 1:
        return -1.0, 1.0
    return (low, high) if low < high else (low - 1, low + 1)


def range_of_displays(displays: Iterable[Mapping[str, Any]]) -> ValueRange | None:
    """Say which values are black and white, by the images of some examples; None without any.

    Parameters
    ----------
    displays
        ``Instance.display`` of each.
    """
    found = (image_of(display.get("image")) for display in displays)
    images = [image for image in found if image is not None]
    return value_range(images) if images else None


def pixels_of(image: Any, shown: ValueRange | None = None) -> np.ndarray | None:
    """Return what a person is shown of an image.

    Parameters
    ----------
    image
        As for :func:`image_of`, or what it returned.
    shown
        The values shown as black and white, from :func:`value_range` of the data set; by this image
        alone when left out.

    Returns
    -------
    array
        ``uint8``, ``[H, W]`` or ``[H, W, 3]``; None where it is no image. NaN is black.
    """
    values = image_of(image)
    if values is None:
        return None
    low, high = shown or value_range([values])
    # In halves: the distance of the largest numbers would overflow.
    share = (values / 2 - low / 2) / (high / 2 - low / 2)
    share = np.clip(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    return np.rint(share * BYTE).astype(np.uint8)


def reduced(pixels: np.ndarray, longest: int) -> np.ndarray:
    """Make a picture smaller, as the mean over the pixels that each new one covers.

    Parameters
    ----------
    pixels
        ``[H, W]`` or ``[H, W, 3]``; further axes, as of several pictures of one shape, are kept.
    longest
        Pixels of the longer side, at least 1; a picture that is smaller stays as it is.

    Returns
    -------
    array
        With the same relation of sides, rounded to whole pixels; ``uint8`` where the picture is, or
        else float64.
    """
    height, width = pixels.shape[:2]
    if max(height, width) <= longest:
        return pixels
    factor = longest / max(height, width)
    values = pixels.astype(np.float64)
    for axis, size in ((0, height), (1, width)):
        values = _averaged(values, max(1, round(size * factor)), axis)
    return np.rint(values).astype(np.uint8) if pixels.dtype == np.uint8 else values


def _averaged(values: np.ndarray, count: int, axis: int) -> np.ndarray:
    """Average along an axis into ``count`` stretches of equal length, which may cut pixels."""
    size = values.shape[axis]
    zero = np.zeros_like(np.take(values, [0], axis))
    sums = np.moveaxis(np.concatenate([zero, np.cumsum(values, axis)], axis), axis, 0)  # [S + 1]
    ends = np.arange(count + 1) * (size / count)
    whole = np.minimum(ends.astype(np.int64), size - 1)
    rest = (ends - whole).reshape(-1, *[1] * (sums.ndim - 1))
    until = sums[whole] + rest * (sums[whole + 1] - sums[whole])  # [count + 1, ...]
    return np.moveaxis(np.diff(until, axis=0) * (count / size), 0, axis)
