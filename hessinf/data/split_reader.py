"""The base of readers of one table, which is cut into a training and a test split."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from hessinf.data.dataset import Dataset
from hessinf.data.dataset_reader import DatasetReader, check_split
from hessinf.data.errors import DataError, quoted
from hessinf.data.random_split import random_group_split, random_split
from hessinf.data.standardization import Standardization
from hessinf.registry import Above, AtLeast, Below
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
    import torch

    from hessinf.data.table import Table
else:
    np = lazy_import("numpy")
    torch = lazy_import("torch")


class SplitReader(DatasetReader):
    """Reads one table of examples, cut in two; paths are `train` and `test`.

    Parameters
    ----------
    test_ratio
        The share of examples in the test split; rounded up to a whole number of them.
    split_seed
        Decides which examples are in the test split, and the order of both.
    train_size
        Keep so many training examples, the first ones after the shuffle; null keeps all.
    dtype
        The type of the inputs, and of a regression's targets.
    """

    name: ClassVar[str]
    """The registered name, which is also what ids begin with."""

    stratify: bool = False
    """Whether both splits get the same share of each class."""

    def __init__(
        self,
        *,
        test_ratio: Annotated[float, Above(0), Below(1)] = 0.1,
        split_seed: Annotated[int, AtLeast(0)] = 0,
        train_size: Annotated[int, AtLeast(1)] | None = None,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:
        self.test_ratio = test_ratio
        self.split_seed = split_seed
        self.train_size = train_size
        self.dtype = dtype

    def read(self, path: str) -> Dataset:
        """Read a split.

        Parameters
        ----------
        path
            ``"train"`` or ``"test"``.

        Returns
        -------
        Dataset
            Whose ids are the row numbers of the whole table, ``"wine/17"``.

        Raises
        ------
        DataError
            When there is no such split, or the data are too few for the sizes asked for.
        """
        check_split(self.name, path)
        table = self._table
        train, test = self._rows(table)
        rows = train if path == "train" else test
        inputs = self.prepare(table.data, train)[rows]  # [n, ...]
        label_names = self.label_names(table)
        targets = self.prepare_targets(table.target, train)[rows]  # [n]
        target_type = getattr(torch, self.dtype) if label_names is None else torch.int64
        return Dataset.from_columns(
            torch.tensor(inputs, dtype=getattr(torch, self.dtype)),
            torch.tensor(targets, dtype=target_type),
            ids=[f"{self.name}/{row}" for row in rows],
            displays=[self.display(table, row, label_names) for row in rows],
            label_names=label_names,
            feature_names=self.feature_names(table),
            name=f"{self.name}/{path}",
        )

    def _rows(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Draw the rows of the training and the test split that are kept, in order."""
        try:
            train, test = self.split(table)
        except DataError as error:
            raise DataError(
                f"reader {quoted(self.name)}: test_ratio {self.test_ratio} does not split "
                f"{len(table.target)} examples: {error}"
            ) from error
        if self.train_size is not None and self.train_size > len(train):
            raise DataError(
                f"reader {quoted(self.name)}: train_size is {self.train_size}, but the training "
                f"split has {len(train)} examples; ask for fewer, or lower test_ratio"
            )
        return train[: self.train_size], test

    def split(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Draw the rows of the training and of the test split, each in order."""
        if table.groups is not None:
            return random_group_split(table.groups, self.test_ratio, self.split_seed)
        return random_split(table.target, self.test_ratio, self.split_seed, stratify=self.stratify)

    @cached_property
    def _table(self) -> Table:
        return self.load()

    @abstractmethod
    def load(self) -> Table:
        """Give the whole table, as it was measured."""

    @abstractmethod
    def prepare(self, values: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Turn ``[N, D]`` into model inputs ``[N, ...]``, learning from the rows ``train`` only."""

    def prepare_targets(self, values: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Turn targets ``[N]`` into what is predicted, learning from the rows ``train`` only."""
        return values

    @abstractmethod
    def display(self, table: Table, row: int, label_names: list[str] | None) -> dict[str, Any]:
        """Say what a person is shown of one row."""

    def label_names(self, table: Table) -> list[str] | None:
        """Name the classes; None for a regression."""
        return [str(name) for name in table.target_names]

    def feature_names(self, table: Table) -> list[str] | None:
        """Name the numbers of a vector input."""
        return [str(name) for name in table.feature_names]


class SplitTable(SplitReader):
    """Reads a table of measurements.

    Parameters
    ----------
    standardize
        Bring each feature to mean 0 and standard deviation 1, by the training examples that are
        kept.
    """

    def __init__(self, *, standardize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.standardize = standardize

    def prepare(self, values: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Standardize ``[N, D]`` by the training rows, where that is wanted."""
        return Standardization.fit(values[train]).apply(values) if self.standardize else values

    def display(self, table: Table, row: int, label_names: list[str] | None) -> dict[str, Any]:
        """Show the measurements as they were taken."""
        numbers = dict(zip(map(str, table.feature_names), table.data[row].tolist(), strict=True))
        if label_names is None:
            return {"row": numbers, "target": float(table.target[row])}
        return {"row": numbers, "label": label_names[table.target[row]]}


class SplitClasses(SplitTable):
    """Reads a table of measurements with classes.

    Parameters
    ----------
    stratify
        Give both splits the same share of each class.
    """

    def __init__(self, *, stratify: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stratify = stratify


class SplitRegression(SplitTable):
    """Reads a table of measurements with a value to predict.

    Parameters
    ----------
    standardize_target
        Bring the value to mean 0 and standard deviation 1, by the training examples that are kept.
        Losses and predictions are then in these units; people are shown the value as it was
        measured.
    """

    def __init__(self, *, standardize_target: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.standardize_target = standardize_target

    def prepare_targets(self, values: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Standardize ``[N]`` by the training rows, where that is wanted."""
        if not self.standardize_target:
            return values
        column = values[:, None]  # [N, 1]
        return Standardization.fit(column[train]).apply(column)[:, 0]

    def label_names(self, table: Table) -> None:
        """Name no classes."""
