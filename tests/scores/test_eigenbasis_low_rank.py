from __future__ import annotations

import pytest
import torch

from hessinf.scores.eigenbasis_low_rank import LowRankInverse


def spectrum(rows: int, columns: int, damping: float) -> tuple[torch.Tensor, ...]:
    """Inverse eigenvalues of a block whose factors decay, and the sizes in each direction."""
    left = torch.logspace(-6, 0, rows, dtype=torch.float64)
    right = torch.logspace(-4, 1, columns, dtype=torch.float64)
    noise = torch.rand(rows, columns, generator=torch.Generator().manual_seed(0)).double()
    eigenvalues = torch.outer(left, right) * (0.5 + noise)
    return 1 / (eigenvalues + damping), left.sqrt(), right.sqrt()


def scaled_rest(low_rank: LowRankInverse, inverse: torch.Tensor, terms: object) -> torch.Tensor:
    found = terms.rows.T @ terms.columns  # type: ignore[attr-defined]
    return (inverse - found) * low_rank.row_sizes[:, None] * low_rank.column_sizes


@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (33, 33)])
@pytest.mark.parametrize("damping", [1e-1, 1e-3, 1e-5])
@pytest.mark.parametrize("share", [1e-2, 1e-5, 1e-8])
def test_the_error_is_below_what_is_told(
    shape: tuple[int, int], damping: float, share: float
) -> None:
    inverse, rows, columns = spectrum(*shape, damping)
    low_rank = LowRankInverse(inverse, rows, columns)
    values = torch.linalg.svdvals(inverse * low_rank.row_sizes[:, None] * low_rank.column_sizes)
    allowed = share * float(values[0])
    terms = low_rank.terms(allowed, min(shape))
    assert terms is not None
    assert terms.error <= allowed
    actual = float(torch.linalg.matrix_norm(scaled_rest(low_rank, inverse, terms), ord=2))
    assert actual <= terms.error * (1 + 1e-9) + 1e-13 * float(values[0])
    fewest = int((values > allowed).sum())
    assert fewest <= len(terms.rows) <= fewest + 2


def test_too_many_terms_are_none() -> None:
    inverse, rows, columns = spectrum(60, 90, 1e-3)
    low_rank = LowRankInverse(inverse, rows, columns)
    terms = low_rank.terms(1e-3, 60)
    assert terms is not None
    needed = len(terms.rows)
    assert LowRankInverse(inverse, rows, columns).terms(1e-3, needed - 1) is None
    assert LowRankInverse(inverse, rows, columns).terms(1e-3, needed) is not None


def test_it_goes_on_where_it_stopped() -> None:
    inverse, rows, columns = spectrum(60, 90, 1e-3)
    low_rank = LowRankInverse(inverse, rows, columns)
    few, many, again = (low_rank.terms(allowed, 60) for allowed in (1e-1, 1e-7, 1e-1))
    assert few is not None
    assert many is not None
    assert again is not None
    assert len(few.rows) < len(many.rows)
    assert abs(len(again.rows) - len(few.rows)) <= 1
    rest = scaled_rest(low_rank, inverse, many)
    assert float(torch.linalg.matrix_norm(rest, ord=2)) <= 1e-7


def test_a_product_of_factors_is_one_term() -> None:
    """As with the heuristic damping."""
    rows = torch.rand(40, dtype=torch.float64) + 0.1
    columns = torch.rand(50, dtype=torch.float64) + 0.1
    terms = LowRankInverse(1 / torch.outer(rows, columns), rows, columns).terms(1e-9, 40)
    assert terms is not None
    assert len(terms.rows) == 1
    torch.testing.assert_close(terms.rows.T @ terms.columns, 1 / torch.outer(rows, columns))


def test_directions_without_any_gradient_cost_a_term() -> None:
    inverse, rows, columns = spectrum(60, 90, 1e-3)
    eigenvalues = 1 / inverse - 1e-3
    plain = LowRankInverse(inverse, rows, columns).terms(1e-5, 60)
    rows[:20] = 0
    eigenvalues[:20] = 0
    some = LowRankInverse(1 / (eigenvalues + 1e-3), rows, columns).terms(1e-5, 60)
    assert plain is not None
    assert some is not None
    assert len(some.rows) <= len(plain.rows) + 1


def test_a_block_of_zeros() -> None:
    """What no output depends on: all sizes are zero, W is one number."""
    inverse = torch.full((20, 30), 1e3, dtype=torch.float64)
    nothing = torch.zeros(30, dtype=torch.float64)
    terms = LowRankInverse(inverse, nothing[:20], nothing).terms(1e-6, 20)
    assert terms is not None
    torch.testing.assert_close(terms.rows.T @ terms.columns, inverse)
