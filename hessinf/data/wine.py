"""The wine set (Forina et al. 1988; UCI), as scikit-learn ships it."""

from __future__ import annotations

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.scikit_learn_files import classified_table
from hessinf.data.split_reader import SplitClasses
from hessinf.data.table import Table

MEASUREMENTS = (
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280/od315_of_diluted_wines",
    "proline",
)


@DatasetReader.register("wine")
class Wine(SplitClasses):
    """Reads the wine set: 178 wines, 13 chemical measurements, three growers.

    Registered as a `DatasetReader` with name "wine".
    """

    name = "wine"

    def load(self) -> Table:
        """Give scikit-learn's table."""
        return classified_table("wine_data.csv", MEASUREMENTS)
