from __future__ import annotations

from hessinf.runtime.json_differences import differing_places


def test_places_of_the_first_come_before_those_that_only_the_second_has() -> None:
    first = {"b": 1, "a": {"x": [1, 2], "y": 3}, "same": 0}
    second = {"new": None, "a": {"x": [1, 3], "z": 4}, "same": 0, "more": 5}
    assert list(differing_places(first, second)) == [
        ("b", 1, None),
        ("a.x", [1, 2], [1, 3]),
        ("a.y", 3, None),
        ("a.z", None, 4),
        ("more", None, 5),
    ]


def test_an_object_beside_something_else() -> None:
    assert list(differing_places({"a": {"x": 1}}, {"a": 1})) == [("a", {"x": 1}, 1)]
    assert list(differing_places(1, 2)) == [("", 1, 2)]


def test_what_is_the_same_may_be_stricter() -> None:
    assert list(differing_places({"a": 1}, {"a": 1.0})) == []
    strict = differing_places({"a": 1}, {"a": 1.0}, lambda one, other: type(one) is type(other))
    assert list(strict) == [("a", 1, 1.0)]
