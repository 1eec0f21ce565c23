"""What a run leaves: every file, its content, and that the same config gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hessinf.commands.interpret_run import FinishedInterpretations, interpret
from hessinf.commands.main import main
from hessinf.commands.provenance import ChangedDataError
from hessinf.commands.run_config import load_checked_config
from hessinf.data import DatasetReader
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.exact import Exact
from hessinf.models import load_archive
from hessinf.runtime.json_lines import read_lines
from hessinf.training import Trainer

CONFIG: dict[str, Any] = {
    "dataset_reader": {
        "type": "breast-cancer",
        "test_ratio": 0.02,
        "train_size": 40,
        "dtype": "float64",
    },
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "logistic-regression", "dtype": "float64"},
    "objective": "cross-entropy",
    "trainer": {"optimizer": "lbfgs", "epochs": 50, "weight_decay": 0.1},
    "interpreter": {"type": "exact", "damping": 0.01, "query_batch_size": 5},
    "top_k": 3,
    "device": "cpu",
    "seed": 7,
}
"""Twelve queries in blocks of five: three shards."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "config.json")


def write_config(file: Path, **changes: Any) -> Path:
    file.write_text(json.dumps({**CONFIG, **changes}))
    return file


TABLE_READER = {"type": "csv", "target": "label"}


def write_table(folder: Path) -> Path:
    """Write a config of data in files."""
    rows = [f"{number % 7},{number % 5},{'yes' if number % 3 else 'no'}" for number in range(20)]
    for name, some in (("train", rows[:14]), ("test", rows[14:])):
        (folder / f"{name}.csv").write_text("\n".join(["a,b,label", *some]) + "\n")
    return write_config(
        folder / "config.json",
        dataset_reader=TABLE_READER,
        model="logistic-regression",
        train_data_path=str(folder / "train.csv"),
        test_data_path=str(folder / "test.csv"),
    )


