from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hessinf.evaluation.lds_conclusion import conclude
from hessinf.evaluation.lds_judgement import LdsTruth, judge, prepare_truth, summary
from hessinf.evaluation.metric import Conclusion, Judgement
from hessinf.evaluation.noise_ceiling import UNKNOWN
from hessinf.evaluation.subset_masks import draw_masks
from hessinf.evaluation.subset_truth import SubsetTruth

QUERIES, SUBSETS = 30, 60
SIGNAL = np.random.default_rng(0).normal(size=(QUERIES, SUBSETS))


def truth(repeats: int = 3, noise: float = 0.5) -> LdsTruth:
    random = np.random.default_rng(1)
    values = SIGNAL.T[:, None] + noise * random.normal(size=(SUBSETS, repeats, QUERIES))
    masks = draw_masks(examples=30, alpha=0.5, subsets=SUBSETS, seed=0)
    return prepare_truth(
        SubsetTruth(masks, values.astype(np.float32), 0.5),
        tuning=np.arange(0),
        reported=np.arange(QUERIES),
        resamples=300,
        seed=0,
    )


def judgement(predictions: np.ndarray, of: LdsTruth, **more: Any) -> Judgement:
    judged = judge(predictions[None, None], of)
    facts = {"damping": None, "damping_curve": None, "per_model": [judged.value], **more}
    return Judgement(
        {**summary(judged), **facts},
        {"per_query/0.5": judged.per_query, "resampled/0.5": judged.resampled},
    )


def noisy(noise: float, seed: int) -> np.ndarray:
    return SIGNAL + noise * np.random.default_rng(seed).normal(size=SIGNAL.shape)


def nothing(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SIGNAL.shape)


def concluded(rows: dict[str, Judgement], of: LdsTruth) -> Conclusion:
    return conclude(rows, {0.5: of})


def test_every_two_rows_are_compared_with_paired_intervals() -> None:
    of = truth()
    rows = {
        "poor": judgement(noisy(2, 2), of),
        "good": judgement(noisy(0.5, 3), of),
        "random": judgement(nothing(4), of),
    }
    found = {(entry["better"], entry["worse"]): entry for entry in concluded(rows, of).comparisons}
    assert set(found) == {("good", "poor"), ("poor", "random"), ("good", "random")}
    for (better, worse), entry in found.items():
        expected = rows[better].summary["value"] - rows[worse].summary["value"]
        assert entry["difference"] == pytest.approx(expected)
        low, high = entry["interval"]
        assert 0 < low < entry["difference"] < high
        assert entry["alpha"] == 0.5


@pytest.mark.parametrize(("sign", "words"), [(1, "cannot be told from"), (-1, "is no better than")])
def test_rows_no_better_than_random_are_named(sign: int, words: str) -> None:
    of = truth()
    random = judgement(nothing(4), of).summary["value"]
    seed = next(
        seed
        for seed in range(5, 50)
        if sign * (judgement(nothing(seed), of).summary["value"] - random) > 0.01
    )
    rows = {
        "useless": judgement(nothing(seed), of),
        "good": judgement(noisy(1, 3), of),
        "random": judgement(nothing(4), of),
    }
    notes = concluded(rows, of).notes
    (said,) = [note for note in notes if note.startswith('"useless"')]
    assert said.startswith(f'"useless" {words} random scores: the difference is ')
    numbers = said.removesuffix("]").split("difference is ")[1].replace("[", "").replace(",", "")
    difference, low, high = map(float, numbers.split())
    assert low < difference < high
    assert low <= 0
    expected = rows["useless"].summary["value"] - rows["random"].summary["value"]
    assert difference == pytest.approx(expected, abs=5e-4)


def test_negated_scores_are_named_as_such() -> None:
    of = truth()
    rows = {"turned": judgement(-noisy(1, 3), of), "random": judgement(nothing(4), of)}
    value, (low, high) = (rows["turned"].summary[name] for name in ("value", "interval"))
    notes = concluded(rows, of).notes
    assert notes[0] == (
        f'the LDS of "turned" is negative, {value:.3f} [{low:.3f}, {high:.3f}]: the sign is '
        "turned: scores look negated; positive must mean helpful"
    )
    assert not any('"turned" is no better' in note for note in notes)


def test_undefined_correlations_are_named() -> None:
    of = truth()
    predictions = noisy(1, 3)
    predictions[[4, 9]] = 0.0
    constant = np.zeros_like(predictions)
    rows = {
        "holes": judgement(predictions, of),
        "constant": judgement(constant, of),
        "random": judgement(nothing(4), of),
    }
    conclusion = concluded(rows, of)
    assert (
        '"holes": 2 of 30 rank correlations are undefined, because scores or values are the same '
        "for all subsets; they are left out of the mean"
    ) in conclusion.notes
    assert any(note.startswith('"constant": 30 of 30 rank corr') for note in conclusion.notes)
    assert all("constant" not in (c["better"], c["worse"]) for c in conclusion.comparisons)


@pytest.mark.parametrize(
    ("chosen", "grid", "word"),
    [
        (1e-5, [1e-3, 1e-5, 1e-1], "1e-05, is the smallest"),
        (0.1, [1e-3, 1e-5, 1e-1], "0.1, is the largest"),
        ({"relative": 0.5}, [{"relative": share} for share in (0.1, 0.2, 0.5)], "0.5, is the larg"),
        (1e-3, [1e-3, 1e-5, 1e-1], None),
        (0.0, [0.0, 1e-3, 1e-1], None),
        (1e-5, [1e-5, {"relative": 0.2}, 1e-1], None),
        (1e-5, [1e-5, 1e-1], None),
    ],
)
def test_dampings_at_the_edge_of_the_grid_are_named(
    chosen: Any, grid: list[Any], word: str | None
) -> None:
    of = truth()
    curve = [{"damping": damping, "value": 0.1} for damping in grid]
    rows = {"kfac": judgement(noisy(1, 3), of, damping=chosen, damping_curve=curve)}
    notes = [note for note in concluded(rows, of).notes if "grid" in note]
    if word is None:
        assert not notes
    else:
        (note,) = notes
        assert note.startswith(f'the damping that was chosen for "kfac", {word}')
        assert note.endswith("of the grid: a better one may lie beyond it; widen the grid")


def test_distance_to_the_ceiling_is_said() -> None:
    of = truth()
    rows = {"good": judgement(noisy(1, 3), of), "poor": judgement(noisy(2, 3), of)}
    assert of.ceiling is not None
    assert concluded(rows, of).notes == (
        f'the best row, "good", has an LDS of {rows["good"].summary["value"]:.3f}; about '
        f"{of.ceiling.attainable:.3f} is attainable with 3 repeats (two single repeats correlate "
        f"by {of.ceiling.single:.3f})",
    )


def test_one_repeat_says_that_the_ceiling_is_unknown() -> None:
    of = truth(repeats=1)
    assert concluded({"good": judgement(noisy(1, 3), of)}, of).notes == (UNKNOWN,)


def test_repeats_that_do_not_agree_are_called_noise() -> None:
    of = truth(repeats=2, noise=0.0)
    of.subsets.values[:, 1] *= -1
    assert concluded({"good": judgement(noisy(1, 3), truth())}, of).notes == (
        "repeats of the same subset do not agree with each other: the ground truth is noise, and "
        "no attribution can predict it; train for longer, or take more repeats",
    )
