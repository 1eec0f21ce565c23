"""The paper's experiments: what arguments make of their configs, and the page about them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hessinf.commands.run_config import load_checked_config
from hessinf.registry import ConfigError, JsonnetOptions

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "configs" / "experiments"
PAGE = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")

EXPERIMENTS = ("hessian", "influence", "lds")

FLAGS = {
    "train.py": "seed lr epochs batch-size hidden activation scheduler output-dir",
    "evaluate.py": "model-path seed hidden activation curvature damping eps output-dir",
    "run_experiment.py": "experiment name seed output-dir hidden activation lr epochs scheduler "
    "curvature damping eps model-path lso-path",
}


def resolved(name: str = "influence", **arguments: str) -> dict[str, Any]:
    """Give arguments as Jsonnet code, and read the config."""
    options = JsonnetOptions(tla_code=arguments)
    return load_checked_config(FOLDER / f"{name}.jsonnet", options).resolved()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_defaults_are_those_of_the_original(name):
    config = resolved(name)
    trainer = config["trainer"]
    assert config["dataset_reader"]["type"] == "digits"
    assert config["dataset_reader"]["test_ratio"] == 0.1
    assert config["model"]["hidden_sizes"] == [64, 32]
    assert config["model"]["activation"] == "gelu"
    assert trainer["optimizer"]["type"] == "sgd"
    assert (trainer["optimizer"]["lr"], trainer["optimizer"]["momentum"]) == (0.01, 0.9)
    assert trainer["scheduler"]["final_factor"] * 0.01 == pytest.approx(1e-8)
    assert (trainer["epochs"], trainer["batch_size"], trainer["weight_decay"]) == (100, 32, 0)
    assert config["interpreter"]["damping"] == 1e-4


def test_the_value_of_the_table_is_that_of_halves():
    assert resolved("lds")["evaluation"]["metrics"]["lds"]["alphas"] == [0.5, 0.3, 0.7, 0.9]
    assert "(`[0.5, 0.3, 0.7, 0.9]`; the first gives the value of the table)" in PAGE


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize(
    ("dataset", "reader", "objective"),
    [
        ("digits", "digits", "cross-entropy"),
        ("concrete", "concrete", "mean-squared-error"),
        ("parkinsons", "parkinsons", "mean-squared-error"),
        ("synthetic", "synthetic", "cross-entropy"),
        ("xor", "synthetic", "cross-entropy"),
    ],
)
def test_data_sets(name, dataset, reader, objective):
    config = resolved(name, dataset=f"'{dataset}'")
    assert config["dataset_reader"]["type"] == reader
    assert config["objective"]["type"] == objective
    assert config["dataset_reader"].get("kind") == {"synthetic": "blobs", "xor": "xor"}.get(dataset)


@pytest.mark.parametrize(
    ("scheduler", "epochs", "expected"),
    [
        ("step", 100, {"milestones": [50.0], "gamma": 0.2}),
        ("step", 200, {"milestones": [50.0, 100.0, 150.0], "gamma": 0.2}),
        ("step", 30, {"milestones": [50.0]}),
        ("exponential", 100, {"gamma": 0.95}),
        ("linear", 100, {"final_factor": 0.0}),
        ("constant", 100, {}),
    ],
)
def test_schedulers(scheduler, epochs, expected):
    config = resolved(scheduler=f"'{scheduler}'", epochs=str(epochs))
    found = config["trainer"]["scheduler"]
    assert found["type"] == scheduler
    assert found.items() >= expected.items()


@pytest.mark.parametrize(
    ("curvature", "kind", "has_matrix"),
    [
        ("H", "exact", True),
        ("GGN", "ggn", True),
        ("block-H", "block-hessian", True),
        ("block-GGN", "block-ggn", True),
        ("KFAC", "kfac", False),
        ("EKFAC", "ekfac", False),
        ("diagonal", "diagonal", False),
        ("ekfac", "ekfac", False),
    ],
)
def test_curvatures(curvature, kind, has_matrix):
    found = resolved(curvature=f"'{curvature}'", damping="0.5", eps="0.25")["interpreter"]
    assert (found["type"], found["damping"]) == (kind, 0.5)
    if has_matrix:
        assert found["inversion"]["type"] == "eigen"
        assert found["inversion"]["threshold"] == 0.25
    else:
        assert "inversion" not in found


def test_inversions():
    pseudo = resolved(curvature="'H'", inversion="'pseudo'", eps="0.25")["interpreter"]["inversion"]
    assert pseudo == {"type": "pseudo", "threshold": 0.25}
    assert resolved(inversion="'exact'")["interpreter"]["inversion"] == {"type": "exact"}


def test_wrong_labels():
    reader = resolved(corruption="0.25", corruption_kind="'class-pair'")["dataset_reader"]
    assert (reader["type"], reader["rate"], reader["kind"]) == ("noisy-labels", 0.25, "class-pair")
    assert reader["reader"]["type"] == "digits"


def test_a_model_that_was_trained_before():
    config = resolved(model="'runs/x/model'")
    assert (config["model"]["type"], config["model"]["path"]) == ("archive", "runs/x/model")
    assert config["trainer"] is None


def test_lds_has_every_curvature_once():
    evaluation = resolved("lds", curvature="'KFAC'", alphas="[0.3, 0.5]", repeats="3")["evaluation"]
    assert evaluation["methods"].keys() == {"ggn", "block-ggn", "ekfac", "diagonal"}
    lds = evaluation["metrics"]["lds"]
    assert (lds["alphas"], lds["subsets"], lds["repeats"]) == ([0.3, 0.5], 100, 3)


def test_hessian_has_every_step():
    analysis = resolved("hessian", dampings="[0.5]")["analysis"]
    expected = {"ggn", "block-h", "block-ggn", "kfac", "ekfac", "diagonal"}
    assert analysis["approximations"].keys() == expected
    assert (analysis["reference"], analysis["dampings"]) == ("hessian", [0.5])


@pytest.mark.parametrize(
    ("argument", "value", "names"),
    [
        ("scheduler", "plateau", "constant, cosine, exponential, linear, step"),
        ("dataset", "mnist", "concrete, digits, parkinsons, synthetic, xor"),
        ("curvature", "K-FAC", "block-ggn, block-h, diagonal, ekfac, ggn, h, kfac"),
        ("inversion", "lu", "eigen, exact, pseudo"),
    ],
)
def test_what_is_not_there_is_said(argument, value, names):
    shown = value.lower() if argument == "curvature" else value
    message = f'{argument} is "{shown}", expected one of: {names}'
    with pytest.raises(ConfigError, match=re.escape(message)):
        resolved(**{argument: f"'{value}'"})


class TestPage:
    """docs/experiments.md."""

    @pytest.mark.parametrize("script", FLAGS)
    def test_every_flag_has_its_place(self, script):
        start = PAGE.index(f"### `{script}`")
        end = PAGE.find("\n##", start + 1)
        section = PAGE[start : end if end > 0 else None]
        missing = [flag for flag in FLAGS[script].split() if f"--{flag}" not in section]
        assert missing == []

    def test_its_config_is_right(self, tmp_path):
        (code,) = re.findall(r"```jsonnet\n(.*?)```", PAGE, re.DOTALL)
        file = tmp_path / "page.jsonnet"
        file.write_text(code, encoding="utf-8")
        config = load_checked_config(file, JsonnetOptions(library_paths=(str(ROOT),))).resolved()
        assert config["evaluation"]["metrics"].keys() == {"lso"}
        truth = config["evaluation"]["metrics"]["lso"]["ground_truth"]
        assert truth["type"] == "leave-some-out-files"

    def test_every_argument_is_explained(self):
        for name in EXPERIMENTS:
            code = (FOLDER / f"{name}.jsonnet").read_text(encoding="utf-8")
            arguments = re.findall(r"^  (\w+)=", code, re.MULTILINE)
            assert len(arguments) >= 16
            assert [one for one in arguments if f"`{one}`" not in PAGE] == []
