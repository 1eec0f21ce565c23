from __future__ import annotations

import pytest
import torch

from hessinf.curvature.symmetric_product import ADDED_IN_PRECISION, SymmetricSum


def parts(size: int, count: int, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(size)
    return [torch.randn(5 + n, size, generator=generator, dtype=dtype) for n in range(count)]


def expected(rows: list[torch.Tensor], constant: float | None) -> torch.Tensor:
    whole = torch.cat(rows).double()
    if constant is not None:
        whole = torch.cat([whole, whole.new_full((len(whole), 1), constant)], dim=1)
    return whole.T @ whole


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 129, 288, 513])
@pytest.mark.parametrize("count", [1, 2, ADDED_IN_PRECISION + 1])
@pytest.mark.parametrize("constant", [None, 1.0, 0.0, 0.5])
def test_it_is_the_sum_of_products(size: int, count: int, constant: float | None) -> None:
    sums = SymmetricSum(constant)
    rows = parts(size, count)
    for part in rows:
        sums.add(part)
    found = sums.result()
    assert found.dtype == torch.float64
    assert torch.equal(found, found.T)
    assert sums.count == sum(map(len, rows))
    torch.testing.assert_close(found, expected(rows, constant), rtol=0, atol=1e-10)


def test_results_are_the_same_when_asked_for_twice() -> None:
    sums = SymmetricSum(1.0)
    for part in parts(70, 3):
        sums.add(part)
    first = sums.result().clone()
    assert torch.equal(sums.result(), first)


def test_more_can_be_added_after_a_result() -> None:
    sums = SymmetricSum(1.0)
    rows = parts(130, 3)
    for part in rows[:2]:
        sums.add(part)
    sums.result()
    sums.add(rows[2])
    torch.testing.assert_close(sums.result(), expected(rows, 1.0), rtol=0, atol=1e-10)


def test_single_precision_does_not_add_up_its_errors() -> None:
    """64 products of float32: no more than 16 are added up before they are widened."""
    sums = SymmetricSum()
    rows = parts(96, 64, torch.float32)
    for part in rows:
        sums.add(part)
    error = (sums.result() - expected(rows, None)).norm() / expected(rows, None).norm()
    assert 0 < float(error) < 2e-7


def test_rows_laid_out_the_other_way_round() -> None:
    (rows,) = parts(130, 1)
    sums = SymmetricSum()
    sums.add(rows.T.contiguous().T)
    torch.testing.assert_close(sums.result(), expected([rows], None), rtol=0, atol=1e-10)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("place", [0, ADDED_IN_PRECISION - 1])
def test_the_trace_tells_of_rows_that_are_not_finite(value: float, place: int) -> None:
    sums = SymmetricSum()
    for number, part in enumerate(parts(3, place + 1)):
        assert number == 0 or bool(sums.trace.isfinite())
        if number == place:
            part[2, 1] = value
        sums.add(part)
    assert not bool(sums.trace.isfinite())