def run(file: Path, directory: Path, **options: Any) -> FinishedInterpretations:
    return interpret(load_checked_config(file), directory, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedInterpretations:
    """Return one run with everything, not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    return run(write_config(folder / "config.json", scores="zarr"), folder / "run")


@pytest.fixture(scope="module")
def expected(finished: FinishedInterpretations) -> bytes:
    return finished.interpretations.read_bytes()


def metrics_of(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "metrics.json").read_text())


class TestFiles:
    def test_all_that_is_promised_and_nothing_else(self, finished: FinishedInterpretations) -> None:
        assert not finished.was_complete
        files = {
            str(path.relative_to(finished.directory))
            for path in finished.directory.rglob("*")
            if path.is_file() and path.parent.name != "c" and "scores.zarr/c" not in str(path)
        }
        assert files == {
            "config.json",
            "provenance.json",
            "model/config.json",
            "model/training.json",
            "model/weights.safetensors",
            "factors/factors.safetensors",
            "factors/interpreter.json",
            "interpretations.jsonl",
            "scores.zarr/zarr.json",
            "self_influence.jsonl",
            "spectrum.json",
            "metrics.json",
            "report.html",
            *(
                f"plots/{name}.{suffix}"
                for name in ("score_distribution", "self_influence", "spectrum")
                for suffix in ("svg", "png")
            ),
            "log.txt",
        }

    def test_scores_are_kept_only_when_asked_for(self, config: Path, tmp_path: Path) -> None:
        assert not (run(config, tmp_path / "run").directory / "scores.zarr").exists()

    def test_lines(self, finished: FinishedInterpretations) -> None:
        lines = list(read_lines(finished.interpretations))
        assert [line["query"]["index"] for line in lines] == list(range(len(lines)))
        assert len(lines) > 10
        for line in lines:
            assert list(line) == ["query", "helpful", "harmful", "scores", "diagnostics"]
            assert list(line["query"]) == [
                *("index", "id", "display", "loss", "measurement", "prediction", "probability"),
                "target",
            ]
            for influence in line["helpful"] + line["harmful"]:
                assert list(influence) == [
                    *("index", "id", "display", "score", "loss"),
                    *("loss_change_if_removed", "target"),
                ]
            helpful = [influence["score"] for influence in line["helpful"]]
            harmful = [influence["score"] for influence in line["harmful"]]
            assert helpful == sorted(helpful, reverse=True)
            assert harmful == sorted(harmful)
            assert len(helpful) == len(harmful) == 3

    def test_scores_are_those_of_the_python_interface(
        self, finished: FinishedInterpretations
    ) -> None:
        reader = DatasetReader.from_config(CONFIG["dataset_reader"])
        train, test = reader.read("train"), reader.read("test")
        module = load_archive(finished.directory / "model").module
        interpreter = InfluenceInterpreter.load(finished.directory / "factors", module, train)
        interpreter.query_batch_size = 5
        kept = zarr.open_array(finished.directory / "scores.zarr")[:]
        np.testing.assert_array_equal(kept, interpreter.scores(test))
        assert kept.dtype == np.float64
        assert np.isfinite(kept).all()
        line = next(read_lines(finished.interpretations))
        assert [influence["index"] for influence in line["helpful"]] == list(
            np.argsort(-kept[0], kind="stable")[:3]
        )

    def test_model_archive_holds_what_the_reader_learnt(self, tmp_path: Path) -> None:
        config = write_table(tmp_path)
        archive = load_archive(run(config, tmp_path / "run").directory / "model")
        reader = DatasetReader.from_config(TABLE_READER)
        reader.read(str(tmp_path / "train.csv"))
        assert "yes" in json.dumps(reader.state())
        assert archive.config["dataset_reader_state"] == json.loads(json.dumps(reader.state()))
        assert archive.config["dataset_reader"]["type"] == "csv"
        assert archive.training["weight_decay"] == 0.1

    def test_metrics(self, finished: FinishedInterpretations) -> None:
        metrics = metrics_of(finished.directory)
        queries = len(list(read_lines(finished.interpretations)))
        assert metrics["complete"] is True
        assert metrics["command"] == "interpret"
        assert metrics["interpreter"] == "exact"
        assert metrics["queries"] == queries
        assert metrics["training_examples"] == 40
        assert metrics["damping"] == 0.01
        assert metrics["parameters"] == {"covered": 62, "share": 1.0}
        assert metrics["negative_eigenvalues"] == 0
        assert metrics["stopped_early"] == 0
        assert [stage["name"] for stage in metrics["stages"]] == [
            "reading data",
            "model",
            "fitting the interpreter",
            "interpreting",
            "self-influence",
        ]
        epochs = metrics["training"]["epochs"]
        assert [stage["examples"] for stage in metrics["stages"]] == [
            *(40 + queries, 40 * epochs, 40, queries, 40),
        ]
        for stage in metrics["stages"]:
            assert stage["seconds"] > 0
            assert stage["examples_per_second"] > 0
            assert stage["peak_memory_bytes"] > 1_000_000
            assert stage["peak_gpu_memory_bytes"] is None or stage["peak_gpu_memory_bytes"] >= 0

    def test_iterative_solver_has_residuals(self, tmp_path: Path) -> None:
        interpreter = {"type": "simple-influence", "query_batch_size": 8, "damping": 0.1}
        config = write_config(tmp_path / "config.json", interpreter=interpreter)
        done = run(config, tmp_path / "run")
        residuals = sorted(
            line["diagnostics"]["relative_residual"] for line in read_lines(done.interpretations)
        )
        assert metrics_of(done.directory)["relative_residual"] == {
            "median": residuals[len(residuals) // 2],
            "largest": residuals[-1],
        }

    def test_log(self, finished: FinishedInterpretations) -> None:
        log = (finished.directory / "log.txt").read_text()
        for text in (": started with hessinf", ": trained: loss", ": interpreting: ", ": finished"):
            assert text in log
        assert " WARNING " not in log


class TestSameBytes:
    def test_same_config_again(self, config: Path, tmp_path: Path, expected: bytes) -> None:
        assert run(config, tmp_path / "run").interpretations.read_bytes() == expected

    def test_resolved_config(
        self, finished: FinishedInterpretations, tmp_path: Path, expected: bytes, capsys: Any
    ) -> None:
        resolved = finished.directory / "config.json"
        status = main(["interpret", str(resolved), "-s", str(tmp_path / "again")])
        assert status == 0, capsys.readouterr().err
        assert (tmp_path / "again" / "interpretations.jsonl").read_bytes() == expected
        written = tmp_path / "again" / "config.json"
        assert json.loads(written.read_text()) == json.loads(resolved.read_text())

    def test_other_block_size_up_to_rounding(
        self, tmp_path: Path, finished: FinishedInterpretations
    ) -> None:
        interpreter = {**CONFIG["interpreter"], "query_batch_size": 64, "batch_size": 7}
        config = write_config(tmp_path / "config.json", interpreter=interpreter, scores="zarr")
        other = run(config, tmp_path / "run").directory
        np.testing.assert_allclose(
            zarr.open_array(other / "scores.zarr")[:],
            zarr.open_array(finished.directory / "scores.zarr")[:],
            rtol=1e-9,
        )


class TestResume:
    def test_complete_run_is_left_as_it_is(self, config: Path, tmp_path: Path, capsys: Any) -> None:
        arguments = ["interpret", str(config), "-s", str(tmp_path / "run"), "-r"]
        assert main(arguments) == 0
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
        first = capsys.readouterr().out
        assert main(arguments) == 0
        assert capsys.readouterr().out == first.replace(": finished\n", ": finished before\n")
        after = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
        assert after == before

    def test_nothing_that_is_done_is_done_again(
        self, config: Path, tmp_path: Path, monkeypatch: Any, expected: bytes
    ) -> None:
        done = run(config, tmp_path / "run")
        (done.directory / "metrics.json").unlink()
        done.interpretations.unlink()
        for cls in (Exact, Trainer):
            monkeypatch.setattr(cls, "fit", _must_not_be_called)
        assert run(config, tmp_path / "run", resume=True).interpretations.read_bytes() == expected
        log = (done.directory / "log.txt").read_text()
        assert "the model of this run is trained already" in log
        assert f"influence factors reused from {done.directory / 'factors'}" in log
        stages = metrics_of(done.directory)["stages"]
        assert [stage["examples"] for stage in stages[1:3]] == [None, None]

    def test_lost_results_are_made_again(
        self, config: Path, tmp_path: Path, expected: bytes
    ) -> None:
        done = run(config, tmp_path / "run")
        done.interpretations.unlink()
        again = run(config, tmp_path / "run", resume=True)
        assert not again.was_complete
        assert again.interpretations.read_bytes() == expected

    def test_shards_that_a_kill_left_are_removed(self, config: Path, tmp_path: Path) -> None:
        done = run(config, tmp_path / "run")
        (done.directory / "shards").mkdir()
        assert run(config, tmp_path / "run", resume=True).was_complete
        assert not (done.directory / "shards").exists()

    @pytest.mark.parametrize("damage", ["fingerprint", "tensors", "record"])
    def test_factors_of_something_else_are_fitted_again(
        self, config: Path, tmp_path: Path, damage: str, expected: bytes
    ) -> None:
        done = run(config, tmp_path / "run")
        (done.directory / "metrics.json").unlink()
        done.interpretations.unlink()
        factors = done.directory / "factors"
        if damage == "fingerprint":
            record = json.loads((factors / "interpreter.json").read_text())
            record["fingerprint"]["version"] += 1
            (factors / "interpreter.json").write_text(json.dumps(record))
        elif damage == "tensors":
            (factors / "factors.safetensors").write_bytes(b"half of it")
        else:
            (factors / "interpreter.json").unlink()
        assert run(config, tmp_path / "run", resume=True).interpretations.read_bytes() == expected
        said = "; fitting again" if damage == "tensors" else "belong to something else"
        assert said in (done.directory / "log.txt").read_text()
        assert metrics_of(done.directory)["stages"][2]["examples"] == 40

    def test_changed_data_are_refused(self, tmp_path: Path) -> None:
        config = write_table(tmp_path)
        done = run(config, tmp_path / "run")
        (done.directory / "metrics.json").unlink()
        files = {path: path.read_bytes() for path in done.directory.rglob("*") if path.is_file()}
        with open(tmp_path / "test.csv", "a") as table:
            table.write("3,3,yes\n")
        with pytest.raises(ChangedDataError) as refused:
            run(config, done.directory, resume=True)
        assert str(refused.value).startswith(
            f"the test data have changed since the run in {done.directory} was started (then 6 "
            "examples, sha256 "
        )
        assert str(refused.value).endswith("; put the earlier data back, or replace the run (-f)")
        assert refused.value.exit_status == 2
        assert files == {path: path.read_bytes() for path in files}

    def test_after_train(self, config: Path, tmp_path: Path, monkeypatch: Any) -> None:
        assert main(["train", str(config), "-s", str(tmp_path / "run")]) == 0
        monkeypatch.setattr(Trainer, "fit", _must_not_be_called)
        done = run(config, tmp_path / "run", resume=True)
        assert not done.was_complete
        assert len(list(read_lines(done.interpretations))) == metrics_of(done.directory)["queries"]
        data = json.loads((done.directory / "provenance.json").read_text())["data"]
        assert data["test"]["examples"] == metrics_of(done.directory)["queries"]


def _must_not_be_called(*_: Any, **__: Any) -> None:
    raise AssertionError("this was done already")
