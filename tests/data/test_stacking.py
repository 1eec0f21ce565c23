"""Examples are stacked where they are alike, and read once for all that looks at them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from hessinf.data import Dataset, Instance, as_dataset, stacking
from hessinf.data.batching import batches
from hessinf.data.stacking import stacked
from hessinf.models import Objective


def instances(*pairs: tuple[Any, Any]) -> list[Instance]:
    return [Instance(inputs, target, str(n)) for n, (inputs, target) in enumerate(pairs)]


def test_tensors() -> None:
    whole = stacked(instances(*((torch.full((2,), n), torch.tensor(n)) for n in range(3))))
    assert whole is not None
    assert isinstance(whole.inputs, torch.Tensor)
    assert whole.inputs.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert whole.targets.tolist() == [0, 1, 2]


def test_dicts_in_any_order() -> None:
    one = {"a": torch.tensor([1.0]), "b": torch.tensor([2])}
    other = {"b": torch.tensor([4]), "a": torch.tensor([3.0])}
    whole = stacked(instances((one, torch.tensor(0)), (other, torch.tensor(1))))
    assert whole is not None
    assert isinstance(whole.inputs, dict)
    assert {name: x.tolist() for name, x in whole.inputs.items()} == {
        "a": [[1.0], [3.0]],
        "b": [[2], [4]],
    }


VECTOR, CLASS = torch.ones(2), torch.tensor(1)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(VECTOR, CLASS), (torch.ones(3), CLASS)],
        [(VECTOR, CLASS), (VECTOR.double(), CLASS)],
        [(VECTOR, CLASS), (VECTOR, CLASS.int())],
        [(VECTOR, CLASS), (VECTOR, torch.tensor([1]))],
        [(VECTOR, CLASS), (VECTOR, 1)],
        [(VECTOR, CLASS), ([1.0, 1.0], CLASS)],
        [(VECTOR, CLASS), ({"x": VECTOR}, CLASS)],
        [({"x": VECTOR}, CLASS), ({"x": VECTOR, "y": VECTOR}, CLASS)],
        [(VECTOR, CLASS), (VECTOR.to("meta"), CLASS)],
        [(VECTOR.to_sparse(), CLASS)],
    ],
)
def test_what_is_not_alike_stays_as_it_is(pairs: list[tuple[Any, Any]]) -> None:
    assert stacked(instances(*pairs)) is None


def test_what_is_large_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    few = instances(*[(VECTOR, CLASS)] * 3)  # 3 · (8 + 8) bytes
    monkeypatch.setattr(stacking, "STACKED_BYTES", 48)
    assert stacked(few) is not None
    monkeypatch.setattr(stacking, "STACKED_BYTES", 47)
    assert stacked(few) is None


@pytest.mark.parametrize("size", [0, 3])
def test_columns_are_their_own(size: int) -> None:
    dataset = Dataset.from_columns(torch.ones(size, 2), torch.arange(size))
    assert dataset.stacked is dataset.columns
    assert dataset.targets.tolist() == list(range(size))


def test_each_pair_is_read_once_by_all_checks_and_batches() -> None:
    reads: Counter[int] = Counter()

    class Pairs:
        def __len__(self) -> int:
            return 6

        def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
            reads[place] += 1
            return torch.full((2,), float(place)), place % 3

    dataset = as_dataset(Pairs())
    reads.clear()  # it has looked at what kind of things they are
    dataset.check(training=True)
    Objective.from_config("cross-entropy").check_targets(dataset)
    for batch_size in (2, 4):
        found = batches(dataset, batch_size)
        assert torch.cat([batch.targets for batch in found]).tolist() == [0, 1, 2, 0, 1, 2]
    # the kind of target and its shape are asked of the first one
    assert [reads[place] for place in range(1, 6)] == [1] * 5
