"""``hessinf train``, and models that later runs take from its archive."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hessinf.commands.training_summary import training_summary

ARCHIVE = '-o \'{trainer: null, model: {type: "archive", path: "trained/model"}}\''


def interpretations(folder: str) -> list[dict]:
    lines = Path(folder, "interpretations.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_output_and_files(cli):
    outcome = cli("train a.jsonnet -s out")
    assert (outcome.status, outcome.stderr) == (0, "")
    number = r"[\d.,e-]+"
    assert re.fullmatch(
        rf"trained for 20 epochs \(\w+\): loss {number}, objective {number}\n"
        rf"gradient norm {number} \(0 at a minimum\)\n"
        r"model archive: out/model\n",
        outcome.stdout,
    )
    names = {"config.json", "provenance.json", "metrics.json", "log.txt", "model"}
    assert {path.name for path in Path("out").iterdir()} == names
    assert json.loads(Path("out/metrics.json").read_text())["complete"] is True


@pytest.mark.parametrize("reached", [True, False])
def test_says_whether_the_tolerance_was_reached(cli, reached):
    epochs = 500 if reached else 1
    change = f"--set trainer.gradient_tolerance=1e-2 --set trainer.epochs={epochs}"
    text = cli(f"train a.jsonnet -s out {change}").stdout
    assert ("tolerance 0.01 reached" if reached else "tolerance 0.01 NOT reached") in text


def test_needs_no_queries(cli):
    assert cli("train a.jsonnet -s out --set test_data_path=null").status == 0


def test_a_second_time(cli):
    first = cli("train a.jsonnet -s out")
    log = Path("out/log.txt").read_text()
    refused = cli("train a.jsonnet -s out")
    assert refused.status == 2
    assert refused.stderr.startswith("out holds an earlier run; ")
    assert cli("train a.jsonnet -s out -r") == first
    assert Path("out/log.txt").read_text() == log
    replaced = cli("train a.jsonnet -s out -f --set seed=1")
    assert replaced.status == 0
    assert replaced.stdout != first.stdout


def test_its_archive_gives_the_interpretations_of_the_run_that_trained(cli):
    assert cli("interpret a.jsonnet -s whole").status == 0
    assert cli("train a.jsonnet -s trained").status == 0
    assert cli(f"interpret a.jsonnet -s later {ARCHIVE}").status == 0
    assert interpretations("later") == interpretations("whole")
    whole, later = (
        json.loads(Path(name, "metrics.json").read_text())["training"]
        for name in ("whole", "later")
    )
    assert {**whole, "seconds": 0} == {**later, "seconds": 0}


def test_an_archive_of_an_archive(cli):
    assert cli("interpret a.jsonnet -s trained").status == 0
    assert cli(f"interpret a.jsonnet -s second {ARCHIVE}").status == 0
    moved = ARCHIVE.replace("trained", "second")
    Path("trained").rename("gone")
    assert cli(f"interpret a.jsonnet -s third {moved}").status == 0
    assert interpretations("third") == interpretations("gone")


def test_the_model_of_a_weights_file(cli, workplace):
    assert cli("train a.jsonnet -s trained").status == 0
    weights = "trained/model/weights.safetensors"
    outcome = cli(f"train a.jsonnet -s out --set trainer=null --set model.weights={weights}")
    assert outcome.stdout == "the model has no record of training\nmodel archive: out/model\n"
    copied = Path("out/model/weights.safetensors").read_bytes()
    assert copied == Path(weights).read_bytes()


def test_without_a_record():
    text = training_summary({}, Path("x/model"))
    assert text == "the model has no record of training\nmodel archive: x/model"
