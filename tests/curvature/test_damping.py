"""Damping is λ itself, or a share of the mean eigenvalue."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from hessinf.curvature import CurvatureError, RelativeDamping, as_damping, effective_damping


def test_accepted() -> None:
    assert as_damping(0) == 0.0
    assert isinstance(as_damping(1), float)
    assert as_damping(np.float32(0.5)) == 0.5
    assert as_damping({"relative": 0.1}) == RelativeDamping(0.1)
    assert as_damping(RelativeDamping(2)) == RelativeDamping(2)


@pytest.mark.parametrize(
    "value",
    [-1e-9, "0.1", None, True, float("nan"), float("inf"), {}, {"relative": "x"}, {"share": 1}],
)
def test_refused(value: Any) -> None:
    text = f'damping must be a number >= 0 or {{"relative": share}}, found {value!r}'
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        as_damping(value)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_no_positive_share(value: float) -> None:
    with pytest.raises(ValueError, match=f"^relative damping must be > 0, found {value}$"):
        as_damping({"relative": value})


def test_effective() -> None:
    assert effective_damping(0.3, -5.0, 2) == 0.3
    assert effective_damping(RelativeDamping(0.1), 6.0, 3) == pytest.approx(0.2, rel=1e-15)


@pytest.mark.parametrize(("trace", "found"), [(0.0, "0"), (-6.0, "-2"), (float("nan"), "nan")])
def test_no_positive_mean(trace: float, found: str) -> None:
    text = (
        f"relative damping needs a positive mean eigenvalue, found {found}; give damping as a "
        "number, or use a positive semidefinite curvature such as the Gauss-Newton matrix"
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        effective_damping(RelativeDamping(0.1), trace, 3)
