"""The record of training."""

from __future__ import annotations

import dataclasses
import json

from hessinf.training import TrainingRecord

RECORD = TrainingRecord(
    weight_decay=0.1,
    reduction="mean",
    optimizer={"type": "sgd", "lr": 0.1},
    epochs=3,
    stopped_because="epochs",
    loss=0.5,
    objective=0.6,
    gradient_norm=1e-3,
    relative_gradient_norm=1e-2,
    gradient_tolerance=None,
    num_examples=10,
    num_parameters=4,
    seconds=0.1,
    seed=0,
)


def test_json_round_trip():
    written = json.loads(json.dumps(RECORD.to_json()))
    assert written["tolerance_reached"] is None
    assert TrainingRecord.from_json(written) == RECORD
    assert TrainingRecord.from_json({**written, "of a later version": 3}) == RECORD


def test_tolerance_reached():
    assert RECORD.tolerance_reached is None
    assert dataclasses.replace(RECORD, gradient_tolerance=1e-3).tolerance_reached is True
    assert dataclasses.replace(RECORD, gradient_tolerance=1e-4).tolerance_reached is False
