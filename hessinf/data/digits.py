"""Handwritten digits, 8 by 8 pixels (Alpaydin and Kaynak 1998; UCI), as in scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.scikit_learn_files import Table, numbers
from hessinf.data.scikit_learn_reader import ScikitLearnReader

if TYPE_CHECKING:
    import numpy as np

BRIGHTEST = 16
"""Pixels are whole numbers from 0 to this."""


@DatasetReader.register("digits")
class Digits(ScikitLearnReader):
    """Reads the digits set: 1797 handwritten digits of 8 by 8 pixels, brought to 0..1.

    Registered as a `DatasetReader` with name "digits".

    Parameters
    ----------
    image
        Give inputs `[1, 8, 8]`, for convolutions, instead of `[64]`.
    stratify
        Give both splits the same share of each digit.
    """

    name = "digits"

    def __init__(self, *, image: bool = False, stratify: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image = image
        self.stratify = stratify

    def load(self) -> Table:
        """Give scikit-learn's table."""
        values = numbers("digits.csv.gz", ",")  # [N, 65], the digit last
        return Table(
            values[:, :-1],
            values[:, -1].astype(int),
            tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
            tuple(map(str, range(10))),
        )

    def prepare(self, values: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Scale pixels to 0..1, which needs nothing from the training rows."""
        pixels = values / BRIGHTEST  # [N, 64]
        return pixels.reshape(-1, 1, 8, 8) if self.image else pixels

    def display(self, table: Table, row: int, label_names: list[str] | None) -> dict[str, Any]:
        """Show the picture in its 17 shades."""
        assert label_names is not None
        image = table.data[row].reshape(8, 8).astype(int).tolist()  # 8 lists of 8
        return {"image": image, "label": label_names[table.target[row]]}

    def feature_names(self, table: Table) -> list[str] | None:
        """Name the pixels by row and column, where they are a vector."""
        return None if self.image else super().feature_names(table)
