"""``hessinf self-influence``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hessinf.commands.run import RunData, make_interpreter, read_data
from hessinf.commands.run_config import load_checked_config
from hessinf.models import load_archive


def ranking(folder: str = "out") -> list[dict]:
    lines = Path(folder, "self_influence.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_ranks_all_training_examples(cli):
    outcome = cli("self-influence a.jsonnet -s out")
    assert (outcome.status, outcome.stderr) == (0, "")
    lines = ranking()
    assert [line["rank"] for line in lines] == list(range(24))
    assert sorted(line["index"] for line in lines) == list(range(24))
    values = [line["self_influence"] for line in lines]
    assert values == sorted(values, reverse=True)
    assert values[-1] >= 0
    keys = {"rank", "index", "id", "display", "self_influence", "loss", "target"}
    assert all(line.keys() == keys for line in lines)


def test_numbers_are_the_interpreters(cli):
    assert cli("self-influence a.jsonnet -s out").status == 0
    config = load_checked_config("a.jsonnet").build()
    data: RunData = read_data(config, test=False)
    loaded = load_archive("out/model")
    interpreter = make_interpreter(config, loaded.module, loaded.training, data, "cpu")
    by_index = sorted(ranking(), key=lambda line: line["index"])
    found = np.array([line["self_influence"] for line in by_index])
    np.testing.assert_allclose(found, interpreter.self_influence(), rtol=1e-5)
    losses = np.array([line["loss"] for line in by_index])
    np.testing.assert_allclose(losses, interpreter.train_losses(), rtol=1e-5)
    assert [line["id"] for line in by_index] == list(data.train.ids)


def test_what_is_shown(cli):
    lines = cli("self-influence a.jsonnet -s out").stdout.splitlines()
    assert lines[0].split() == ["training", "example", "label", "self-influence", "loss"]
    first = ranking()[0]
    assert lines[1].split() == [
        first["id"],
        first["display"]["label"],
        f"{first['self_influence']:.4g}",
        f"{first['loss']:.4g}",
    ]
    assert len(lines) == 1 + 10 + 2
    assert lines[-1] == "all of them: out/self_influence.jsonl"


def test_wrong_labels_come_first(cli, workplace):
    (workplace / "noisy.jsonnet").write_text(
        "local ring = import 'ring.libsonnet'; ring + {\n"
        "  dataset_reader: { type: 'noisy-labels', rate: 0.05,\n"
        "    reader: { type: 'synthetic', kind: 'blobs', classes: 2, train_size: 60 } },\n"
        "}"
    )
    assert cli("self-influence noisy.jsonnet -s out").status == 0
    flipped = {line["rank"] for line in ranking() if "flipped_from" in line["display"]}
    assert flipped
    assert max(flipped) < 2 * len(flipped)


def test_again(cli):
    first = cli("self-influence a.jsonnet -s out")
    assert cli("self-influence a.jsonnet -s out").status == 2
    assert cli("self-influence a.jsonnet -s out -r") == first
    assert cli("self-influence a.jsonnet -s out -f") == first
