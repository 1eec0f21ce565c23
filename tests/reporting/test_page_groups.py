from __future__ import annotations

import pytest

from hessinf.reporting.page_groups import shown_groups


def group(name: str, score: float, **others):
    return {"group": name, "size": 3, "score": score, "loss_change_if_removed": None, **others}


def test_groups_are_packed():
    groups = [group("a", 1.23456789, loss_change_if_removed=0.5), group("b" * 400, -2.0)]
    assert shown_groups(groups) == {
        "groups": [["a", 3, 1.23457, 0.5], ["b" * 300 + " … (100 more characters)", 3, -2.0, None]],
        "left_out": 0,
    }


@pytest.mark.parametrize("count", [20, 21, 50])
def test_of_many_groups_both_ends_are_kept(count):
    groups = [group(str(place), count / 2 - place) for place in range(count)]
    found = shown_groups(groups)
    names = [name for name, *_ in found["groups"]]
    left = max(count - 20, 0)
    assert found["left_out"] == left
    assert names == [str(place) for place in range(count) if place < 10 or place >= 10 + left]


@pytest.mark.parametrize("groups", [None, []])
def test_without_groups_there_is_nothing(groups):
    assert shown_groups(groups) is None
