"""All scores of a query in a few numbers: exact bins, whatever the blocks and the magnitudes."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.scores import score_histogram
from hessinf.scores.errors import ScoreError
from hessinf.scores.score_histogram import ScoreDistribution


def distribution(scores: Any, *sizes: int) -> list[dict[str, Any]]:
    """Add scores ``[Q, N]`` in blocks of these sizes; all at once without."""
    if not isinstance(scores, torch.Tensor):
        scores = torch.tensor(scores, dtype=torch.float64)
    found = ScoreDistribution(len(scores))
    for block in scores.split(list(sizes) or scores.shape[1], dim=1):
        found.add(block)
    return found.to_json()


def bin_of(value: float) -> int:
    """Find the bin by fractions: the largest b with 2^b <= value²."""
    square = Fraction(abs(value)) ** 2
    guess = math.floor(2 * math.log2(abs(value)))
    (found,) = (
        b
        for b in range(guess - 2, guess + 3)
        if Fraction(2) ** b <= square < Fraction(2) ** (b + 1)
    )
    return found


def counted(values: list[float]) -> dict[str, Any]:
    sides: dict[str, dict[str, int]] = {"positive": {}, "negative": {}}
    for value in sorted((value for value in values if value), key=abs):
        side = sides["positive" if value > 0 else "negative"]
        name = str(bin_of(value))
        side[name] = side.get(name, 0) + 1
    return {**sides, "zero": sum(not value for value in values)}


EDGES = [
    sign * math.nextafter(2.0 ** (b / 2), towards)
    for b in (-301, -40, -3, -2, -1, 0, 1, 2, 3, 40, 255)
    for towards in (0.0, 2.0 ** (b / 2), math.inf)
    for sign in (1, -1)
]
"""Both sides of the borders between bins."""


class TestHistogram:
    def test_every_bin_is_exact(self) -> None:
        values = [*EDGES, 0.0, -0.0, 1e-300, -1e300, 5e-320]
        (found,) = distribution([values])
        expected = counted([value for value in values if value != 5e-320])
        expected["zero"] += 1  # below 2^-1022
        assert found["histogram"] == expected
        assert found["count"] == len(values)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
    def test_other_precisions(self, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(0)
        values = torch.randn(2, 300, generator=generator) * torch.tensor([[1.0], [1e-3]])
        values = values.to(dtype)
        values[0, :2] = torch.tensor([torch.finfo(dtype).smallest_normal / 4, 0.0])
        for row, found in zip(values.double().tolist(), distribution(values), strict=True):
            assert found["histogram"] == counted(row)

    def test_in_order_of_magnitude(self) -> None:
        (found,) = distribution([[4.0, 1e-9, -2.0, 0.3, -1e-4]])
        for side in ("positive", "negative"):
            names = [int(name) for name in found["histogram"][side]]
            assert names == sorted(names)

    def test_blocks_make_no_difference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        generator = torch.Generator().manual_seed(1)
        scores = torch.randn(3, 100, generator=generator) ** 3
        whole = distribution(scores)
        monkeypatch.setattr(score_histogram, "COUNTED_AT_ONCE", 12)
        for sizes in ((100,), (1, 99), (40, 25, 35)):
            for one, other in zip(whole, distribution(scores, *sizes), strict=True):
                assert one["histogram"] == other["histogram"]
                assert one["count"] == other["count"]
                assert one["mean"] == pytest.approx(other["mean"], rel=1e-12)
                spread = "standard_deviation"
                assert one[spread] == pytest.approx(other[spread], rel=1e-12)

    def test_scores_that_are_not_finite_are_left_to_others(self) -> None:
        found = ScoreDistribution(1)
        # NaN with every bit set, too: nothing may lie beyond the last bin.
        odd = torch.tensor([-1, 2**63 - 1], dtype=torch.int64).view(torch.float64)
        found.add(torch.cat([torch.tensor([math.inf, -math.inf, math.nan]), odd])[None])
        assert found.count == 5


class TestMoments:
    @pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30, 1e-200, 1e200])
    @pytest.mark.parametrize("shift", [0.0, 1e6])
    def test_mean_and_standard_deviation(self, scale: float, shift: float) -> None:
        generator = torch.Generator().manual_seed(2)
        plain = torch.randn(2, 500, generator=generator, dtype=torch.float64) + shift
        for row, found in zip(plain.numpy(), distribution(plain * scale, 3, 297, 200), strict=True):
            assert found["mean"] / scale == pytest.approx(row.mean(), rel=1e-12, abs=1e-14)
            assert found["standard_deviation"] / scale == pytest.approx(np.std(row), rel=1e-8)

    @pytest.mark.parametrize("value", [0.0, 0.1, -3.7e-20, 1e300])
    def test_equal_scores_do_not_vary(self, value: float) -> None:
        (found,) = distribution([[value] * 7], 3, 4)
        assert found["mean"] == value
        assert found["standard_deviation"] == 0
        assert found["count"] == 7

    def test_one_score(self) -> None:
        (found,) = distribution([[-2.5]])
        assert found == {
            "count": 1,
            "mean": -2.5,
            "standard_deviation": 0.0,
            "histogram": {"positive": {}, "negative": {"2": 1}, "zero": 0},
        }

    def test_huge_and_tiny_together(self) -> None:
        (found,) = distribution([[1e300, -1e300, 5e-324, 0.0]], 1, 1, 2)
        assert math.isfinite(found["mean"])
        assert math.isfinite(found["standard_deviation"])
        json.dumps(found, allow_nan=False)


def test_no_scores() -> None:
    with pytest.raises(ScoreError, match=r"^no scores were added$"):
        ScoreDistribution(2).to_json()
