"""Pictures of pages, compared with tolerance: other fonts may set the same words.

A picture is kept at a twelfth of its size, where letters are a gray texture. Two pictures are
compared in squares of a few such pixels: what a person sees from a distance has to be in its place.
HESSINF_PICTURES=write puts new pictures in place of the old ones.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "pictures"

SCALE = 12

SQUARE = 5
"""Small pixels: 60 pixels of the page."""

MEAN = 0.02

LARGEST = 0.25
"""Of the range from black to white: what pictures may differ by, on average and in one square."""


class PicturesDifferError(AssertionError):
    """A page does not look as it did; its text says by how much, and where."""


def small(screenshot: bytes) -> Image.Image:
    """Reduce a screenshot to a twelfth of its width and height."""
    with Image.open(io.BytesIO(screenshot)) as image:
        size = (image.width // SCALE, image.height // SCALE)
        return image.convert("RGB").resize(size, Image.Resampling.BOX)


def compare(image: Image.Image, reference: Image.Image) -> None:
    """Fail where two small pictures differ by more than other fonts explain.

    Raises
    ------
    PicturesDifferError
        When they do.
    """
    if image.size != reference.size:
        raise PicturesDifferError(f"the picture is {image.size}, the reference {reference.size}")
    differences = np.abs(_squares(image) - _squares(reference))  # [H, W, 3]
    mean, largest = float(differences.mean()), float(differences.max())
    if mean > MEAN or largest > LARGEST:
        down, across, _ = np.unravel_index(int(differences.argmax()), differences.shape)
        side = SCALE * SQUARE
        raise PicturesDifferError(
            f"differs by {mean:.3f} on average (at most {MEAN}) and by {largest:.2f} (at most "
            f"{LARGEST}) in the square at x = {across * side}, y = {down * side}"
        )


def check(name: str, screenshot: bytes, folder: Path) -> None:
    """Compare a screenshot with the reference of that name.

    Parameters
    ----------
    name
        Of the file in ``pictures``, without its ending.
    screenshot
        A PNG, as the browser makes it.
    folder
        Where the picture is left, at full size and small, when it differs.
    """
    image = small(screenshot)
    path = FOLDER / f"{name}.png"
    if os.environ.get("HESSINF_PICTURES") == "write":
        FOLDER.mkdir(exist_ok=True)
        image.save(path, optimize=True)
    try:
        with Image.open(path) as reference:
            compare(image, reference.convert("RGB"))
    except PicturesDifferError as error:
        (folder / f"{name}.full.png").write_bytes(screenshot)
        image.save(folder / f"{name}.png")
        raise PicturesDifferError(f"{name}: {error}; see {folder}") from None


def _squares(image: Image.Image) -> np.ndarray:
    """Average squares; what is left over at the right and below belongs to the last ones."""
    pixels = np.asarray(image, dtype=float) / 255  # [H, W, 3]
    for axis in (0, 1):
        starts = np.arange(0, max(pixels.shape[axis] - SQUARE + 1, 1), SQUARE)
        counts = np.diff([*starts, pixels.shape[axis]])
        shape = [1, 1, 1]
        shape[axis] = len(counts)
        pixels = np.add.reduceat(pixels, starts, axis=axis) / counts.reshape(shape)
    return pixels
