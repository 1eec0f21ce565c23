from __future__ import annotations

import numpy as np
import pytest
import torch

from hessinf.solvers import Trace, estimate_trace
from hessinf.solvers.trace import random_signs


def estimate(given: torch.Tensor, samples: int, seed: int = 0) -> Trace:
    return estimate_trace(
        lambda rows: rows @ given,
        len(given),
        samples=samples,
        generator=torch.Generator().manual_seed(seed),
        dtype=given.dtype,
    )


def symmetric(size: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return drawn @ drawn.T / size


def test_a_diagonal_is_exact() -> None:
    found = estimate(torch.diag(torch.arange(5.0).double()), 2)
    assert found.value == pytest.approx(10.0, rel=1e-14)
    assert found.of_square == pytest.approx(30.0, rel=1e-14)
    assert found.standard_error == pytest.approx(0.0, abs=1e-12)


def test_the_estimate_and_its_standard_error() -> None:
    given = symmetric()
    trace, of_square = float(given.trace()), float(given.square().sum())
    runs = [estimate(given, 20, seed) for seed in range(200)]
    values = np.array([run.value for run in runs])
    errors = np.array([run.standard_error for run in runs])
    assert abs(values.mean() - trace) <= 4 * values.std() / 200**0.5
    assert 0.8 <= errors.mean() / values.std() <= 1.2
    assert np.mean([run.of_square for run in runs]) == pytest.approx(of_square, rel=0.02)


def test_signs() -> None:
    generator = torch.Generator().manual_seed(0)
    found = random_signs(100, 30, generator, torch.float32, "cpu")
    assert found.dtype == torch.float32
    assert set(found.unique().tolist()) == {-1.0, 1.0}
    assert abs(float(found.mean())) < 0.05
