"""The profile of a run: tables and bars from made-up times, and one real run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import interpret_profile
from benchmarks.fresh_process import ProcessCost
from benchmarks.interpret_profile import (
    Line,
    fixed_cost_lines,
    fixed_costs,
    main,
    medians,
    small_config,
    table,
)

CONFIG = {
    "dataset_reader": {"type": "synthetic", "train_size": 40, "test_size": 4, "features": 3},
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "logistic-regression"},
    "objective": "cross-entropy",
    "trainer": {"optimizer": "lbfgs", "epochs": 3},
    "interpreter": "gradient-dot",
    "top_k": 3,
}


def test_medians_over_runs() -> None:
    runs = [
        [Line("fit", 1.0, 0.5, 10), Line("exit", 3.0, 3.0, 30)],
        [Line("fit", 2.0, 1.5, 30), Line("write", 9.0, 9.0, 20), Line("exit", 1.0, 1.0, 30)],
        [Line("fit", 9.0, 1.0, 20), Line("exit", 2.0, 2.0, 30)],
    ]
    assert medians(runs) == [
        Line("fit", 2.0, 1.0, 30),
        Line("exit", 2.0, 2.0, 30),
        Line("write", 0.0, 0.0, 20),
    ]


def test_the_table() -> None:
    lines = [
        Line("Python's own start", 0.01, 0.01, 0),
        Line("import numpy", 0.2, 0.1, 50 * 2**20),
        Line("import torch", 2.0, 1.0, 200 * 2**20),
        Line("import small", 0.0001, 0.0001, 0),
        Line("fit", 1.0, 0.8899, 300 * 2**20),
    ]
    rows = [" ".join(row.split()) for row in table(lines).splitlines()]
    assert rows == [
        "clock ms cpu ms share peak MiB",
        "Python's own start 10.0 10.0 0.5% –",
        "imports, together 2200.1 1100.1 55.0% 200",
        "fit 1000.0 889.9 44.5% 300",
        "all 3210.1 2000.0 100.0% 300",
        "",
        "import torch 2000.0 1000.0 50.0% 200",
        "import numpy 200.0 100.0 5.0% 50",
        "and 1 packages of less than half a millisecond each",
    ]


class TestFixedCosts:
    def test_the_bar(self) -> None:
        costs = {
            "import torch": (2.0, 1.0),
            "hessinf interpret": (9.0, 1.7),
            "Python script": (1.0, 1.5),
        }
        assert fixed_cost_lines(costs) == [
            "import torch: 1.00 cpu s (2.00 s by the clock)",
            "N=32, Q=1, process start to exit, hessinf interpret: "
            "1.70 cpu s (9.00 s by the clock), bar 1.60: fail",
            "N=32, Q=1, process start to exit, Python script: "
            "1.50 cpu s (1.00 s by the clock), bar 1.60: pass",
        ]

    def test_processes_in_turn_and_the_first_turn_left_out(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        seen: list[str] = []

        def fake(command: list[str], env: object, folder: object = None) -> ProcessCost:
            seen.append(command[-1] if "-c" in command else "interpret")
            turn = (len(seen) - 1) // 3
            return ProcessCost([100.0, 1.0, 3.0, 2.0][turn], turn, 0, 0, "", "")

        monkeypatch.setattr(interpret_profile, "run_process", fake)
        costs = fixed_costs(tmp_path / "c.json", tmp_path, runs=3)
        assert seen == ["import torch", "interpret", interpret_profile.SCRIPT] * 4
        assert costs == dict.fromkeys(
            ("import torch", "hessinf interpret", "Python script"), (2.0, 2)
        )

    def test_the_small_run(self, tmp_path: Path) -> None:
        resolved = CONFIG | {"test_dataset_reader": None, "groups": "label", "scores": "zarr"}
        small = small_config(resolved, tmp_path)
        reader = CONFIG["dataset_reader"]
        assert small["dataset_reader"] == {
            "type": "subset",
            "reader": reader,
            "size": 32,
            "paths": None,
        }
        assert small["test_dataset_reader"]["size"] == 1
        assert small["model"] == {"type": "archive", "path": str(tmp_path)}
        assert small["trainer"] is None
        assert small["interpreter"] == "gradient-dot"
        assert not {"groups", "scores"} & small.keys()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG))
    return file


class TestRealRuns:
    """Runs as they are; what they take does not matter here."""

    @pytest.mark.slow
    def test_the_run(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "found.json"
        assert main([str(config), "--runs", "1", "--part", "run", "--json", str(out)]) == 0
        found = json.loads(out.read_text())
        assert found["accounts"].keys() >= {
            "Python's own start",
            "import torch",
            "import hessinf.commands",
            "config: read and check",
            "data: read and check",
            "training",
            "fit",
            "scores and ranking",
            "writing: interpretations",
            "exit",
        }
        assert all(line["processor"] > -0.02 for line in found["accounts"].values())
        assert "fixed_costs" not in found
        assert "not met in this run: " not in capsys.readouterr().out

    @pytest.mark.slow
    def test_the_fixed_costs(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "found.json"
        assert main([str(config), "--runs", "1", "--part", "start", "--json", str(out)]) == 0
        found = json.loads(out.read_text())
        assert "accounts" not in found
        assert found["fixed_costs"].keys() == {
            "import torch",
            "hessinf interpret",
            "Python script",
        }
        text = capsys.readouterr().out
        assert "N=32, Q=1, process start to exit, hessinf interpret: " in text

    def test_settings_and_errors_are_those_of_interpret(
        self, config: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([str(config), "--runs", "1", "--set", "interpreter=magic"]) == 1
        assert '"magic"' in capsys.readouterr().err


def test_wrong_arguments(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(config), "--runs", "0"])
    assert "--runs must be at least 1, found 0" in capsys.readouterr().err


def test_help_shows_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "python -m benchmarks.interpret_profile configs/digits/ekfac.jsonnet" in out
