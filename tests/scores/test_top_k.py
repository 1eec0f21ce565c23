"""Streaming both ends of a ranking equals sorting the whole matrix."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from hessinf.scores import ScoreError
from hessinf.scores.top_k import TopK, require_finite


def both_ends(scores: np.ndarray, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    ends = []
    for sign in (-1, 1):
        order = np.argsort(sign * scores, axis=1, kind="stable")[:, :k]
        ends.append((np.take_along_axis(scores, order, axis=1), order))
    return ends


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("k", [1, 4, 30, 500])
def test_equals_a_stable_sort(seed: int, k: int, deferred: bool) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 200))
    values = 3 if seed % 2 else 100_000  # many ties, or hardly any
    scores = random.integers(-values, values, size=(5, count)) / 2
    ranking = TopK(k, deferred=deferred)
    start = 0
    while start < count:
        stop = min(start + int(random.integers(1, 40)), count)
        first = start if random.random() < 0.5 else None
        ranking.add(torch.from_numpy(scores[:, start:stop]), first)
        start = stop
    for found, expected in zip(
        (ranking.helpful(), ranking.harmful()), both_ends(scores, k), strict=True
    ):
        for one, other in zip(found, expected, strict=True):
            assert one.shape == (5, min(k, count))
            np.testing.assert_array_equal(one.numpy(), other)
    np.testing.assert_allclose(ranking.mean().numpy(), scores.mean(axis=1), rtol=1e-13, atol=1e-12)
    assert ranking.count == count


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("row", ["equal", "zeros of both signs", "a few values", "at the border"])
def test_ties_go_to_the_smaller_index(row: str, dtype: torch.dtype, deferred: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    few = torch.randint(0, 3, (4, 2000), generator=generator).to(dtype)
    scores = {
        "equal": torch.full((4, 2000), 0.25, dtype=dtype),
        "zeros of both signs": few.clamp(max=1) * -0.0,
        "a few values": few,
        # one above and one below all others, which are equal
        "at the border": torch.zeros(4, 2000, dtype=dtype).index_fill_(1, torch.tensor([77]), 1.0)
        - torch.zeros(4, 2000, dtype=dtype).index_fill_(1, torch.tensor([1400]), 1.0),
    }[row]
    ranking = TopK(7, deferred=deferred)
    for part in scores.split(300, dim=1):
        ranking.add(part)
    expected = both_ends(scores.double().numpy(), 7)
    for found, (values, order) in zip(
        (ranking.helpful(), ranking.harmful()), expected, strict=True
    ):
        assert found[0].dtype == dtype
        np.testing.assert_array_equal(found[0].double().numpy(), values)
        np.testing.assert_array_equal(found[1].numpy(), order)


def test_a_wide_block_has_an_exact_mean() -> None:
    scores = torch.randn(3, 200_000, generator=torch.Generator().manual_seed(0))
    ranking = TopK(2)
    ranking.add(scores)
    np.testing.assert_allclose(
        ranking.mean().numpy(), scores.double().mean(dim=1).numpy(), rtol=1e-9, atol=1e-16
    )


def test_the_mean_is_taken_in_float64() -> None:
    ranking = TopK(1)
    for _ in range(100):
        ranking.add(torch.full((1, 100), 0.1))
    assert ranking.mean().dtype == torch.float64
    assert float(ranking.mean()) == pytest.approx(float(np.float32(0.1)), rel=1e-14)


@pytest.mark.parametrize(("value", "text"), [(torch.nan, "nan"), (-torch.inf, "-inf")])
def test_not_finite(value: float, text: str) -> None:
    ranking = TopK(2)
    ranking.add(torch.zeros(3, 5))
    scores = torch.zeros(3, 4)
    scores[1, 2] = value
    expected = (
        f"scoring: the score of training example 7 for query 1 of the block is {text}; likely "
        "causes: damping too small for the precision, or gradients that overflow"
    )
    with pytest.raises(ScoreError, match=f"^{re.escape(expected)}$"):
        ranking.add(scores)
    with pytest.raises(ScoreError, match="the score of training example 102 for query 1"):
        ranking.add(scores, first_index=100)
    assert ranking.count == 5
    assert float(ranking.helpful()[0].max()) == 0.0


def test_not_finite_deferred() -> None:
    def ranking() -> TopK:
        made = TopK(2, deferred=True)
        made.add(torch.zeros(3, 5))
        made.add(torch.full((3, 4), 2.0).index_fill_(1, torch.tensor([2]), torch.inf))
        made.add(torch.full((3, 4), torch.nan))
        return made

    expected = (
        "scoring: the score of training example 7 for query 0 of the block is inf; likely "
        "causes: damping too small for the precision, or gradients that overflow"
    )
    for ask in (TopK.helpful, TopK.harmful, TopK.mean):
        with pytest.raises(ScoreError, match=f"^{re.escape(expected)}$"):
            ask(ranking())


def test_sums_that_overflow_are_no_fault() -> None:
    scores = torch.full((2, 4), 3e38)
    require_finite(scores, 0)
    ranking = TopK(1)
    ranking.add(scores)
    assert ranking.mean().tolist() == pytest.approx([3e38, 3e38], rel=1e-6)


def test_first_index() -> None:
    ranking = TopK(2)
    ranking.add(torch.tensor([[1.0, 3.0]]), first_index=10)
    ranking.add(torch.tensor([[2.0]]))
    assert ranking.helpful()[1].tolist() == [[11, 12]]
    assert ranking.harmful()[1].tolist() == [[10, 12]]
    text = (
        "blocks of scores must come in the order of the training examples: expected 13 or more as "
        "the first index, found 12"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        ranking.add(torch.tensor([[2.0]]), first_index=12)


def test_nothing_added() -> None:
    ranking = TopK(1)
    for function in (ranking.helpful, ranking.harmful, ranking.mean):
        with pytest.raises(ScoreError, match=r"^no scores were added$"):
            function()


@pytest.mark.parametrize("k", [0, -1])
def test_k(k: int) -> None:
    with pytest.raises(ValueError, match=f"^k must be at least 1, found {k}$"):
        TopK(k)
