"""What becomes of test loss and accuracy when training examples are dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hessinf.evaluation.mean_bootstrap import difference_interval, mean_interval


@dataclass(frozen=True, eq=False)
class QueryResults:
    """What retrained models do on queries that nobody chose examples by.

    Parameters
    ----------
    losses
        ``[S, R, Q]``: for S shares that were dropped, R seeds and Q queries.
    correct
        Whether predictions were right, ``[S, R, Q]``; None where there are no classes.
    """

    losses: np.ndarray
    correct: np.ndarray | None

    def quantities(self) -> dict[str, np.ndarray]:
        """Return what is compared, ``[S, R, Q]`` by name, larger = better."""
        found = {"loss": -self.losses.astype(np.float64)}
        if self.correct is not None:
            found["accuracy"] = self.correct.astype(np.float64)
        return found


def cleaning_curve(
    shares: Sequence[float],
    counts: Sequence[int],
    dropped: QueryResults,
    control: QueryResults,
    kept: QueryResults,
    seed: int,
) -> list[dict[str, Any]]:
    """Say, for each share, what dropping it does.

    Parameters
    ----------
    shares, counts
        The shares of the training examples, and how many examples they are.
    dropped
        Without the examples that an attribution finds worst, ``[S, R, Q]``.
    control
        Without as many random ones, other ones each time, ``[S, C, Q]``.
    kept
        With all training examples, ``[1, R, Q]``, with the seeds of ``dropped``.
    seed
        Of the bootstrap.

    Returns
    -------
    list of dict
        JSON, one a share: "share", "dropped", and for each of "loss" and "accuracy" the mean
        (``"loss"``), the gain over dropping at random with its 95 % interval over seeds, random
        sets and queries (``"loss_gain"``, ``"loss_interval"``), and the gain over keeping
        everything, paired by seeds (``"loss_gain_over_all"``, ``"loss_interval_over_all"``).
    """
    random, everything = control.quantities(), kept.quantities()
    curve: list[dict[str, Any]] = []
    for place, (share, count) in enumerate(zip(shares, counts, strict=True)):
        point: dict[str, Any] = {"share": share, "dropped": count}
        for name, values in dropped.quantities().items():
            over_all = values[place] - everything[name][0]  # [R, Q]
            point |= {
                name: abs(float(values[place].mean())),
                f"{name}_gain": float(values[place].mean() - random[name][place].mean()),
                f"{name}_interval": list(
                    difference_interval(values[place], random[name][place], seed)
                ),
                f"{name}_gain_over_all": float(over_all.mean()),
                f"{name}_interval_over_all": list(mean_interval(over_all, seed)),
            }
        curve.append(point)
    return curve
