"""The iris set (Fisher 1936; UCI), as scikit-learn ships it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.scikit_learn_reader import ScikitLearnClasses
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from sklearn import datasets
else:
    datasets = lazy_import("sklearn.datasets")


@DatasetReader.register("iris")
class Iris(ScikitLearnClasses):
    """Reads the iris set: 150 flowers, 4 measurements, three species.

    Registered as a `DatasetReader` with name "iris".
    """

    name = "iris"

    def load(self) -> Any:
        """Give scikit-learn's table."""
        return datasets.load_iris()
