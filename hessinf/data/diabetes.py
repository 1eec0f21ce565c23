"""The diabetes set (Efron, Hastie, Johnstone and Tibshirani 2004), as scikit-learn ships it."""

from __future__ import annotations

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.scikit_learn_files import numbers
from hessinf.data.split_reader import SplitRegression
from hessinf.data.table import Table

MEASUREMENTS = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


@DatasetReader.register("diabetes")
class Diabetes(SplitRegression):
    """Reads the diabetes set: 442 patients, 10 measurements, how the disease went on (25 to 346).

    Registered as a `DatasetReader` with name "diabetes".
    """

    name = "diabetes"

    def load(self) -> Table:
        """Give scikit-learn's table, in the units it was measured in."""
        return Table(
            numbers("diabetes_data_raw.csv.gz"), numbers("diabetes_target.csv.gz"), MEASUREMENTS
        )
