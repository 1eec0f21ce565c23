from __future__ import annotations

import numpy as np

from hessinf.runtime.finite_json import finite_json, number_or_null


def test_what_is_not_finite_is_a_text():
    found = finite_json({1: (float("nan"), np.float64("-inf")), "a": np.array([1.5, np.nan])})
    assert found == {"1": ["nan", "-inf"], "a": [1.5, "nan"]}


def test_what_is_finite_stays():
    given = {"a": [1, 2.5, True, None, "text"], "b": np.int64(3)}
    assert finite_json(given) == {"a": [1, 2.5, True, None, "text"], "b": 3}


def test_a_number_that_there_is_not_is_null():
    assert number_or_null(float("nan")) is None
    assert number_or_null(np.float64(0.25)) == 0.25
    assert type(number_or_null(np.float64(0.25))) is float
