"""``hessinf validate``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*/*.jsonnet"))


def test_valid(cli):
    outcome = cli("validate a.jsonnet")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, "a.jsonnet: valid\n", "")


def test_nothing_is_read_and_nothing_written(cli, workplace):
    before = sorted(path.name for path in workplace.iterdir())
    change = '-o \'{train_data_path: "no.csv", dataset_reader: {type: "csv", target: "y"}}\''
    assert cli(f"validate a.jsonnet {change}").status == 0
    assert sorted(path.name for path in workplace.iterdir()) == before


def test_resolved_has_every_default(cli):
    resolved = json.loads(cli("validate a.jsonnet --resolved").stdout)
    assert resolved["interpreter"] == {
        "type": "exact",
        "damping": 0.1,
        "inversion": None,
        "curvature_dtype": "float64",
        "params_to_freeze": [],
        "batch_size": "auto",
        "query_batch_size": "auto",
        "dtype": None,
        "memory_limit": 4.0,
        "score_precision": "model",
        "checkpoints": [],
        "refinement": None,
    }
    assert resolved["measurement"] == {"type": "loss"}
    assert resolved["executor"]["type"] == "local"
    assert resolved["top_k"] == 10
    assert list(resolved)[:4] == ["dataset_reader", "train_data_path", "model", "objective"]


@pytest.mark.parametrize(
    "change",
    [
        "",
        "--set interpreter=simple-influence",
        "--set interpreter.damping='{\"relative\": 0.5}'",
        "--set interpreter.inversion=eigen",
        "-o '{interpreter: {type: \"simple-influence\", recursion_depth: {epochs: 1}}}'",
        '-o \'{interpreter: {type: "simple-influence", recursion_depth: "25%"}}\'',
        "--set trainer='{}'",
        '--set trainer=\'{"early_stopping": {}, "scheduler": "cosine"}\'',
        "--set cuda_device=-1",
        "--set data_loader.batch_size=8",
        "--set objective.label_smoothing=0.1",
        "--set measurement=margin --set scores=zarr --set seed=7",
        '-o \'{model: {type: "archive", path: "runs/model"}, trainer: null}\'',
    ],
)
def test_resolved_is_a_fixed_point(cli, change):
    resolved = cli(f"validate a.jsonnet --resolved {change}")
    assert resolved.status == 0, resolved.stderr
    Path("resolved.json").write_text(resolved.stdout)
    assert cli("validate resolved.json").stdout == "resolved.json: valid\n"
    assert cli("validate resolved.json --resolved").stdout == resolved.stdout


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_resolved_configs_of_the_repository_are_fixed_points(cli, config):
    resolved = cli(f"validate {config} --resolved").stdout
    Path("resolved.json").write_text(resolved)
    assert cli("validate resolved.json --resolved").stdout == resolved


def test_the_same_problems_as_a_run(cli):
    change = "--set interpreter.dampning=1 --set top_k=0"
    validated = cli(f"validate a.jsonnet {change}")
    run = cli(f"interpret a.jsonnet -s out {change}")
    assert validated == run
    assert validated.status == 2
    assert "2 problems in a.jsonnet" in validated.stderr


def test_jsonnet_options(cli, workplace):
    (workplace / "lib").mkdir()
    (workplace / "lib/size.libsonnet").write_text("{ size: 5 }")
    (workplace / "b.jsonnet").write_text(
        "function(damping) (import 'ring.libsonnet') + {\n"
        "  seed: std.parseInt(std.extVar('seed')),\n"
        "  top_k: (import 'size.libsonnet').size + std.extVar('more'),\n"
        "  interpreter+: { damping: damping },\n"
        "}"
    )
    options = "-J lib --ext-str seed=3 --ext-code more=2*2 --tla-code damping=1/4"
    resolved = json.loads(cli(f"validate b.jsonnet --resolved {options}").stdout)
    assert (resolved["seed"], resolved["top_k"]) == (3, 9)
    assert resolved["interpreter"]["damping"] == 0.25


def test_set_wins_over_overrides_and_the_last_one_over_the_first(cli):
    change = '-o \'{"top_k": 3, "seed": 4}\' --set top_k=5 --set top_k=6'
    resolved = json.loads(cli(f"validate a.jsonnet --resolved {change}").stdout)
    assert (resolved["top_k"], resolved["seed"]) == (6, 4)
