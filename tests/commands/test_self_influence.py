"""``hessinf self-influence``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hessinf.commands.run import RunData, make_interpreter, read_data
from hessinf.commands.run_config import load_checked_config
from hessinf.display.numbers import number
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
    blocks = cli("self-influence a.jsonnet -s out").stdout.split("\n\n")
    assert blocks[0] == "24 training examples ranked by self-influence: finished"
    assert blocks[1].startswith("stage ")
    lines = blocks[2].splitlines()
    assert lines[0].split() == ["most", "suspect", "label", "self-influence", "loss"]
    first = ranking()[0]
    assert lines[1].split() == [
        first["id"],
        first["display"]["label"],
        number(first["self_influence"]),
        number(first["loss"]),
    ]
    assert len(lines) == 1 + 10
    assert blocks[3].startswith(
        "results in out:\n  self_influence.jsonl  all training examples, the most suspect first\n"
    )


def test_as_json(cli):
    shown = json.loads(cli("self-influence a.jsonnet -s out --json").stdout)
    assert shown["command"] == "self-influence"
    assert shown["finished_before"] is False
    assert shown["first"] == ranking()[:10]
    assert shown["metrics"] == json.loads(Path("out/metrics.json").read_text())
    again = json.loads(cli("self-influence a.jsonnet -s out -r --json").stdout)
    assert again == {**shown, "finished_before": True}


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
    again = cli("self-influence a.jsonnet -s out -r")
    assert again.stdout == first.stdout.replace(": finished\n", ": finished before\n")
    replaced = cli("self-influence a.jsonnet -s out -f")
    assert replaced.stdout.split("\n\n")[2] == first.stdout.split("\n\n")[2]
