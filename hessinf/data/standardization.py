"""Features brought to mean 0 and standard deviation 1, by statistics of the training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")


@dataclass(frozen=True)
class Standardization:
    """What was learnt: one mean and one scale per feature.

    Parameters
    ----------
    mean
        What is subtracted.
    scale
        What the difference is divided by: the standard deviation (of the population, so divided by
        N), and 1 for a feature that never changes.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, values: np.ndarray) -> Standardization:
        """Learn mean and scale of each feature.

        Parameters
        ----------
        values
            ``[N, D]``, N at least 1.

        Returns
        -------
        Standardization
        """
        values = np.asarray(values, dtype=np.float64)  # [N, D]
        lowest, highest = values.min(axis=0), values.max(axis=0)  # [D]
        constant = lowest == highest
        # The mean of equal numbers is rarely that number; taken exactly, the feature becomes 0.
        mean = np.where(constant, lowest, values.mean(axis=0))  # [D]
        scale = np.where(constant, 1.0, values.std(axis=0))  # [D]
        # The squares of very small differences vanish.
        scale = np.where(scale == 0, 1.0, scale)
        return cls(tuple(mean.tolist()), tuple(scale.tolist()))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Standardize ``[N, D]`` with what was learnt, in float64."""
        return (np.asarray(values, dtype=np.float64) - self.mean) / self.scale
