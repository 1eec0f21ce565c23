"""The base of readers of tables in files: an example a row."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from hessinf.data.dataset import Dataset
from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError, list_problems, listed, quoted
from hessinf.data.raw_table import RawTable, as_json
from hessinf.data.table_encoding import TableEncoding
from hessinf.registry.suggestions import did_you_mean
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
    import torch
else:
    np = lazy_import("numpy")
    torch = lazy_import("torch")


class TableReader(DatasetReader):
    """Reads a table from a file, an example a row; paths are files.

    The first file read must be the training file: from it the reader learns the input columns,
    means and scales, categories and label names, and uses them for every file.

    Parameters
    ----------
    target
        The column to predict.
    inputs
        The columns that the model sees, in order; null is all but `target`, `id` and `display`.
    id
        The column with a text or number that differs in every row; null numbers the rows,
        "train/0", "train/1", ... for a file train.csv.
    display
        The columns that people are shown; null is the inputs.
    task
        `classification`: the target names a class. `regression`: it is a number.
    labels
        The names of the classes in the order in which they are numbered; null sorts what the
        training file has (as numbers if all are).
    categorical
        Input columns whose values are names; each value of the training file becomes an input that
        is 0 or 1.
    standardize
        Bring each numeric input to mean 0 and standard deviation 1, by the training file.
    dtype
        The type of the inputs, and of a regression's targets.
    """

    def __init__(
        self,
        *,
        target: str,
        inputs: list[str] | None = None,
        id: str | None = None,
        display: list[str] | None = None,
        task: Literal["classification", "regression"] = "classification",
        labels: list[str] | None = None,
        categorical: list[str] | None = None,
        standardize: bool = True,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:
        self.target = target
        self.inputs = inputs
        self.id = id
        self.shown = display
        self.task = task
        self.labels = labels
        self.categorical = categorical or []
        self.standardize = standardize
        self.dtype = dtype
        self._encoding: TableEncoding | None = None
        self._check_arguments()

    def _check_arguments(self) -> None:
        if self.id is not None and self.id in (self.target, *(self.inputs or [])):
            raise ValueError(f"id {quoted(self.id)} is also the target or among inputs")
        if self.inputs is not None:
            if not self.inputs:
                raise ValueError("inputs is empty; name columns, or leave it out for all")
            if len(set(self.inputs)) < len(self.inputs):
                raise ValueError("inputs names a column twice")
            if self.target in self.inputs:
                raise ValueError(f"target {quoted(self.target)} is also among inputs")
            for name in self.categorical:
                if name not in self.inputs:
                    hint = did_you_mean(name, self.inputs)
                    raise ValueError(f"categorical {quoted(name)} is not among inputs{hint}")
        if self.labels is not None:
            if self.task == "regression":
                raise ValueError("labels are for classification, but task is regression")
            if len(set(self.labels)) < max(2, len(self.labels)):
                raise ValueError("labels needs two names or more, that differ")

    @abstractmethod
    def parse(self, path: str) -> RawTable:
        """Read the file into columns, noting rows that cannot be parsed.

        Parameters
        ----------
        path
            As the config says.

        Returns
        -------
        RawTable
        """

    def read(self, path: str) -> Dataset:
        """Read a file.

        Parameters
        ----------
        path
            The file, relative to the working directory; the training file first.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            With all problems of the file, up to ten in full: file, line, column, the value found,
            what was expected and what to try.
        """
        table = self.parse(path)
        if not len(table):
            table.raise_problems()
            raise DataError(f"{path} has no rows, expected at least one")
        learning = self._encoding is None
        encoding = self._encoding or self._learn(table)
        self._require_columns(table, encoding)
        columns = encoding.read_columns(table)
        targets = self._targets(table, encoding)
        ids = table.ids(self.id)
        table.raise_problems()
        if learning:
            if encoding.labels is not None:
                table.require_classes(self.target, targets, encoding.labels)
            if self.standardize:
                encoding = encoding.with_standardization(columns)
            self._encoding = encoding
        number = getattr(torch, self.dtype)
        return Dataset.from_columns(
            torch.tensor(encoding.encode(columns), dtype=number),  # [N, D]
            torch.tensor(targets, dtype=number if encoding.labels is None else torch.int64),
            ids=ids,
            displays=self._displays(table, encoding, columns, targets),
            label_names=encoding.labels,
            feature_names=encoding.feature_names,
            name=path,
        )

    def _learn(self, table: RawTable) -> TableEncoding:
        aside = {self.target, self.id, *(self.shown or [])}
        inputs = self.inputs or [name for name in table.columns if name not in aside]
        if self.inputs is None and "" in inputs:
            raise DataError(
                f"{table.path} has a column without a name, which an index often is; name the "
                "inputs, or save the file without its index"
            )
        if not inputs:
            raise DataError(
                f"{table.path} has no columns left for inputs: it has {listed(table.columns)}"
            )
        named = TableEncoding(tuple(inputs), {}, None)
        self._require_columns(table, named)
        for name in self.categorical:
            if name not in inputs:
                raise DataError(
                    f"categorical {quoted(name)} is not among the inputs: {listed(inputs)}"
                )
        return TableEncoding.learn(
            table,
            inputs=inputs,
            categorical=self.categorical,
            target=self.target,
            labels=None if self.task == "regression" else self.labels or [],
        )

    def _require_columns(self, table: RawTable, encoding: TableEncoding) -> None:
        """Refuse a table without the columns that the arguments name, all at once."""
        wanted = {"target": [self.target], "id": [self.id] if self.id else []}
        wanted |= {"inputs": list(encoding.inputs), "display": self.shown or []}
        wanted |= {"categorical": self.categorical}
        missing = [
            f"{argument}: no column {quoted(name)}{did_you_mean(name, table.columns)}"
            for argument, names in wanted.items()
            for name in names
            if name not in table.columns
        ]
        if missing:
            headline = f"{table.path} has the columns {listed(table.columns)}"
            raise DataError(list_problems(headline, missing) + self.column_hint(table))

    def column_hint(self, table: RawTable) -> str:
        """Say what else may be wrong when columns are not found."""
        return ""

    def _targets(self, table: RawTable, encoding: TableEncoding) -> np.ndarray:
        if encoding.labels is None:
            hint = '; correct it, or set task: "classification"'
            return table.numbers(self.target, hint=hint)  # [N]
        return table.classes(self.target, encoding.labels)  # [N]

    def _displays(
        self,
        table: RawTable,
        encoding: TableEncoding,
        columns: dict[str, np.ndarray],
        targets: np.ndarray,
    ) -> list[dict[str, Any]]:
        """Show the values as the file has them; numbers of numeric inputs as numbers."""
        shown = {}
        for name in self.shown or encoding.inputs:
            if name in encoding.numeric:
                shown[name] = columns[name].tolist()
            else:
                shown[name] = [as_json(value) for value in table.columns[name]]
        rows = [
            dict(zip(shown, values, strict=True)) for values in zip(*shown.values(), strict=True)
        ]
        labels = encoding.labels
        if labels is None:
            return [
                {"row": row, "target": t} for row, t in zip(rows, targets.tolist(), strict=True)
            ]
        return [{"row": row, "label": labels[t]} for row, t in zip(rows, targets, strict=True)]

    def state(self) -> dict[str, Any]:
        """Give what was learnt from the training file; empty before it was read."""
        return {} if self._encoding is None else self._encoding.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what a reader with the same arguments learnt from the training file.

        Parameters
        ----------
        state
            What :meth:`state` gave; empty to learn from the next file read.

        Raises
        ------
        DataError
            When it does not fit the arguments.
        """
        encoding = TableEncoding.from_state(state) if state else None
        if encoding is not None:
            self._check_fit(encoding)
        self._encoding = encoding

    def _check_fit(self, encoding: TableEncoding) -> None:
        is_regression = encoding.labels is None
        for argument, found, expected in (
            ("inputs", list(encoding.inputs), self.inputs or list(encoding.inputs)),
            ("labels", list(encoding.labels or []), self.labels or list(encoding.labels or [])),
            ("categorical", sorted(encoding.categories), sorted(self.categorical)),
            ("task", "regression" if is_regression else "classification", self.task),
        ):
            if found != expected:
                raise DataError(
                    f"the reader's saved state has {argument} {quoted(found)}, the config has "
                    f"{quoted(expected)}; use the config it was saved with"
                )
