"""The stages that runs are made of, each by itself."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from hessinf.commands.full_disk import FullDiskError
from hessinf.commands.run import (
    choose_device,
    fit_or_restore,
    make_interpreter,
    make_model,
    metrics_of_failure,
    read_data,
    run_directory,
    train_or_load,
    write_metrics,
)
from hessinf.commands.run_config import CheckedConfig, load_checked_config
from hessinf.commands.run_directory import RunDirectory, RunDirectoryError
from hessinf.commands.stages import Stage, Stages
from hessinf.errors import HessinfError
from hessinf.interpreters.exact import Exact
from hessinf.registry import ConfigError

CONFIG: dict[str, Any] = {
    "dataset_reader": {"type": "synthetic", "kind": "ring", "train_size": 20, "test_size": 4},
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "mlp", "hidden_sizes": [3], "activation": "tanh"},
    "objective": "binary-cross-entropy",
    "trainer": {"optimizer": "lbfgs", "epochs": 6, "weight_decay": 0.04},
    "interpreter": {"type": "exact", "damping": 0.1},
}

CPU = torch.device("cpu")


def checked(folder: Path, **changes: Any) -> CheckedConfig:
    content = {**CONFIG, **changes}
    file = folder / "config.json"
    file.write_text(
        json.dumps({key: content[key] for key in content if content[key] != "left out"})
    )
    return load_checked_config(file)


def problem(error: pytest.ExceptionInfo[ConfigError]) -> tuple[str, str]:
    (found,) = error.value.problems
    return found.path, found.message


class TestChooseDevice:
    def test_auto(self, tmp_path: Path, monkeypatch: Any) -> None:
        config = checked(tmp_path).build()
        for there, chosen in ((True, "cuda"), (False, "cpu")):
            monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
            assert choose_device(config) == torch.device(chosen)

    @pytest.mark.parametrize(
        ("device", "count", "said"),
        [
            ("cuda", 0, "none"),
            ("cuda:1", 1, "1"),
        ],
    )
    def test_gpu_that_is_not_there(
        self, tmp_path: Path, monkeypatch: Any, device: str, count: int, said: str
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        with pytest.raises(ConfigError) as error:
            choose_device(checked(tmp_path, device=device).build())
        assert problem(error) == (
            "device",
            f'"{device}" asks for a GPU, and PyTorch sees {said} here; use "cpu" or "auto"',
        )

    def test_gpu_that_is_there(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        assert choose_device(checked(tmp_path, device="cuda:1").build()) == torch.device("cuda:1")


class TestReadData:
    def test_splits(self, tmp_path: Path) -> None:
        config = checked(tmp_path, validation_data_path="test").build()
        data = read_data(config, test=True)
        assert (len(data.train), len(data.test or ()), len(data.validation or ())) == (20, 4, 4)
        assert read_data(config, test=False).test is None

    def test_no_queries(self, tmp_path: Path) -> None:
        config = checked(tmp_path, test_data_path="left out").build()
        with pytest.raises(ConfigError) as error:
            read_data(config, test=True)
        assert problem(error) == ("test_data_path", "missing: which examples are the queries?")

    def test_queries_of_another_kind(self, tmp_path: Path) -> None:
        other = {"type": "breast-cancer"}
        with pytest.raises(HessinfError) as error:
            read_data(checked(tmp_path, test_dataset_reader=other).build(), test=True)
        assert str(error.value) == (
            "the inputs of the test data have shape [30], those of the training data [2]; are both "
            "read with the same columns?"
        )

    def test_another_reader_of_the_same_kind_takes_over_what_was_learnt(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "train.csv").write_text("a,label\n0,no\n2,yes\n")
        (tmp_path / "test.csv").write_text("a;label\n4;yes\n")
        data = read_data(
            checked(
                tmp_path,
                dataset_reader={"type": "csv", "target": "label"},
                test_dataset_reader={"type": "csv", "target": "label", "delimiter": ";"},
                train_data_path=str(tmp_path / "train.csv"),
                test_data_path=str(tmp_path / "test.csv"),
            ).build(),
            test=True,
        )
        assert data.test is not None
        train = [float(instance.inputs) for instance in data.train]
        assert float(data.test[0].inputs) == pytest.approx(2 * train[1] - train[0])
        assert data.test.label_names == data.train.label_names == ("no", "yes")


class TestModel:
    def test_nobody_trains_it(self, tmp_path: Path) -> None:
        config = checked(tmp_path, trainer=None).build()
        with pytest.raises(ConfigError) as error:
            make_model(config, read_data(config, test=True))
        assert problem(error) == (
            "trainer",
            'missing: the model would not be trained; give a trainer ("trainer": {}), weights '
            '("model.weights"), or an archive ("model": {"type": "archive", "path": ...})',
        )

    def test_trained_once(self, tmp_path: Path) -> None:
        config = checked(tmp_path)
        built = config.build()
        data = read_data(built, test=True)
        (tmp_path / "provenance.json").write_text('{"hessinf": null}')
        stages = [Stage("model"), Stage("model")]
        trained, record = train_or_load(built, config, data, tmp_path, CPU, stages[0])
        loaded, again = train_or_load(built, config, data, tmp_path, CPU, stages[1])
        assert record == again
        for name, tensor in trained.state_dict().items():
            assert torch.equal(tensor, loaded.state_dict()[name])
        assert [stage.examples for stage in stages] == [20 * record["epochs"], None]

    @pytest.mark.parametrize(
        ("key", "said", "recorded"),
        [("weight_decay", 0.5, 0.04), ("training_reduction", "sum", "mean")],
    )
    def test_config_contradicts_training(
        self, tmp_path: Path, key: str, said: Any, recorded: Any
    ) -> None:
        config = checked(tmp_path, **{key: said}).build()
        data = read_data(config, test=True)
        module = make_model(config, data).module
        record = {"weight_decay": 0.04, "reduction": "mean"}
        with pytest.raises(ConfigError) as error:
            make_interpreter(config, module, record, data, CPU)
        assert problem(error) == (
            key,
            f"{said} contradicts the record of training, {recorded}; leave it out",
        )

    def test_config_says_what_nobody_recorded(self, tmp_path: Path) -> None:
        config = checked(
            tmp_path,
            weight_decay=0.5,
            training_reduction="sum",
            data_loader={"batch_size": 7},
        ).build()
        data = read_data(config, test=True)
        interpreter = make_interpreter(config, make_model(config, data).module, {}, data, CPU)
        assert interpreter.weight_decay == 0.5
        assert interpreter.training_reduction == "sum"
        assert interpreter.batch_size == 7


class TestFitOrRestore:
    def test_scores_are_the_same_bytes_whether_fitted_or_restored(
        self, tmp_path: Path, monkeypatch: Any
    ) -> None:
        config = checked(tmp_path).build()
        data = read_data(config, test=True)
        module = make_model(config, data).module
        fitted, restored = (make_interpreter(config, module, {}, data, CPU) for _ in range(2))
        assert fit_or_restore(fitted, tmp_path) is True
        monkeypatch.setattr(Exact, "fit", None)
        assert fit_or_restore(restored, tmp_path) is False
        assert fitted.scores(data.test).tobytes() == restored.scores(data.test).tobytes()

    @pytest.mark.parametrize("changed", ["damping", "model", "data"])
    def test_factors_of_something_else(self, tmp_path: Path, changed: str) -> None:
        config = checked(tmp_path).build()
        data = read_data(config, test=True)
        module = make_model(config, data).module
        assert fit_or_restore(make_interpreter(config, module, {}, data, CPU), tmp_path)
        if changed == "damping":
            interpreter = {"type": "exact", "damping": 0.2}
            config = checked(tmp_path, interpreter=interpreter).build()
        elif changed == "model":
            config = checked(tmp_path, seed=5).build()
            module = make_model(config, data).module
        else:
            reader = {**CONFIG["dataset_reader"], "train_size": 21}
            config = checked(tmp_path, dataset_reader=reader).build()
            data = read_data(config, test=True)
        assert fit_or_restore(make_interpreter(config, module, {}, data, CPU), tmp_path)
        assert not fit_or_restore(make_interpreter(config, module, {}, data, CPU), tmp_path)


class TestRunDirectory:
    def test_log_is_written_from_python_too(self, tmp_path: Path, monkeypatch: Any) -> None:
        root = logging.getLogger("hessinf")
        monkeypatch.setattr(root, "level", logging.NOTSET)
        root.manager._clear_cache()  # levels are remembered
        config = checked(tmp_path)
        built = config.build()
        data = read_data(built, test=True)
        handlers = list(root.handlers)
        with run_directory(RunDirectory(tmp_path / "run"), config, built, data, CPU):
            logging.getLogger("hessinf.data").info("something was done")
        assert "INFO hessinf.data: something was done" in (tmp_path / "run/log.txt").read_text()
        assert root.level == logging.NOTSET
        assert root.handlers == handlers

    def test_config_is_checked_before_anything_is_touched(self, tmp_path: Path) -> None:
        config = checked(tmp_path)
        data = read_data(config.build(), test=True)
        with run_directory(RunDirectory(tmp_path / "run"), config, config.build(), data, CPU):
            pass
        other = checked(tmp_path, seed=9)
        directory = RunDirectory(tmp_path / "run", resume=True)
        with (
            pytest.raises(RunDirectoryError, match="seed: then 0, now 9"),
            run_directory(directory, other, other.build(), data, CPU),
        ):
            pass

    def test_run_that_was_killed_before_its_config_was_written_gets_one(
        self, tmp_path: Path
    ) -> None:
        config = checked(tmp_path)
        data = read_data(config.build(), test=True)
        for resume in (False, True):
            directory = RunDirectory(tmp_path / "run", resume=resume)
            with run_directory(directory, config, config.build(), data, CPU) as folder:
                assert (folder / "config.json").exists()
            (folder / "config.json").unlink()

    @pytest.mark.parametrize("number", [28, 122, 27])
    def test_full_disk(self, tmp_path: Path, number: int) -> None:
        config = checked(tmp_path)
        data = read_data(config.build(), test=True)
        directory = RunDirectory(tmp_path / "run")
        with (
            pytest.raises(FullDiskError, match="no space left for the results in"),
            run_directory(directory, config, config.build(), data, CPU),
        ):
            raise OSError(number, "no space")

    def test_other_errors_stay_what_they_are(self, tmp_path: Path) -> None:
        config = checked(tmp_path)
        data = read_data(config.build(), test=True)
        directory = RunDirectory(tmp_path / "run")
        with (
            pytest.raises(PermissionError),
            run_directory(directory, config, config.build(), data, CPU),
        ):
            raise PermissionError(13, "not yours")


class TestMetrics:
    def test_what_is_not_finite_becomes_text(self, tmp_path: Path) -> None:
        values = {"damping": float("nan"), "inner": [{"loss": float("-inf")}, (1.5, None, True)]}
        write_metrics(tmp_path, Stages(), values, complete=True)
        assert json.loads((tmp_path / "metrics.json").read_text()) == {
            "complete": True,
            "damping": "nan",
            "inner": [{"loss": "-inf"}, [1.5, None, True]],
            "stages": [],
        }

    def test_of_a_failure(self, tmp_path: Path) -> None:
        stages = Stages()
        with pytest.raises(RuntimeError), metrics_of_failure(tmp_path, stages):
            raise RuntimeError
        assert json.loads((tmp_path / "metrics.json").read_text()) == {
            "complete": False,
            "stages": [],
        }

    def test_of_a_failure_after_completion_stay(self, tmp_path: Path) -> None:
        write_metrics(tmp_path, Stages(), {"queries": 3}, complete=True)
        with pytest.raises(RuntimeError), metrics_of_failure(tmp_path, Stages()):
            raise RuntimeError
        assert json.loads((tmp_path / "metrics.json").read_text())["queries"] == 3
