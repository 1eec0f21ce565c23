"""Handwritten digits, 8 by 8 pixels (Alpaydin and Kaynak 1998; UCI), as in scikit-learn."""

from __future__ import annotations

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.scikit_learn_files import numbers
from hessinf.data.split_images import SplitImages
from hessinf.data.table import Table


@DatasetReader.register("digits")
class Digits(SplitImages):
    """Reads the digits set: 1797 handwritten digits of 8 by 8 pixels, brought to 0..1.

    Registered as a `DatasetReader` with name "digits".
    """

    name = "digits"
    side = 8
    brightest = 16

    def load(self) -> Table:
        """Give scikit-learn's table."""
        return self.table(numbers("digits.csv.gz", ","))
