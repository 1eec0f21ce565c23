from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.top_lists import (
    jackknife_interval,
    largest_distinct,
    random_distinct,
    top_overlap,
)


def lists(scores, k):
    """Of equal scores the lower index comes first."""
    return [set(sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]) for row in scores]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("k", [1, 3, 12])
def test_shares_are_those_of_sets(seed, k):
    random = np.random.default_rng(seed)
    scores = random.integers(0, 4 if seed % 2 else 10**6, (5, 12))
    tops = lists(scores.tolist(), k)
    found = top_overlap(scores, k)
    assert found.distinct == pytest.approx(len(set().union(*tops)) / (5 * k))
    pairs = [len(a & b) / k for a, b in itertools.combinations(tops, 2)]
    assert found.overlap == pytest.approx(np.mean(pairs))
    for query in range(5):
        rest = tops[:query] + tops[query + 1 :]
        assert found.without[query] == pytest.approx(len(set().union(*rest)) / (4 * k))
    cut = [sorted(row, reverse=True)[k - 1 : k + 1] for row in scores.tolist()]
    assert found.tied == sum(len(pair) == 2 and pair[0] == pair[1] for pair in cut)


def test_known_answers():
    same = np.tile(np.arange(4.0), (3, 1))
    found = top_overlap(same, 2)
    assert (found.distinct, found.overlap, found.tied) == (2 / 6, 1, 0)
    apart = top_overlap(np.eye(3), 1)
    assert (apart.distinct, apart.overlap, apart.tied) == (1, 0, 0)
    level = top_overlap(np.zeros((3, 4)), 2)
    assert (level.distinct, level.tied) == (2 / 6, 3)
    alone = top_overlap(np.arange(4.0)[None], 9)
    assert (alone.distinct, alone.tied) == (1, 0)
    assert np.isnan(alone.overlap)
    assert jackknife_interval(1.0, alone.without) is None


def test_random_lists_have_the_expected_share():
    random = np.random.default_rng(0)
    found = [top_overlap(random.standard_normal((20, 40)), 5) for _ in range(60)]
    expected = random_distinct(20, 40, 5)
    assert np.mean([x.distinct for x in found]) == pytest.approx(expected, abs=0.01)
    assert np.mean([x.overlap for x in found]) == pytest.approx(5 / 40, abs=0.01)
    assert max(x.distinct for x in found) <= largest_distinct(20, 40, 5) == 0.4
    assert largest_distinct(2, 40, 5) == 1


def test_the_jackknife_knows_the_spread_of_the_share():
    # The spread of the share of distinct examples over many samples of queries from a population,
    # beside what one sample says of it.
    random = np.random.default_rng(1)
    tastes = random.gamma(0.3, size=(8, 200))

    def sample():
        kinds = random.integers(0, 8, 40)
        return top_overlap(tastes[kinds] * random.random((40, 200)), 5)

    samples = [sample() for _ in range(150)]
    widths = []
    for found in samples:
        low, high = jackknife_interval(found.distinct, found.without)
        assert low < found.distinct < high
        widths.append((high - low) / 2 / 1.96)
    assert np.mean(widths) == pytest.approx(np.std([x.distinct for x in samples]), rel=0.35)


def test_what_has_no_order_is_refused():
    with pytest.raises(EvaluationError, match=re.escape("scores[0, 1] is nan")):
        top_overlap(np.array([[1.0, np.nan]]), 1)
    with pytest.raises(EvaluationError, match=r"^k is 0, expected 1 or more$"):
        top_overlap(np.ones((1, 2)), 0)
