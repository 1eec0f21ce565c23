"""Parkinson's disease by voice (Tsanas, Little, McSharry and Ramig 2010; UCI data set 189)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hessinf.data.csv_reader import CsvReader
from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError, list_problems
from hessinf.data.input_file import find_file
from hessinf.data.split_reader import SplitRegression
from hessinf.data.table import Table
from hessinf.registry.suggestions import did_you_mean
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")

SUBJECT = "subject#"

INPUTS = (
    "age",
    "sex",
    "test_time",
    "Jitter(%)",
    "Jitter(Abs)",
    "Jitter:RAP",
    "Jitter:PPQ5",
    "Jitter:DDP",
    "Shimmer",
    "Shimmer(dB)",
    "Shimmer:APQ3",
    "Shimmer:APQ5",
    "Shimmer:APQ11",
    "Shimmer:DDA",
    "NHR",
    "HNR",
    "RPDE",
    "DFA",
    "PPE",
)


@DatasetReader.register("parkinsons")
class Parkinsons(SplitRegression):
    """Reads the Parkinson's telemonitoring set: 5875 voice recordings of 42 people, 19 inputs.

    Registered as a `DatasetReader` with name "parkinsons".

    No package brings it along: download "Parkinsons Telemonitoring", data set 189 of the UCI
    Machine Learning Repository, and unpack it.

    Parameters
    ----------
    file
        Its table, as it is unpacked.
    target
        The score to predict.
    split_by_subject
        Put all recordings of a person into one split; then `test_ratio` is a share of the people.
        Without, most queries are of people whom the model knows.
    """

    name = "parkinsons"

    def __init__(
        self,
        *,
        file: str = "parkinsons_updrs.data",
        target: Literal["motor_UPDRS", "total_UPDRS"] = "total_UPDRS",
        split_by_subject: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.file = file
        self.target = target
        self.split_by_subject = split_by_subject

    def load(self) -> Table:
        """Read the file; a DataError that says where to get it where it is missing."""
        try:
            find_file(self.file)
        except DataError as error:
            raise DataError(
                f'{error}\n  to get it, download "Parkinsons Telemonitoring", data set 189 of the '
                "UCI Machine Learning Repository (archive.ics.uci.edu), unpack it, and give its "
                "parkinsons_updrs.data as `file`"
            ) from error
        table = CsvReader(target=self.target).parse(self.file)
        wanted = (SUBJECT, *INPUTS, self.target)
        missing = [
            f"expected also {name!r}{did_you_mean(name, table.columns)}"
            for name in wanted
            if name not in table.columns
        ]
        if missing:
            headline = f"{self.file} is not parkinsons_updrs.data: columns are missing"
            raise DataError(list_problems(headline, missing))
        columns = {name: table.numbers(name, hint="; correct it") for name in wanted}
        table.raise_problems()
        if not len(table):
            raise DataError(f"{self.file} has no rows, expected at least one")
        data = np.stack([columns[name] for name in INPUTS], axis=1)  # [N, 19]
        groups = columns[SUBJECT] if self.split_by_subject else None
        return Table(data, columns[self.target], INPUTS, groups=groups)
