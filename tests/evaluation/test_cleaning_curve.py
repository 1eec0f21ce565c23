from __future__ import annotations

import numpy as np
import pytest

from hessinf.evaluation.cleaning_curve import QueryResults, cleaning_curve
from hessinf.evaluation.mean_bootstrap import difference_interval, mean_interval


def results(shift: float, shares: int = 2, classes: bool = True) -> QueryResults:
    losses = np.random.default_rng(1).uniform(1, 2, size=(shares, 3, 10)) + shift
    return QueryResults(losses.astype(np.float32), losses < 1.5 if classes else None)


def test_without_classes():
    (point,) = cleaning_curve(
        [0.1], [5], results(0, 1, False), results(1, 1, False), results(0, 1, False), 0
    )
    assert not [name for name in point if "accuracy" in name]


def test_the_curve():
    dropped, control, kept = results(-0.25), results(0.0), results(0.5, shares=1)
    first, second = cleaning_curve([0.1, 0.2], [8, 16], dropped, control, kept, seed=3)
    assert (first["share"], first["dropped"], second["dropped"]) == (0.1, 8, 16)
    assert first["loss"] == pytest.approx(dropped.losses[0].mean())
    assert second["accuracy"] == pytest.approx(dropped.correct[1].mean())
    assert second["loss_gain"] == pytest.approx(0.25, abs=1e-6)
    assert second["loss_interval"] == list(
        difference_interval(-dropped.losses[1], -control.losses[1], 3)
    )
    assert second["accuracy_gain"] > 0, "a gain is a higher accuracy, and a lower loss"
    over_all = kept.losses[0].astype(float) - dropped.losses[1]
    assert second["loss_gain_over_all"] == pytest.approx(over_all.mean())
    assert second["loss_interval_over_all"] == list(mean_interval(over_all, 3))
