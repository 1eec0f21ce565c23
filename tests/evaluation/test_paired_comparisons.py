from __future__ import annotations

import numpy as np
import pytest

from hessinf.evaluation.metric import Judgement
from hessinf.evaluation.paired_comparisons import (
    Comparison,
    compared_neighbours,
    paired_comparisons,
    verdict,
    verdict_notes,
)


def judged(values, resampled):
    return {
        row: Judgement({"value": value}, {"resampled": resampled[row]})
        for row, value in values.items()
    }


def compared(values, spread=0.01, **options):
    """Rows whose resamples are their values and noise of their own."""
    random = np.random.default_rng(0)
    resampled = {row: value + spread * random.standard_normal(400) for row, value in values.items()}
    return paired_comparisons(judged(values, resampled), **options)


def test_all_pairs_the_best_row_first():
    found = compared({"a": 0.2, "b": 0.9, "c": 0.5})
    assert [(x.better, x.worse) for x in found] == [("b", "c"), ("b", "a"), ("c", "a")]
    assert [x.difference for x in found] == pytest.approx([0.4, 0.7, 0.3])
    for comparison in found:
        low, high = comparison.interval
        assert low < comparison.difference < high
        assert comparison.sure


def test_lower_may_be_better():
    found = compared({"a": 0.2, "b": 0.9}, higher_is_better=False)
    assert [(x.better, x.worse) for x in found] == [("a", "b")]
    assert found[0].difference == pytest.approx(-0.7)
    assert found[0].interval[1] < 0
    assert found[0].sure


def test_what_both_have_in_common_cancels():
    random = np.random.default_rng(1)
    common = random.standard_normal(500)
    resampled = {"a": common, "b": common - 0.1}
    (pair,) = paired_comparisons(judged({"a": 0.1, "b": 0.0}, resampled))
    assert pair.interval == pytest.approx((0.1, 0.1))
    assert pair.sure


def test_pairs_with_some_rows_only():
    found = compared({"a": 0.2, "b": 0.9, "loss": 0.5}, against=["loss"])
    assert [(x.better, x.worse) for x in found] == [("b", "loss"), ("loss", "a")]


def test_equal_rows_stand_in_the_order_of_their_names():
    same = np.zeros(10)
    (pair,) = paired_comparisons(judged({"z": 1.0, "y": 1.0}, {"z": same, "y": same}))
    assert (pair.better, pair.worse, pair.difference, pair.interval) == ("y", "z", 0, (0, 0))
    assert not pair.sure


def test_neighbours_from_the_best_to_the_worst():
    """Noise that rows share is no noise of their difference; rows without a value are left out."""
    shared = np.random.default_rng(0).standard_normal(500)
    values = {"middle": 0.5, "none": None, "best": 0.75, "worst": 0.25}
    resampled = {
        "middle": 0.5 + shared,
        "none": np.full(500, np.nan),
        "best": 0.75 + shared,
        "worst": 0.25 - shared,
    }
    found = compared_neighbours(judged(values, resampled))
    assert [(x.better, x.worse) for x in found] == [("best", "middle"), ("middle", "worst")]
    assert [x.difference for x in found] == [0.25, 0.25]
    assert found[0].interval == pytest.approx((0.25, 0.25))
    low, high = found[1].interval
    assert low < 0.25 - 2 < 0.25 + 2 < high


def test_one_row_has_no_neighbour():
    assert compared_neighbours(judged({"alone": 0.5}, {"alone": np.zeros(9)})) == ()


def test_turned():
    pair = Comparison("a", "b", 0.5, (-0.25, 0.75))
    assert pair.turned() == Comparison("b", "a", -0.5, (-0.75, 0.25))


def test_to_json():
    assert Comparison("a", "b", 0.5, (0.25, 0.75)).to_json() == {
        "better": "a",
        "worse": "b",
        "difference": 0.5,
        "interval": [0.25, 0.75],
    }


@pytest.mark.parametrize("higher", [True, False])
def test_verdicts(higher):
    sign = 1 if higher else -1

    def said(values, spread=0.01):
        found = compared(
            {row: sign * value for row, value in values.items()}, spread, higher_is_better=higher
        )
        return verdict("loss", ["x", "y"], found)

    wins = said({"loss": 0.9, "x": 0.2, "y": 0.5, "random": 0.0})
    assert (wins.outcome, wins.best) == ("baseline wins", "y")
    assert (wins.comparison.better, wins.comparison.worse) == ("loss", "y")
    loses = said({"loss": 0.5, "x": 0.9, "y": 0.2})
    assert (loses.outcome, loses.best) == ("methods win", "x")
    for values in ({"loss": 0.501, "x": 0.5, "y": 0.2}, {"loss": 0.5, "x": 0.501, "y": 0.2}):
        level = said(values)
        assert (level.outcome, level.best) == ("open", "x")
    assert verdict("loss", [], compared({"loss": 1.0, "random": 0.0})) is None


def test_one_method_that_surely_wins_is_enough():
    random = np.random.default_rng(0)
    resampled = {
        "loss": np.zeros(200),
        "noisy": 0.5 + random.standard_normal(200),
        "steady": np.full(200, 0.4),
    }
    found = paired_comparisons(judged({"loss": 0.0, "noisy": 0.5, "steady": 0.4}, resampled))
    won = verdict("loss", ["noisy", "steady"], found)
    assert (won.outcome, won.best) == ("methods win", "steady")


def test_notes_in_plain_words():
    same = np.zeros(10)
    resampled = {"dot": same + 0.5, "x": same + 0.2, "random": same + 0.2}
    values = {"dot": 0.5, "x": 0.2, "random": 0.2}
    notes = verdict_notes(["dot", "random"], ["x"], paired_comparisons(judged(values, resampled)))
    assert notes == [
        '"dot" does better than every method here; the best of them is "x": difference +0.3000 '
        "[+0.3000, +0.3000].",
        'no method here is surely better than "random"; the best of them is "x": difference '
        "+0.0000 [+0.0000, +0.0000].",
    ]
    resampled["x"], values["x"] = same + 0.9, 0.9
    found = paired_comparisons(judged(values, resampled))
    assert verdict_notes(["dot", "random"], ["x"], found) == []
