from __future__ import annotations

import pickle

import pytest

from hessinf.registry import Above, AtLeast, AtMost, Below, Between, Bound


@pytest.mark.parametrize(
    ("bound", "inside", "outside", "text", "schema"),
    [
        (AtLeast(0), [0, 0.5], [-1e-9], ">= 0", {"minimum": 0}),
        (Above(0), [1e-9], [0, -1], "> 0", {"exclusiveMinimum": 0}),
        (AtMost(1), [1, -5], [1.01], "<= 1", {"maximum": 1}),
        (Below(1), [0.99], [1, 2], "< 1", {"exclusiveMaximum": 1}),
        (Between(0, 1), [0, 0.5, 1], [-0.1, 1.1], "between 0 and 1", {"minimum": 0, "maximum": 1}),
    ],
)
def test_bound(bound, inside, outside, text, schema):
    assert all(bound.holds(value) for value in inside)
    assert not any(bound.holds(value) for value in outside)
    assert str(bound) == text
    assert bound.schema() == schema


def test_bounds_are_values():
    assert AtLeast(0) == AtLeast(0) != AtLeast(1)
    assert AtLeast(0) != Above(0)
    assert len({Between(0, 1), Between(0, 1), Between(0, 2)}) == 2
    assert repr(Between(0, 1)) == "Between(0, 1)"
    assert pickle.loads(pickle.dumps(AtMost(3))) == AtMost(3)


def test_a_bound_must_say_when_it_holds():
    class Odd(Bound):
        pass

    with pytest.raises(TypeError, match=r"^Odd does not say when it holds: define holds\(\)$"):
        Odd().holds(1)
    with pytest.raises(TypeError, match=r"^Odd has no JSON Schema: define schema\(\)$"):
        Odd().schema()
