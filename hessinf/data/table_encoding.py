"""What a table reader learns from the training file, and uses for every other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from hessinf.data.errors import DataError
from hessinf.data.raw_table import RawTable
from hessinf.data.standardization import Standardization
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")


@dataclass(frozen=True)
class TableEncoding:
    """How rows become numbers.

    Parameters
    ----------
    inputs
        The input columns in order.
    categories
        The values of each categorical column; one input a value, 0 or 1.
    labels
        The names of the classes in order; None for a regression.
    standardization
        Of the numeric input columns in order; None where they are left as they are.
    """

    inputs: tuple[str, ...]
    categories: dict[str, list[str]]
    labels: tuple[str, ...] | None
    standardization: Standardization | None = None

    @classmethod
    def learn(
        cls,
        table: RawTable,
        *,
        inputs: Sequence[str],
        categorical: Sequence[str],
        target: str,
        labels: Sequence[str] | None,
    ) -> TableEncoding:
        """Learn categories and label names; numbers follow in :meth:`with_standardization`.

        Parameters
        ----------
        table
            The training file.
        inputs, categorical, target
            Its columns.
        labels
            Empty to take the sorted values of ``target``, None for a regression.
        """
        categories = {name: table.names(name) for name in inputs if name in categorical}
        if labels is not None and not labels:
            labels = table.names(target)
        return cls(tuple(inputs), categories, None if labels is None else tuple(labels))

    @property
    def numeric(self) -> list[str]:
        """The input columns that are numbers."""
        return [name for name in self.inputs if name not in self.categories]

    @property
    def feature_names(self) -> list[str]:
        """One name for each number that the model sees: ``age``, ``color=red``."""
        names = []
        for name in self.inputs:
            if name in self.categories:
                names += [f"{name}={value}" for value in self.categories[name]]
            else:
                names.append(name)
        return names

    def read_columns(self, table: RawTable) -> dict[str, np.ndarray]:
        """Convert the input columns: numbers, or places among the categories; notes problems.

        Returns
        -------
        dict
            ``[N]`` a column, float64 or int64.
        """
        hint = "; correct it, list the column in `categorical`, or leave it out of `inputs`"
        columns = {}
        for name in self.inputs:
            if name in self.categories:
                columns[name] = table.codes(
                    name,
                    self.categories[name],
                    "a category of the training file",
                    "; add such a row to the training file, or remove this one",
                )
            else:
                columns[name] = table.numbers(name, hint=hint)
        return columns

    def with_standardization(self, columns: dict[str, np.ndarray]) -> TableEncoding:
        """Learn mean and scale of the numeric columns."""
        if not self.numeric:
            return self
        values = np.stack([columns[name] for name in self.numeric], axis=1)  # [N, numeric]
        return replace(self, standardization=Standardization.fit(values))

    def encode(self, columns: dict[str, np.ndarray]) -> np.ndarray:
        """Turn converted columns into model inputs ``[N, D]``, float64."""
        values = {name: columns[name] for name in self.numeric}
        if self.standardization is not None:
            scaled = self.standardization.apply(np.stack(list(values.values()), axis=1))
            values = dict(zip(values, scaled.T, strict=True))
        blocks = [
            np.eye(len(self.categories[name]))[columns[name]]  # [N, values]
            if name in self.categories
            else values[name][:, None]  # [N, 1]
            for name in self.inputs
        ]
        return np.concatenate(blocks, axis=1)  # [N, D]

    def state(self) -> dict[str, Any]:
        """Write everything learnt in JSON values."""
        scales = self.standardization
        return {
            "inputs": list(self.inputs),
            "categories": self.categories,
            "labels": None if self.labels is None else list(self.labels),
            "standardization": scales and {k: list(v) for k, v in asdict(scales).items()},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableEncoding:
        """Read what :meth:`state` wrote; a DataError where it is something else."""
        expected = {"inputs", "categories", "labels", "standardization"}
        if missing := sorted(expected - state.keys()):
            raise DataError(
                f"this is not the state of a table reader; it lacks {', '.join(missing)}"
            )
        scales = state["standardization"]
        return cls(
            tuple(state["inputs"]),
            {name: list(values) for name, values in state["categories"].items()},
            None if state["labels"] is None else tuple(state["labels"]),
            scales and Standardization(tuple(scales["mean"]), tuple(scales["scale"])),
        )
