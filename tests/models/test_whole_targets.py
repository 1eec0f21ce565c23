"""Looking at all targets together finds what looking at one after another finds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hessinf.data import Dataset, Instance
from hessinf.models import Objective, binary_cross_entropy, cross_entropy, mean_squared_error
from hessinf.models.errors import ObjectiveError
from hessinf.models.objective import whole_targets

MODULES = (binary_cross_entropy, cross_entropy, mean_squared_error)

NAN = float("nan")

TARGETS: dict[str, Any] = {
    "classes": torch.tensor([0, 2, 1, 2]),
    "one class": torch.tensor([1, 1, 1, 1]),
    "zero and one": torch.tensor([0, 1, 1, 0]),
    "negative": torch.tensor([0, 1, -1, 1]),
    "ignored": torch.tensor([0, -100, 1, -100]),
    "all ignored": torch.tensor([-100, -100, -100, -100]),
    "positions": torch.tensor([[0, 1], [2, -100], [-100, -100], [3, 0]]),
    "values": torch.tensor([0.5, 0.0, 1.0, 0.25]),
    "large values": torch.tensor([0.5, 3.0, 1.0, -2.0]),
    "two values": torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.5, 0.0], [0.0, 0.0]]),
    "not a number": torch.tensor([0.5, NAN, 1.0, 0.0]),
    "infinite": torch.tensor([0.5, float("inf"), 1.0, 0.0]),
}

OBJECTIVES: list[Any] = [
    "cross-entropy",
    {"type": "cross-entropy", "weight": [1.0, 2.0, 1.0]},
    {"type": "cross-entropy", "ignore_index": 2},
    "language-modeling",
    "binary-cross-entropy",
    {"type": "binary-cross-entropy", "pos_weight": [1.0, 2.0]},
    "mean-squared-error",
]


def outcome(objective: Objective, dataset: Dataset, out_features: int | None) -> Any:
    try:
        objective.check_targets(dataset, out_features=out_features)
        return objective.out_features(dataset)
    except ObjectiveError as error:
        return str(error)


@pytest.mark.parametrize("out_features", [None, 1, 2, 3])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("name", TARGETS)
def test_together_or_one_by_one(
    name: str, objective: Any, out_features: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Objective.from_config(objective)
    columns = Dataset.from_columns(torch.randn(4, 3), TARGETS[name])
    listed = Dataset(list(columns.instances))
    together = [outcome(made, dataset, out_features) for dataset in (columns, listed)]
    for module in MODULES:
        monkeypatch.setattr(module, "whole_targets", lambda _: None)
    assert together == [outcome(made, columns, out_features)] * 2


def test_targets_of_several_lengths_have_no_whole() -> None:
    instances = [Instance(torch.ones(2), torch.ones(n, dtype=torch.int64), str(n)) for n in (2, 3)]
    dataset = Dataset(instances)
    assert whole_targets(dataset) is None
    objective = Objective.from_config("cross-entropy")
    assert objective.out_features(dataset) == 2
    objective.check_targets(dataset, out_features=2)
    with pytest.raises(ObjectiveError, match=r'the target of example 0 \(id "2"\) is class 1'):
        objective.check_targets(dataset, out_features=1)
