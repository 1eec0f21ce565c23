"""The influence of groups as JSON."""

from __future__ import annotations

import json

import numpy as np

from hessinf.scores import GroupInfluence


def test_json_has_the_most_helpful_group_first() -> None:
    found = GroupInfluence(
        ("a", "b", "c"),
        np.array([1, 5, 2]),
        np.array([[0.5, -1.0, 2.0], [3.0, 3.0, 0.0]]),
        np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    )
    rows = found.to_json(0)
    assert [row["group"] for row in rows] == ["c", "a", "b"]
    assert rows[0] == {"group": "c", "size": 2, "score": 2.0, "loss_change_if_removed": 3.0}
    assert [row["group"] for row in found.to_json(1)] == ["a", "b", "c"], "ties in order"
    json.dumps(rows, allow_nan=False)


def test_without_loss_changes() -> None:
    found = GroupInfluence(("a",), np.array([1]), np.array([[0.5]]), None)
    assert found.to_json(0)[0]["loss_change_if_removed"] is None
