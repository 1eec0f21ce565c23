"""Gaps between stages: known answers and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from hessinf.evaluation import EvaluationError
from hessinf.evaluation.gap_decomposition import GAPS, STAGES, decompose, specific


def stages(*steps: float) -> dict[str, np.ndarray]:
    base = np.arange(6.0).reshape(2, 3)
    return dict(zip(STAGES, (base + step for step in np.cumsum([0.0, *steps])), strict=False))


def test_known_sizes() -> None:
    found = decompose(stages(4.0, -3.0, 2.0, 0.0, 1.0))
    assert tuple(found) == GAPS
    assert [gap.mean_absolute for gap in found.values()] == [4.0, 3.0, 2.0, 0.0, 1.0]
    assert [gap.share for gap in found.values()] == pytest.approx([0.4, 0.3, 0.2, 0.0, 0.1])
    assert [gap.pearson for gap in found.values()] == pytest.approx([1.0] * 5)


def test_without_a_method() -> None:
    found = decompose(stages(4.0, 3.0, 2.0, 1.0))
    assert tuple(found) == GAPS[:4]
    assert found["warm_start"].share == pytest.approx(0.4)


def test_no_gap_at_all_has_no_shares() -> None:
    found = decompose(stages(0.0, 0.0))
    assert all(np.isnan(gap.share) for gap in found.values())


def test_what_all_examples_share_is_no_part_of_specific_changes() -> None:
    changes = np.array([[1.0, 2.0, 3.0], [10.0, 10.0, 40.0]])
    shared = np.array([[5.0], [7.0]])
    np.testing.assert_allclose(specific(changes), [[-1, 0, 1], [-10, -10, 20]])
    np.testing.assert_allclose(specific(changes + shared), specific(changes))


def test_stages_in_another_order() -> None:
    given = stages(1.0, 1.0)
    with pytest.raises(EvaluationError) as raised:
        decompose({name: given[name] for name in reversed(given)})
    assert str(raised.value) == (
        "the stages are proximal, warm_start, cold_start; expected, in this order, the first two "
        "or more of cold_start, warm_start, proximal, bregman, linear, method"
    )


def test_stages_of_other_shapes() -> None:
    given = stages(1.0, 1.0)
    given["proximal"] = given["proximal"].T
    with pytest.raises(EvaluationError, match=r"^proximal has shape \[3, 2\], that is 3 queries"):
        decompose(given)
