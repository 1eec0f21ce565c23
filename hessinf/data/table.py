"""A table of examples as its source has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Table:
    """A table of examples.

    Parameters
    ----------
    data
        ``[N, D]``, float64.
    target
        ``[N]``: class numbers, or values.
    feature_names
        D names.
    target_names
        The names of the classes; none for a regression.
    groups
        ``[N]``: who or what each example was measured on, where all of one must be in one split.
    """

    data: np.ndarray
    target: np.ndarray
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...] = ()
    groups: np.ndarray | None = None
