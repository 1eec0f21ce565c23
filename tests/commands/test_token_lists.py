"""Runs whose lists say what each word of a training example contributes to its score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hessinf.commands.main import main

TEXTS = {
    "dataset_reader": {"type": "reviews", "train_size": 20, "test_size": 4},
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "text-classifier", "embedding_size": 4},
    "objective": "cross-entropy",
    "trainer": {"epochs": 3},
    "interpreter": {"type": "ekfac", "damping": 0.01},
    "top_k": 2,
    "report": False,
}

ROWS = {
    **TEXTS,
    "dataset_reader": {"type": "synthetic", "train_size": 20, "test_size": 4},
    "model": "logistic-regression",
}

OWN_RULE = (
    "token influence: the scores of gradient-cosine come from a rule of its own, and are no inner "
    "products of influence factors with training gradients; use a method with precondition() and "
    "without score()"
)


pytestmark = pytest.mark.usefixtures("workplace")


def run(config: dict[str, Any], *options: str, status: int = 0) -> None:
    Path("config.jsonnet").write_text(json.dumps(config))
    assert main(["interpret", "config.jsonnet", "-s", "run", *options]) == status


def metrics() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("run/metrics.json").read_text())
    return found


def listed() -> list[dict[str, Any]]:
    lines = Path("run/interpretations.jsonl").read_text().splitlines()
    return [one for line in map(json.loads, lines) for one in line["helpful"] + line["harmful"]]


@pytest.mark.parametrize("wanted", ["auto", True])
def test_texts(wanted):
    run({**TEXTS, "token_influence": wanted})
    assert metrics()["token_influence"] == {"computed": True}
    assert len(listed()) == 16
    for one in listed():
        assert len(one["token_influence"]) == len(one["display"]["tokens"])
        total = sum(one["token_influence"]) + one["token_influence_rest"]
        assert total == pytest.approx(one["score"], rel=1e-4)


def test_texts_when_it_is_not_wanted():
    run({**TEXTS, "token_influence": False})
    assert metrics()["token_influence"] == {
        "computed": False,
        "reason": 'the config says "token_influence": false',
    }
    assert not any("token_influence" in one for one in listed())


def test_methods_that_cannot():
    config = {**TEXTS, "interpreter": "gradient-cosine"}
    run(config)
    assert metrics()["token_influence"] == {"computed": False, "reason": OWN_RULE}
    assert f"no token influence: {OWN_RULE}" in metrics()["warnings"]
    assert not any("token_influence" in one for one in listed())


def test_methods_that_cannot_where_it_is_wanted(capsys):
    run({**TEXTS, "interpreter": "gradient-cosine", "token_influence": True}, status=1)
    assert OWN_RULE in capsys.readouterr().err


def test_data_without_tokens(capsys):
    run(ROWS)
    assert "token_influence" not in metrics()
    run({**ROWS, "token_influence": True}, "-f", status=1)
    assert (
        "token influence needs inputs with tokens, whole numbers [S]; those of the training data "
        "are float32 [2]" in capsys.readouterr().err
    )


def test_the_same_bytes_again():
    run(TEXTS)
    first = Path("run/interpretations.jsonl").read_bytes()
    run(TEXTS, "-f")
    assert Path("run/interpretations.jsonl").read_bytes() == first


def test_queries_with_words_of_their_own_are_refused(capsys):
    other = {
        "type": "noisy-labels",
        "reader": {**TEXTS["dataset_reader"], "max_words": 5},
        "rate": 0,
    }
    run({**TEXTS, "test_dataset_reader": other}, status=1)
    assert (
        "the test data have other words than the training data; leave test_dataset_reader out"
        in capsys.readouterr().err
    )
