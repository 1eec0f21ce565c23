"""The wine set (Forina et al. 1988; UCI), as scikit-learn ships it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.scikit_learn_reader import ScikitLearnClasses
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from sklearn import datasets
else:
    datasets = lazy_import("sklearn.datasets")


@DatasetReader.register("wine")
class Wine(ScikitLearnClasses):
    """Reads the wine set: 178 wines, 13 chemical measurements, three growers.

    Registered as a `DatasetReader` with name "wine".
    """

    name = "wine"

    def load(self) -> Any:
        """Give scikit-learn's table."""
        return datasets.load_wine()
