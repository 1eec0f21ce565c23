"""The base of readers of square pictures with classes, cut into two splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hessinf.data.split_reader import SplitReader
from hessinf.data.table import Table

if TYPE_CHECKING:
    import numpy as np


class SplitImages(SplitReader):
    """Reads square pictures with classes.

    Parameters
    ----------
    image
        Give inputs `[1, height, width]`, for convolutions, instead of one vector.
    stratify
        Give both splits the same share of each class.
    """

    side: ClassVar[int]
    """Height and width in pixels."""

    brightest: ClassVar[int]
    """Pixels are whole numbers from 0 to this."""

    def __init__(self, *, image: bool = False, stratify: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image = image
        self.stratify = stratify

    def table(self, values: np.ndarray) -> Table:
        """Make a table of rows ``[N, side * side + 1]`` of pixels, the digit last."""
        places = range(self.side)
        return Table(
            values[:, :-1],
            values[:, -1].astype(int),
            tuple(f"pixel_{row}_{column}" for row in places for column in places),
            tuple(map(str, range(10))),
        )

    def prepare(self, values: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Scale pixels to 0..1, which needs nothing from the training rows."""
        pixels = values / self.brightest  # [N, side * side]
        return pixels.reshape(-1, 1, self.side, self.side) if self.image else pixels

    def display(self, table: Table, row: int, label_names: list[str] | None) -> dict[str, Any]:
        """Show the picture in its own shades."""
        pixels = table.data[row].astype(int)  # [side * side]
        image = pixels.reshape(self.side, self.side).tolist()  # lists of rows
        return {"image": image, "label": table.target_names[table.target[row]]}

    def feature_names(self, table: Table) -> list[str] | None:
        """Name the pixels by row and column, where they are a vector."""
        return None if self.image else super().feature_names(table)
