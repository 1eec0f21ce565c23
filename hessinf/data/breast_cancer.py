"""The breast-cancer set (Wolberg, Street and Mangasarian 1995; UCI), as scikit-learn ships it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.scikit_learn_reader import ScikitLearnClasses
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from sklearn import datasets
else:
    datasets = lazy_import("sklearn.datasets")


@DatasetReader.register("breast-cancer")
class BreastCancer(ScikitLearnClasses):
    """Reads the breast-cancer set: 569 biopsies, 30 measurements, two classes (malignant, benign).

    Registered as a `DatasetReader` with name "breast-cancer".
    """

    name = "breast-cancer"

    def load(self) -> Any:
        """Give scikit-learn's table."""
        return datasets.load_breast_cancer()
