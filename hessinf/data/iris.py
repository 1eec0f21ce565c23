"""The iris set (Fisher 1936; UCI), as scikit-learn ships it."""

from __future__ import annotations

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.scikit_learn_files import classified_table
from hessinf.data.split_reader import SplitClasses
from hessinf.data.table import Table

MEASUREMENTS = (
    "sepal length (cm)",
    "sepal width (cm)",
    "petal length (cm)",
    "petal width (cm)",
)


@DatasetReader.register("iris")
class Iris(SplitClasses):
    """Reads the iris set: 150 flowers, 4 measurements, three species.

    Registered as a `DatasetReader` with name "iris".
    """

    name = "iris"

    def load(self) -> Table:
        """Give scikit-learn's table."""
        return classified_table("iris.csv", MEASUREMENTS)
