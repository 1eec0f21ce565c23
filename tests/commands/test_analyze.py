"""``hessinf analyze``."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessinf.display.numbers import estimate, number
from hessinf.evaluation.analysis import AnalysisStore

DRAWN = importlib.util.find_spec("matplotlib") is not None
QUICK = "--set analysis.plots=false"

CONFIG = """(import 'ring.libsonnet') + {
  model+: { dtype: 'float64' },
  analysis: {
    approximations: { ggn: 'ggn', ekfac: 'ekfac', diagonal: 'hutchinson-hessian' },
    dampings: [0.01],
    top_k: 2,
    diagonal_probes: 20,
  },
}
"""


@pytest.fixture(autouse=True)
def config(workplace: Path) -> None:
    Path("c.jsonnet").write_text(CONFIG)


def analysis(folder: str = "out") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(folder, "analysis.json").read_text())
    return found


def test_writes_numbers_and_says_them(cli):
    outcome = cli(f"analyze c.jsonnet -s out {QUICK}")
    assert (outcome.status, outcome.stderr) == (0, "")
    found = analysis()
    assert list(found["approximations"]) == ["diagonal", "ekfac", "ggn"]
    lines = outcome.stdout.splitlines()
    assert lines[0] == (
        f"curvature of {found['parameters']} parameters in 2 blocks, dense: finished"
    )
    assert lines[1].startswith("model: training loss ")
    assert lines[3].split()[:2] == ["stage", "time"]
    lines = outcome.stdout.split("\n\n")[2].splitlines()
    first, second = lines[:2]
    assert first.split() == [
        *("curvature", "relative", "inverse", "eigenvalue", "eigenbasis", "off-block"),
        *("condition", "negative"),
    ]
    assert second.split() == ["residual", "λ=0.01", "overlap", "overlap", "ratio", "eigenvalues"]
    assert lines[2].split()[:6] == ["hessian", "(reference)", "-", "-", "-", "-"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[3:6]}
    residuals = [float(cells[0]) for cells in rows.values()]
    assert residuals == sorted(residuals)
    for name, cells in rows.items():
        own = found["approximations"][name]
        compared = own["against_reference"]["whole"]
        assert cells == [
            number(compared["relative_residual"]),
            number(compared["inverse_space_residual"][0]),
            number(compared["eigenvalue_overlap"]),
            number(compared["eigenbasis_overlap"]),
            number(own["whole"]["off_block_energy_ratio"]),
            number(own["whole"]["stability"]["condition"]),
            number(own["whole"]["stability"]["negative"]),
        ]
    assert "eigenbasis overlap: of the 2 eigenvectors of largest magnitude; random subspaces" in (
        outcome.stdout
    )
    assert not Path("out/plots").exists()


def test_settings_are_written_out(cli):
    assert cli(f"analyze c.jsonnet -s out {QUICK}").status == 0
    settings = analysis()["settings"]
    assert settings["reference"] == "hessian"
    assert settings["approximations"]["ekfac"]["weight_sharing"] == "expand"
    assert settings["thresholds"] == [1e-6, 1e-4]
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert metrics["complete"] is True
    assert [stage["name"] for stage in metrics["stages"]] == [
        "reading data",
        "model",
        "curvature reference",
        "curvature diagonal",
        "curvature ekfac",
        "curvature ggn",
    ]


def test_without_anything_said_of_it(cli):
    """The steps from the Hessian to K-FAC."""
    assert cli(f"analyze a.jsonnet -s out {QUICK}").status == 0
    assert list(analysis()["approximations"]) == ["ggn", "block-ggn", "ekfac", "kfac"]
    pairs = analysis()["pairwise_relative_residuals"]["block-ggn"]
    assert pairs["ekfac"] <= pairs["kfac"] + 1e-6


def test_same_bytes_each_time(cli):
    for folder in ("one", "other"):
        assert cli(f"analyze c.jsonnet -s {folder} {QUICK}").status == 0
    assert Path("one/analysis.json").read_bytes() == Path("other/analysis.json").read_bytes()


def test_a_run_that_was_stopped_goes_on(cli, monkeypatch):
    assert cli(f"analyze c.jsonnet -s whole {QUICK}").status == 0
    add, names = AnalysisStore.add, []

    def stopping(self: AnalysisStore, name: str, *rest: Any) -> None:
        if len(names) == 2:
            raise KeyboardInterrupt
        names.append(name)
        add(self, name, *rest)

    monkeypatch.setattr(AnalysisStore, "add", stopping)
    assert cli(f"analyze c.jsonnet -s out {QUICK}").status == 130
    assert not Path("out/analysis.json").exists()
    assert Path("out/analysis/reference/matrix.npy").exists()
    monkeypatch.setattr(AnalysisStore, "add", add)
    assert cli(f"analyze c.jsonnet -s out {QUICK} -r").status == 0
    assert Path("out/analysis.json").read_bytes() == Path("whole/analysis.json").read_bytes()
    stages = json.loads(Path("out/metrics.json").read_text())["stages"]
    assert [one["name"] for one in stages if one["name"].startswith("curvature")] == [
        "curvature ekfac",
        "curvature ggn",
    ]
    again = cli(f"analyze c.jsonnet -s out {QUICK} -r")
    assert again.status == 0
    assert again.stdout.splitlines()[0].endswith("dense: finished before")


def test_goes_on_from_a_model_that_was_trained_before(cli):
    assert cli(f"train c.jsonnet -s out {QUICK}").status == 0
    before = Path("out/model/weights.safetensors").stat().st_mtime_ns
    assert cli(f"analyze c.jsonnet -s out {QUICK} -r").status == 0
    assert Path("out/model/weights.safetensors").stat().st_mtime_ns == before
    assert analysis()["mode"] == "dense"


class TestMatrices:
    def test_are_kept_when_asked_for(self, cli):
        line = f"analyze c.jsonnet -s out {QUICK} --set analysis.keep_matrices=true"
        assert cli(line).status == 0
        size = analysis()["parameters"]
        for name in ("reference", "ggn", "ekfac", "diagonal"):
            matrix = np.load(f"out/analysis/{name}/matrix.npy")
            assert (matrix.shape, matrix.dtype) == ((size, size), np.float64)
        assert analysis()["pairwise_relative_residuals"]["ggn"]["ggn"] == 0

    def test_are_removed_otherwise(self, cli):
        assert cli(f"analyze c.jsonnet -s out {QUICK}").status == 0
        assert list(Path("out").rglob("*.npy")) == []

    def test_that_a_killed_run_has_left_are_removed(self, cli):
        assert cli(f"analyze c.jsonnet -s out {QUICK}").status == 0
        np.save("out/analysis/ggn/matrix.npy", np.zeros((2, 2)))
        assert cli(f"analyze c.jsonnet -s out {QUICK} -r").status == 0
        assert list(Path("out").rglob("*.npy")) == []


def test_without_matrices(cli):
    outcome = cli(f"analyze c.jsonnet -s out {QUICK} --set analysis.mode=matrix-free")
    assert (outcome.status, outcome.stderr) == (0, "")
    lines = outcome.stdout.splitlines()
    assert lines[0].endswith("matrix-free: finished")
    row = next(line for line in lines if line.startswith("  ggn"))
    residual = analysis()["approximations"]["ggn"]["against_reference"]["whole"][
        "relative_residual"
    ]
    shown = estimate(residual["value"], residual["standard_error"])
    assert row.split()[1:4] == shown.split()
    assert "not computed: inverse_space_residual (needs both inverses)" in lines


@pytest.mark.skipif(not DRAWN, reason="needs matplotlib")
def test_plots(cli):
    line = """analyze c.jsonnet -s out --set analysis.approximations='{"ggn": "ggn"}'"""
    assert cli(line).status == 0
    names = {"spectra"} | {
        f"{kind}_{name}"
        for kind in ("matrix", "inversion_errors", "comparison")
        for name in ("reference", "ggn")
        if (kind, name) != ("comparison", "reference")
    }
    files = {f"{name}.{suffix}" for name in names for suffix in ("png", "svg")}
    assert {path.name for path in Path("out/plots").iterdir()} == files
    shutil.copytree("out/plots", "first")
    assert cli(f"{line} -f").status == 0
    for name in files:
        assert Path("out/plots", name).read_bytes() == Path("first", name).read_bytes()


class TestWithoutMatplotlib:
    @pytest.fixture(autouse=True)
    def absent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
        )

    def test_plots_that_are_asked_for_are_refused_before_training(self, cli):
        outcome = cli("analyze c.jsonnet -s out --set analysis.plots=true")
        assert outcome.status == 2
        assert outcome.stderr == (
            "config error: 1 problem in c.jsonnet\n"
            "  analysis.plots   true needs matplotlib, which is not installed: pip install "
            "'hessinf[plots]', or set it to false, or to \"auto\" for plots where they can be "
            "drawn   [from --set analysis.plots=true]\n"
        )
        assert not Path("out").exists()

    def test_it_is_said_that_none_were_drawn(self, cli):
        outcome = cli("analyze c.jsonnet -s out")
        assert outcome.status == 0
        assert not Path("out/plots").exists()
        assert (
            "\nnote: no plots were drawn, since matplotlib is not installed; pip install "
            "'hessinf[plots]', and run\n  again with -f\n"
        ) in outcome.stdout

    def test_nothing_is_said_where_none_are_wanted(self, cli):
        assert "plots were" not in cli(f"analyze c.jsonnet -s out {QUICK}").stdout


class TestRefusals:
    """Before a model is trained, and before a directory is made."""

    def refused(self, cli: Any, settings: str, message: str, status: int = 1) -> None:
        outcome = cli(f"analyze c.jsonnet -s out {settings}")
        assert outcome.status == status
        assert message in outcome.stderr
        assert not Path("out").exists()

    def test_blocks(self, cli):
        self.refused(
            cli,
            """--set analysis.blocks='{"a": ["nothing"]}'""",
            'analysis.blocks.a: "nothing" matches no parameter',
        )

    def test_a_method_without_curvature(self, cli):
        self.refused(
            cli,
            "--set analysis.approximations.ggn=gradient-dot",
            '"ggn": the method "gradient-dot" has no curvature of its own to look at',
        )

    def test_memory(self, cli):
        self.refused(
            cli,
            "--set analysis.memory_limit=1e-9 --set analysis.mode=dense",
            'or set analysis.mode to "matrix-free"',
        )

    def test_names(self, cli):
        self.refused(
            cli,
            """--set analysis.approximations='{"a b": "ggn"}'""",
            '"a b" cannot be the name of a row',
            status=2,
        )


def test_help_teaches(cli):
    shown = cli("analyze --help").stdout
    assert "Compare curvatures: the Hessian with what stands for it." in shown
    assert "hessinf analyze configs/analysis/small.jsonnet -s runs/estimates" in shown


ROOT = Path(__file__).resolve().parents[2]


def test_every_kind_of_curvature(cli):
    """The small config of the repository, as it is."""
    outcome = cli(f"analyze {ROOT}/configs/analysis/small.jsonnet -s out {QUICK}")
    assert (outcome.status, outcome.stderr) == (0, "")
    found = analysis()
    assert {own["curvature"] for own in found["approximations"].values()} == {
        *("ggn", "block-hessian", "block-ggn", "ekfac", "kfac", "diagonal"),
        *("empirical-fisher", "hutchinson-hessian"),
    }
    pairs = found["pairwise_relative_residuals"]["block-ggn"]
    assert pairs["ekfac"] <= pairs["kfac"]
    for own in found["approximations"].values():
        for part in ({"whole": own["whole"]}, own["blocks"]):
            assert all(one["inversion_errors"]["exact"] for one in part.values())


def test_the_config_of_digits(cli):
    """With a smaller network, briefly trained."""
    smaller = (
        "--set model.hidden_sizes='[2]' --set trainer.epochs=2 --set dataset_reader.test_ratio=0.9"
    )
    outcome = cli(f"analyze {ROOT}/configs/analysis/digits.jsonnet -s out {QUICK} {smaller}")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert analysis()["parameters"] == 65 * 2 + 3 * 10
    residuals = {
        name: own["against_reference"]["whole"]["relative_residual"]
        for name, own in analysis()["approximations"].items()
    }
    assert residuals["ggn"] < residuals["block-ggn"] < residuals["ekfac"]


def test_config_errors_need_no_torch(workplace):
    """Neither does the help, nor a config that is right."""
    program = (
        "import sys; from hessinf.commands.main import main\n"
        "status = main(sys.argv[1:])\n"
        "assert not {'torch', 'numpy', 'matplotlib'} & sys.modules.keys()\n"
        "sys.exit(status)"
    )
    for line, status in (
        (["validate", "c.jsonnet"], 0),
        (["analyze", "c.jsonnet", "-s", "out", "--set", "analysis.top_k=0"], 2),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *line],
            check=False,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(ROOT), "HOME": str(workplace), "PATH": ""},
        )
        assert (done.returncode, "Assertion" in done.stderr) == (status, False), done.stderr
