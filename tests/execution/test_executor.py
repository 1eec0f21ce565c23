"""Sums over shards."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest
import torch

from hessinf.execution import Executor, LocalExecutor
from hessinf.execution.executor import add


class Statistics(NamedTuple):
    total: torch.Tensor
    count: int


def test_local_is_the_default() -> None:
    assert isinstance(Executor.from_config({}), LocalExecutor)
    assert Executor.by_name("local") is LocalExecutor


def test_nested_results_add_up() -> None:
    def function(shard: int) -> dict[str, Any]:
        tensor = torch.full((2,), float(shard))
        return {"a": [tensor, (shard, {"b": tensor * 2})], "s": Statistics(tensor, 1)}

    total = LocalExecutor().sum(function, range(1, 5))
    assert total["a"][0].tolist() == [10.0, 10.0]
    assert total["a"][1][0] == 10
    assert isinstance(total["a"], list)
    assert isinstance(total["a"][1], tuple)
    assert total["a"][1][1]["b"].tolist() == [20.0, 20.0]
    assert isinstance(total["s"], Statistics)
    assert total["s"].total.tolist() == [10.0, 10.0]
    assert total["s"].count == 4


def test_shards_are_seen_once_in_order() -> None:
    seen = []

    def function(shard: str) -> int:
        seen.append(shard)
        return 1

    assert LocalExecutor().sum(function, iter("cab")) == 3
    assert seen == ["c", "a", "b"]


def test_rounding_follows_the_order() -> None:
    shards = [1e16, 1.0, -1e16]
    assert LocalExecutor().sum(lambda shard: shard, shards) == (1e16 + 1.0) - 1e16


def test_results_are_not_changed() -> None:
    parts = [torch.ones(2), torch.ones(2)]
    LocalExecutor().sum(lambda place: parts[place], range(2))
    assert torch.equal(parts[0], torch.ones(2))


def test_no_shards() -> None:
    assert LocalExecutor().sum(lambda shard: 1, []) is None


@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, "one has keys ['a'], the other keys ['a', 'b']"),
        ([1], [1, 2], "one has length 1, the other length 2"),
        ([1], (1,), "one has list, the other tuple"),
        (torch.ones(2), torch.ones(1), "one has shape [2], the other shape [1]"),
    ],
)
def test_results_of_different_structure_are_refused(left: Any, right: Any, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        add(left, right)
