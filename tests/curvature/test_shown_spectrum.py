"""Which eigenvalues a plot is given."""

from __future__ import annotations

import itertools

import pytest
import torch

from hessinf.curvature.shown_spectrum import ShownSpectrum, SpectrumBlock, shown_ranks


@pytest.mark.parametrize("count", [0, 1, 100, 1000, 1001, 1500, 10_000, 10_000_000, 10**12])
def test_ranks(count: int) -> None:
    ranks = shown_ranks(count)
    assert len(ranks) <= 1000
    assert ranks == sorted(set(ranks))
    assert ranks[:100] == list(range(1, min(count, 100) + 1))
    if count:
        assert ranks[-1] == count
    if count <= 1000:
        assert len(ranks) == count
    # The same step on a logarithmic axis, and never a hole of more than one rank before that.
    step = (max(count, 1001) / 100) ** (1 / 900)
    for one, other in itertools.pairwise(ranks):
        assert other <= max(one * step + 1, one + 1)


def test_json() -> None:
    block = SpectrumBlock("a", 6, 0.5, torch.tensor([[1.0, 3.0], [-2.0, 0.25]]))
    assert ShownSpectrum("words", False, [block]).to_json() == {
        "curvature": "words",
        "complete": False,
        "blocks": [
            {
                "name": "a",
                "count": 6,
                "damping": 0.5,
                "ranks": [1, 2, 3, 4],
                "eigenvalues": [3.0, 1.0, 0.25, -2.0],
            }
        ],
    }


def test_many_eigenvalues_are_thinned_out() -> None:
    values = torch.arange(50_000, dtype=torch.float64)
    found = SpectrumBlock("a", 50_000, 1.0, values).to_json()
    assert found["count"] == 50_000
    assert len(found["ranks"]) == len(found["eigenvalues"]) <= 1000
    assert found["eigenvalues"] == [50_000.0 - rank for rank in found["ranks"]]
