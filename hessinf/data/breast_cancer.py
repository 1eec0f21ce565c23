"""The breast-cancer set (Wolberg, Street and Mangasarian 1995; UCI), as scikit-learn ships it."""

from __future__ import annotations

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.scikit_learn_files import classified_table
from hessinf.data.split_reader import SplitClasses
from hessinf.data.table import Table

PROPERTIES = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
"""Of cell nuclei; for each the mean over the nuclei, its standard error, and the worst."""

MEASUREMENTS = (
    *(f"mean {name}" for name in PROPERTIES),
    *(f"{name} error" for name in PROPERTIES),
    *(f"worst {name}" for name in PROPERTIES),
)


@DatasetReader.register("breast-cancer")
class BreastCancer(SplitClasses):
    """Reads the breast-cancer set: 569 biopsies, 30 measurements, two classes (malignant, benign).

    Registered as a `DatasetReader` with name "breast-cancer".
    """

    name = "breast-cancer"

    def load(self) -> Table:
        """Give scikit-learn's table."""
        return classified_table("breast_cancer.csv", MEASUREMENTS)
