"""The base of everything that reads examples from somewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hessinf.data.errors import DataError, listed, quoted
from hessinf.registry import Registrable
from hessinf.registry.suggestions import did_you_mean

if TYPE_CHECKING:
    from hessinf.data.dataset import Dataset

SPLITS = ("train", "test")
"""The parts of data sets that come with the package or are made up."""


class DatasetReader(Registrable, ABC):
    """Reads examples.

    A reader is configured once and reads several paths: the training data first, then the queries.
    What it learns from the first (means, label names) it uses for all, and gives out as its state.
    """

    default_implementation = None

    @abstractmethod
    def read(self, path: str) -> Dataset:
        """Read the examples of one path.

        Parameters
        ----------
        path
            A file, or the name of a split, as the reader defines it.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            When there is nothing there, or what is there is wrong.
        """

    def state(self) -> dict[str, Any]:
        """Give what was learnt from data, in JSON values; empty when that is nothing."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what a reader with the same arguments has learnt.

        Parameters
        ----------
        state
            What :meth:`state` gave.

        Raises
        ------
        DataError
            When the state is of another kind of reader.
        """
        if state:
            raise DataError(
                f"{type(self).__name__} learns nothing from data, found a state with "
                f"{listed(state)}; was it saved by another reader?"
            )


def check_split(reader: str, path: str, splits: Sequence[str] = SPLITS) -> None:
    """Refuse a path that is not the name of a split.

    Parameters
    ----------
    reader
        The registered name of the reader.
    path
        What the config says.
    splits
        What would be accepted.

    Raises
    ------
    DataError
        With the accepted names.
    """
    if path not in splits:
        raise DataError(
            f"reader {quoted(reader)} has no split {quoted(path)}{did_you_mean(path, splits)} "
            f"(its splits: {listed(splits)})"
        )
