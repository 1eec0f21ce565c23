from __future__ import annotations

import pytest

from hessinf.registry.suggestions import closest, did_you_mean


@pytest.mark.parametrize(
    ("word", "candidates", "expected"),
    [
        ("dampning", ["depth", "damping"], "damping"),
        ("simple_influence", ["simple-influence"], "simple-influence"),
        ("num-samples", ["num_samples"], "num_samples"),
        ("KFAC", ["kfac", "ekfac"], "kfac"),
        ("lisa", ["cg", "lissa"], "lissa"),
        ("zebra", ["cg", "lissa"], None),
        ("x", [], None),
    ],
)
def test_closest(word, candidates, expected):
    assert closest(word, candidates) == expected


def test_did_you_mean():
    assert did_you_mean("digit", ["digits", "table"]) == '; did you mean "digits"?'
    assert did_you_mean("zebra", ["digits"]) == ""
