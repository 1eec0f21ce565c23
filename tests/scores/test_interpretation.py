"""Results as JSON, in the order of the file format."""

from __future__ import annotations

import json

from hessinf.scores import Influence, Interpretation, Query


def test_key_order() -> None:
    influence = Influence(
        index=3,
        id="train-3",
        display={"text": "a"},
        target=1,
        loss=0.5,
        score=2.0,
        loss_change_if_removed=0.1,
    )
    query = Query(
        index=0,
        id="test-0",
        display={},
        target=1,
        prediction=0,
        loss=1.5,
        measurement=1.5,
    )
    harmful = Influence(
        index=4,
        id="train-4",
        display={},
        target=0,
        loss=0.1,
        score=-2.0,
        loss_change_if_removed=None,
    )
    line = Interpretation(query, (influence,), (harmful,), {"damping": 0.1}).to_json()
    assert json.dumps(line) == (
        '{"query": {"index": 0, "id": "test-0", "display": {}, "loss": 1.5, "measurement": 1.5, '
        '"prediction": 0, "target": 1}, '
        '"helpful": [{"index": 3, "id": "train-3", "display": {"text": "a"}, "score": 2.0, '
        '"loss": 0.5, "loss_change_if_removed": 0.1, "target": 1}], '
        '"harmful": [{"index": 4, "id": "train-4", "display": {}, "score": -2.0, "loss": 0.1, '
        '"loss_change_if_removed": null, "target": 0}], '
        '"diagnostics": {"damping": 0.1}}'
    )
