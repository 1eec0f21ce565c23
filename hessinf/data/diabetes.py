"""The diabetes set (Efron, Hastie, Johnstone and Tibshirani 2004), as scikit-learn ships it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.scikit_learn_reader import ScikitLearnTable
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from sklearn import datasets
else:
    datasets = lazy_import("sklearn.datasets")


@DatasetReader.register("diabetes")
class Diabetes(ScikitLearnTable):
    """Reads the diabetes set: 442 patients, 10 measurements, how the disease went on (25 to 346).

    Registered as a `DatasetReader` with name "diabetes".
    """

    name = "diabetes"

    def load(self) -> Any:
        """Give scikit-learn's table, in the units it was measured in."""
        return datasets.load_diabetes(scaled=False)

    def label_names(self, table: Any) -> None:
        """Name no classes: this is a regression."""
