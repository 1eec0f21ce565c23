"""How near scores have to come to what they are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Tolerance:
    """What is asked of scores beside a reference. Every bound that is given has to hold.

    Parameters
    ----------
    relative
        The largest ``‖found − expected‖ / ‖expected‖``, over the whole matrix.
    spearman
        The smallest rank correlation, mean over queries. Blind to scale: give ``norm_ratio`` too.
    norm_ratio
        How far ``‖found‖ / ‖expected‖`` may be from 1.
    """

    relative: float | None = None
    spearman: float | None = None
    norm_ratio: float | None = None

    def __post_init__(self) -> None:
        """Refuse a tolerance that asks for nothing."""
        if self.relative is None and self.spearman is None and self.norm_ratio is None:
            raise ValueError("a tolerance needs at least one of relative, spearman and norm_ratio")

    def check(self, found: np.ndarray, expected: np.ndarray, what: str) -> None:
        """Compare scores ``[Q, N]``, or self-influence ``[N]``.

        Parameters
        ----------
        found, expected
            Of the same shape.
        what
            How a failure calls them.

        Raises
        ------
        AssertionError
            With the figures.
        """
        assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
        assert np.isfinite(found).all(), f"{what}: not finite"
        found, expected = found.astype(np.float64), expected.astype(np.float64)
        size = float(np.linalg.norm(expected))
        assert size > 0, f"{what}: the reference is zero, so that nothing is compared"
        error = float(np.linalg.norm(found - expected)) / size
        ratio = float(np.linalg.norm(found)) / size
        rank = mean_spearman(found, expected)
        figures = f"{what}: relative error {error:.3g}, norm ratio {ratio:.6g}, Spearman {rank:.6g}"
        if self.relative is not None:
            assert error <= self.relative, f"{figures}; relative error at most {self.relative:g}"
        if self.spearman is not None:
            assert rank >= self.spearman, f"{figures}; Spearman at least {self.spearman:g}"
        if self.norm_ratio is not None:
            far = abs(ratio - 1)
            assert far <= self.norm_ratio, f"{figures}; norm ratio within {self.norm_ratio:g} of 1"


def mean_spearman(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the rank correlation of scores ``[Q, N]``, or ``[N]``, mean over queries."""
    rows = zip(np.atleast_2d(found), np.atleast_2d(expected), strict=True)
    return float(np.mean([stats.spearmanr(left, right).statistic for left, right in rows]))
