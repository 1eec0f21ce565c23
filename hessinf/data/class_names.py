"""What the classes of a data set are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hessinf.data.default_display import label_name
from hessinf.data.errors import DataError, listed, quoted
from hessinf.registry.suggestions import did_you_mean

if TYPE_CHECKING:
    from hessinf.data.dataset import Dataset


def class_names(dataset: Dataset, path: str, purpose: str) -> list[str]:
    """Name the classes of a data set where each example has one.

    Parameters
    ----------
    dataset
        What was read.
    path
        What it was read from.
    purpose
        Who asks, and what for: "noisy-labels changes classes".

    Returns
    -------
    list of str
        In the order of their numbers; the numbers themselves where classes have no names.

    Raises
    ------
    DataError
        When examples have numbers for targets, or several labels each.
    """
    if not dataset.is_classification or dataset.target_shape != ():
        kind = "one label a position" if dataset.is_classification else "numbers to predict"
        raise DataError(
            f"{purpose}, but {path} has {kind}; remove the wrapper, or read a classification"
        )
    return [label_name(label, dataset.label_names) for label in range(dataset.num_classes or 0)]


def class_number(name: str, names: Sequence[str], path: str, reader: str) -> int:
    """Find a class by its name.

    Parameters
    ----------
    name
        What is looked for.
    names
        What :func:`class_names` returned.
    path
        What was read.
    reader
        Who asks.

    Returns
    -------
    int

    Raises
    ------
    DataError
        When there is no such class, with those that there are.
    """
    if name not in names:
        raise DataError(
            f"{reader}: {path} has no class {quoted(name)}{did_you_mean(name, names)} (its "
            f"classes: {listed(names)})"
        )
    return names.index(name)
