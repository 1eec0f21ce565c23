from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from hessinf.evaluation.agreement import agreement
from hessinf.evaluation.errors import EvaluationError


def scores(seed: int, shape: tuple[int, int] = (7, 40)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_spearman_is_the_mean_over_queries():
    rows = {name: np.round(scores(seed), 1) for name, seed in (("a", 0), ("b", 1), ("c", 2))}
    found = agreement(rows)
    assert found.names == ("a", "b", "c")
    for i, first in enumerate(rows.values()):
        for j, second in enumerate(rows.values()):
            each = [
                stats.spearmanr(one, other).statistic
                for one, other in zip(first, second, strict=True)
            ]
            assert found.spearman[i, j] == pytest.approx(np.mean(each), abs=1e-12)
    assert (found.undefined == 0).all()


def test_overlaps_are_those_of_sets():
    rows = {"a": scores(0), "b": scores(1)}
    found = agreement(rows, top_k=5)
    for values, sign in ((found.helpful, -1), (found.harmful, 1)):
        sets = [
            [set(np.argsort(sign * row)[:5].tolist()) for row in matrix] for matrix in rows.values()
        ]
        expected = np.mean([len(one & other) / 5 for one, other in zip(*sets, strict=True)])
        assert values[0, 1] == values[1, 0] == pytest.approx(expected, abs=1e-12)
        assert values[0, 0] == values[1, 1] == 1
    assert found.by_chance == 5 / 40


@pytest.mark.parametrize("seed", range(5))
def test_an_increasing_function_changes_nothing_and_a_negated_matrix_is_its_opposite(seed):
    one = scores(seed)
    found = agreement({"one": one, "warped": np.sinh(3 * one), "negated": -one}, top_k=20)
    np.testing.assert_allclose(
        found.spearman, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], rtol=0, atol=1e-12
    )
    assert found.helpful[0, 1] == found.harmful[0, 1] == 1
    assert found.helpful[0, 2] == found.harmful[0, 2] == 0


def test_ties_are_broken_by_training_index():
    tied = np.array([[1.0, 0.0, 1.0, 1.0]])
    first_two = np.array([[4.0, 0.0, 3.0, 1.0]])
    found = agreement({"tied": tied, "untied": first_two}, top_k=2)
    assert found.helpful[0, 1] == 1  # 0 and 2
    assert found.harmful[0, 1] == 0.5  # 1 and 0 beside 1 and 3


def test_a_constant_row_is_counted_and_never_taken_for_zero():
    one, other = scores(0), scores(1)
    other[2] = 7.0
    found = agreement({"one": one, "other": other})
    assert found.undefined.tolist() == [[0, 1], [1, 1]]
    each = [stats.spearmanr(one[q], other[q]).statistic for q in range(7) if q != 2]
    assert found.spearman[0, 1] == pytest.approx(np.mean(each), abs=1e-12)
    assert found.spearman[1, 1] == pytest.approx(1)


def test_nothing_defined_is_null_in_json():
    found = agreement({"one": scores(0), "constant": np.ones((7, 40))})
    written = found.to_json()
    assert written["spearman"][0][1] is None
    assert written["undefined"][0][1] == 7
    assert written["spearman"][0][0] == pytest.approx(1)
    assert written["names"] == ["one", "constant"]


def test_more_than_there_are_is_all_of_them():
    found = agreement({"one": scores(0), "other": scores(1)}, top_k=100)
    assert found.top_k == 40
    assert found.helpful[0, 1] == found.by_chance == 1


def test_random_rankings_share_what_chance_says():
    found = agreement({"one": scores(0, (400, 50)), "other": scores(1, (400, 50))}, top_k=10)
    assert found.helpful[0, 1] == pytest.approx(found.by_chance, abs=0.02)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            np.ones((40, 7)),
            'the matrix of scores of "second" has shape [40, 7], that is 40 queries; expected 7 '
            "queries, as the other arrays have: [queries, training examples] (axis 0)",
        ),
        (
            np.ones(40),
            'the matrix of scores of "second" has shape [40], expected [queries, training '
            "examples], one of each at least",
        ),
        (
            np.where(np.arange(280).reshape(7, 40) == 83, np.nan, 1.0),
            'the matrix of scores of "second"[2, 3] is nan, expected finite numbers (1 of 280 are '
            "not): they have no rank; find out where they come from, they are not left out here",
        ),
    ],
)
def test_what_does_not_compare_is_refused(second, message):
    with pytest.raises(EvaluationError, match=f"^{re.escape(message)}$"):
        agreement({"first": scores(0), "second": second})


def test_no_scores_and_no_ends_are_refused():
    with pytest.raises(ValueError, match=r"^agreement needs at least one matrix of scores"):
        agreement({})
    with pytest.raises(ValueError, match=r"^top_k must be at least 1, found 0$"):
        agreement({"one": scores(0)}, top_k=0)
