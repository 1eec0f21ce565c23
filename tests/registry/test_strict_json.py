"""JSON as the standard has it."""

from __future__ import annotations

import pytest

from hessinf.registry.strict_json import read_strict_json


def test_floats_and_large_integers_stay_what_they_are():
    assert read_strict_json("[1.0, 1, 36893488147419103232]") == [1.0, 1, 2**65]
    assert isinstance(read_strict_json("1.0"), float)


@pytest.mark.parametrize(
    "text", ["NaN", "-Infinity", "1e400", '{"a": 1, "a": 1}', "[" * 100000, "", "{a: 1}"]
)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError, match=r"\S"):
        read_strict_json(text)
