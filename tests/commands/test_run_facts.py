"""What ``interpret`` records beside the lists: suspects, eigenvalues, names, warnings, the page."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessinf.commands import interpret_run, report_run
from hessinf.commands.interpret_run import FinishedInterpretations, interpret
from hessinf.commands.run_config import load_checked_config
from hessinf.commands.run_log import log_to, warnings_of
from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.models import load_archive
from hessinf.runtime.json_lines import json_line, read_lines

CONFIG: dict[str, Any] = {
    "dataset_reader": {"type": "synthetic", "kind": "ring", "train_size": 24, "test_size": 6},
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "mlp", "hidden_sizes": [4], "activation": "tanh"},
    "objective": "binary-cross-entropy",
    "trainer": {"optimizer": "lbfgs", "epochs": 12, "weight_decay": 0.04},
    "interpreter": {"type": "ekfac", "damping": 0.1, "query_batch_size": 4},
    "top_k": 3,
    "device": "cpu",
    "seed": 1,
}


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., FinishedInterpretations]:
    """Return a function that runs a config with changes, in the same directory each time."""

    def run(resume: bool = False, **changes: Any) -> FinishedInterpretations:
        file = tmp_path / "config.json"
        file.write_text(json.dumps({**CONFIG, **changes}))
        return interpret(
            load_checked_config(file), tmp_path / "run", force=not resume, resume=resume
        )

    return run


def ranking(run: FinishedInterpretations) -> list[dict[str, Any]]:
    return list(read_lines(run.directory / "self_influence.jsonl"))


class TestSelfInfluence:
    def test_ranks_all_training_examples(self, start: Any) -> None:
        run = start()
        lines = ranking(run)
        assert [line["rank"] for line in lines] == list(range(24))
        assert sorted(line["index"] for line in lines) == list(range(24))
        assert list(lines[0]) == [
            *("rank", "index", "id", "display", "self_influence", "loss", "target"),
        ]
        values = [line["self_influence"] for line in lines]
        assert values == sorted(values, reverse=True)
        assert run.metrics["self_influence"] == {"computed": True, "ranked_by": "self-influence"}

    def test_is_what_the_command_of_that_name_writes(self, start: Any, cli: Any) -> None:
        run = start()
        config = run.directory.parent / "config.json"
        assert cli(f"self-influence {config} -s own").status == 0
        assert ranking(run) == list(read_lines(Path("own/self_influence.jsonl")))
        found = json.loads(Path("own/metrics.json").read_text())
        for key in ("self_influence", "label_names", "interpreter", "measurement", "warnings"):
            assert found[key] == run.metrics[key]

    @pytest.mark.parametrize(
        ("interpreter", "reason"),
        [
            (
                {"type": "conjugate-gradient", "damping": 0.1},
                "each training example would take an iterative solve; ask for it with "
                '"self_influence": true',
            ),
            ({"type": "gradient-cosine"}, "the cosine of any gradient with itself is 1"),
        ],
    )
    def test_losses_rank_where_it_is_not_computed(
        self, start: Any, interpreter: dict[str, Any], reason: str
    ) -> None:
        run = start(interpreter=interpreter)
        lines = ranking(run)
        assert {line["self_influence"] for line in lines} == {None}
        losses = [line["loss"] for line in lines]
        assert losses == sorted(losses, reverse=True)
        assert run.metrics["self_influence"] == {
            "computed": False,
            "ranked_by": "loss",
            "reason": reason,
        }
        assert run.metrics["stages"][-1]["name"] == "self-influence"
        assert run.metrics["stages"][-1]["examples"] is None
        assert run.metrics["warnings"] == []

    def test_when_asked_for(self, start: Any) -> None:
        run = start(interpreter={"type": "conjugate-gradient", "damping": 0.1}, self_influence=True)
        assert run.metrics["self_influence"] == {"computed": True, "ranked_by": "self-influence"}
        module = load_archive(run.directory / "model").module
        data = load_checked_config(run.directory / "config.json").build().dataset_reader
        interpreter = InfluenceInterpreter.load(
            run.directory / "factors", module, data.read("train")
        )
        expected = np.sort(interpreter.self_influence())[::-1]
        np.testing.assert_allclose([one["self_influence"] for one in ranking(run)], expected)

    def test_when_refused(self, start: Any) -> None:
        run = start(self_influence=False)
        assert run.metrics["self_influence"] == {
            "computed": False,
            "ranked_by": "loss",
            "reason": 'the config says "self_influence": false',
        }

    def test_a_method_that_cannot(self, start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_: Any) -> Any:
            raise InterpreterError("not for me")

        monkeypatch.setattr(InfluenceInterpreter, "self_influence", fail)
        run = start()
        assert run.metrics["self_influence"]["reason"] == "not for me"
        assert run.metrics["warnings"] == ["no self-influence: not for me"]
        assert run.metrics["complete"] is True
        with pytest.raises(InterpreterError, match=r"^not for me$"):
            start(self_influence=True)

    def test_an_error_of_a_plugin_is_named(
        self, start: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: Any) -> Any:
            raise KeyError("weight")

        monkeypatch.setattr(InfluenceInterpreter, "self_influence", fail)
        assert start().metrics["self_influence"]["reason"] == "KeyError: 'weight'"


class TestSpectrum:
    def test_is_written_where_it_is_known(self, start: Any) -> None:
        run = start()
        found = json.loads((run.directory / "spectrum.json").read_text())
        assert found["curvature"] == "EK-FAC, type-2 Fisher"
        assert found["complete"] is True
        assert [block["count"] for block in found["blocks"]] == [12, 5]
        for block in found["blocks"]:
            assert block["ranks"] == list(range(1, block["count"] + 1))
            assert block["eigenvalues"] == sorted(block["eigenvalues"], reverse=True)
            assert block["damping"] == 0.1

    def test_is_not_where_it_is_not(self, start: Any) -> None:
        run = start(interpreter={"type": "gradient-dot"})
        assert not (run.directory / "spectrum.json").exists()

    def test_checkpoints_show_none(self, start: Any) -> None:
        """Each has a curvature of its own."""
        run = start()
        kept = run.directory.parent / "model"
        (run.directory / "model").rename(kept)
        interpreter = {"type": "ekfac", "damping": 0.1, "checkpoints": [str(kept)]}
        again = start(interpreter=interpreter)
        assert not (again.directory / "spectrum.json").exists()
        assert again.metrics["self_influence"]["computed"] is True


class TestMetrics:
    def test_names(self, start: Any) -> None:
        metrics = start(measurement="margin").metrics
        assert metrics["label_names"] == ["inside", "outside"]
        assert metrics["measurement"] == {"type": "margin", "higher_is_better": True}

    def test_warnings_of_an_earlier_part_of_the_run(self, start: Any) -> None:
        run = start(interpreter={"type": "exact", "damping": 1e-4})
        (warning,) = run.metrics["warnings"]
        assert warning.startswith("the damped curvature is not positive definite: ")
        (run.directory / "metrics.json").unlink()
        run.interpretations.unlink()
        again = start(interpreter={"type": "exact", "damping": 1e-4}, resume=True)
        assert not again.was_complete
        assert again.metrics["warnings"] == [warning]


class TestPage:
    def test_is_written_last(self, start: Any) -> None:
        run = start()
        assert (run.directory / "report.html").read_text().lower().startswith("<!doctype html>")

    def test_unless_refused(self, start: Any) -> None:
        assert not (start(report=False).directory / "report.html").exists()

    def test_plots_are_beside_it(self, start: Any) -> None:
        folder = start(report=True).directory
        assert (folder / "plots" / "self_influence.svg").exists()
        assert (folder / "plots" / "self_influence.png").exists()
        assert not (start(report="page").directory / "plots").exists()

    def test_a_failure_is_a_warning(
        self, start: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: Any, **__: Any) -> Any:
            raise OSError("no room")

        monkeypatch.setattr(report_run, "write_report", fail)
        run = start()
        assert run.metrics["complete"] is True
        assert not (run.directory / "report.html").exists()
        (said,) = (one.getMessage() for one in caplog.records if one.levelname == "WARNING")
        assert "(OSError: no room); the results are complete" in said
        assert said.endswith(f"hessinf report {run.directory} writes it again")

    def test_one_that_was_lost_is_written_again(
        self, start: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = start()
        page = run.directory / "report.html"
        before = page.read_bytes()
        page.rename(page.with_name(f".{page.name}.1234.unfinished"))  # as a kill leaves it
        assert start(resume=True).was_complete
        assert page.read_bytes() == before
        assert not list(run.directory.glob(".*"))
        monkeypatch.setattr(interpret_run, "try_report", _must_not_be_called)
        assert start(resume=True).was_complete

    def test_a_replaced_run_is_named_by_its_final_place(
        self, start: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folders = []
        monkeypatch.setattr(
            interpret_run, "try_report", lambda folder, with_plots: folders.append(folder)
        )
        first, second = start(), start()
        assert folders == [first.directory, second.directory]
        assert first.directory == second.directory


class TestRunsOfBefore:
    """Runs of versions that knew fewer keys."""

    LATER = ("self_influence", "report", "token_influence")

    def older(self, run: FinishedInterpretations) -> None:
        """Make a run look as if an earlier version had left it, stopped half-way."""
        config = json.loads((run.directory / "config.json").read_text())
        (run.directory / "config.json").write_text(
            json.dumps({key: value for key, value in config.items() if key not in self.LATER})
        )
        lines = list(read_lines(run.interpretations))
        for line in lines:
            del line["scores"], line["query"]["probability"]
        for name in ("metrics.json", "self_influence.jsonl", "spectrum.json", "report.html"):
            (run.directory / name).unlink()
        (run.directory / "shards").mkdir()
        shard = run.directory / "shards" / "interpretations-00000000-00000004.jsonl"
        shard.write_text("".join(json_line(line) for line in lines[:4]))

    def test_are_resumed(self, start: Any) -> None:
        run = start()
        whole = list(read_lines(run.interpretations))
        self.older(run)
        again = start(resume=True)
        assert not again.was_complete
        lines = list(read_lines(again.interpretations))
        assert ["scores" in line for line in lines] == [False] * 4 + [True] * 2
        assert lines[4:] == whole[4:]
        assert [line["helpful"] for line in lines] == [line["helpful"] for line in whole]
        for name in ("self_influence.jsonl", "spectrum.json", "report.html"):
            assert (again.directory / name).exists()

    def test_say_what_differs(self, start: Any) -> None:
        self.older(start())
        with pytest.raises(Exception, match=r"was started with another config") as refused:
            start(resume=True, self_influence=False)
        assert 'self_influence: then "auto", now false' in str(refused.value)


class TestWarningsOfALog:
    def test_in_order_each_once(self, tmp_path: Path) -> None:
        log = tmp_path / "log.txt"
        logger = logging.getLogger("hessinf.tests")
        with log_to(log):
            logger.warning("first")
            logger.info("no warning")
            logger.warning("of two lines,\n  WARNING as it is")
            logger.warning("first")
        with pytest.raises(KeyboardInterrupt), log_to(log):
            raise KeyboardInterrupt
        with log_to(log):
            logger.error("an error\n2026-01-01 no entry")
            logger.warning("last\u2028of all, \x1b[31mred")
            logger.warning("")
        assert warnings_of(log) == [
            "first",
            "of two lines,\n  WARNING as it is",
            "last\u2028of all, \x1b[31mred",
            "",
        ]

    def test_of_an_odd_log(self, tmp_path: Path) -> None:
        log = tmp_path / "log.txt"
        log.write_bytes(
            b"a line of nobody\n\xff\n2026-01-01 00:00:00,000 WARNING hessinf.x: \xe9\n"
        )
        assert warnings_of(log) == ["\ufffd"]


def test_planted_labels_lead_the_ranking(tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "configs" / "digits" / "noisy.jsonnet"
    run = interpret(load_checked_config(config, settings=["device=cpu"]), tmp_path / "run")
    planted = run.metrics["flipped_labels"]
    assert len(planted) == 81  # 5 % of 1,617
    lines = ranking(run)
    assert sum(line["index"] in planted for line in lines[:20]) >= 16
    flipped = [line["index"] for line in lines if "flipped_from" in line["display"]]
    assert sorted(flipped) == sorted(planted)


def _must_not_be_called(*_: Any, **__: Any) -> None:
    raise AssertionError("this was done already")
