"""Differences between rows of a table."""

from __future__ import annotations

import numpy as np
import pytest

from hessinf.evaluation import Judgement
from hessinf.evaluation.paired_rows import neighbours

SHARED = np.random.default_rng(0).standard_normal(500)


def judgement(value: float, replicates: np.ndarray) -> Judgement:
    return Judgement({"value": value}, {"replicates": replicates})


def test_neighbours_from_the_best_to_the_worst() -> None:
    """Noise that rows share is no noise of their difference."""
    found = neighbours(
        {
            "middle": judgement(0.5, 0.5 + SHARED),
            "none": judgement(float("nan"), SHARED),
            "best": judgement(0.75, 0.75 + SHARED),
            "worst": judgement(0.25, 0.25 - SHARED),
        }
    )
    assert [(one["better"], one["worse"]) for one in found] == [
        ("best", "middle"),
        ("middle", "worst"),
    ]
    assert [one["difference"] for one in found] == [0.25, 0.25]
    assert found[0]["interval"] == pytest.approx([0.25, 0.25])
    low, high = found[1]["interval"]
    assert low < 0.25 - 2 < 0.25 + 2 < high


def test_one_row_has_no_neighbour() -> None:
    assert neighbours({"alone": judgement(0.5, SHARED)}) == ()
