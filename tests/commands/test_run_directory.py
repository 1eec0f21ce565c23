"""Who may write a run's directory, and what is refused in which words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hessinf.commands.run_directory import (
    RunDirectory,
    RunDirectoryError,
    differences,
    is_complete,
    is_run,
)


def make_run(path: Path, text: str = "earlier", **config: Any) -> Path:
    """Write what a complete run leaves."""
    path.mkdir(parents=True)
    (path / "provenance.json").write_text('{"hessinf": "0.1.0"}')
    (path / "config.json").write_text(json.dumps(config))
    (path / "metrics.json").write_text('{"complete": true}')
    (path / "interpretations.jsonl").write_text(text)
    return path


def finish(directory: RunDirectory, text: str = "new", **config: Any) -> None:
    """Write a complete run through a :class:`RunDirectory`."""
    with directory.open() as folder:
        start(folder, **config)
        (folder / "interpretations.jsonl").write_text(text)
        (folder / "metrics.json").write_text('{"complete": true}')


def start(folder: Path, **config: Any) -> None:
    (folder / "provenance.json").write_text('{"hessinf": "0.1.0"}')
    (folder / "config.json").write_text(json.dumps(config))


def abandon(directory: RunDirectory, error: type[BaseException], **config: Any) -> None:
    """Begin a run, and fail."""
    with directory.open() as folder:
        start(folder, **config)
        (folder / "half").write_text("")
        raise error


def refusal(path: str | Path, **options: bool) -> str:
    with pytest.raises(RunDirectoryError) as refused:
        RunDirectory(path, **options)
    assert refused.value.exit_status == 2
    return str(refused.value)


class TestRefusals:
    @pytest.mark.parametrize("options", [{}, {"force": True}, {"resume": True}])
    @pytest.mark.parametrize("name", ["thesis.tex", ".notes", "config.json"])
    def test_directory_of_somebody_else(
        self, tmp_path: Path, name: str, options: dict[str, bool]
    ) -> None:
        (tmp_path / name).write_text("{}")
        assert refusal(tmp_path, **options) == (
            f"{tmp_path} is not empty and no run of hessinf's (it has no provenance.json); it is "
            "left as it is: choose another directory with -s"
        )
        assert [entry.name for entry in tmp_path.iterdir()] == [name]

    def test_provenance_of_something_else_is_no_run(self, tmp_path: Path) -> None:
        (tmp_path / "provenance.json").write_text('{"artist": "Vermeer"}')
        assert "no run of hessinf's" in refusal(tmp_path, force=True)

    @pytest.mark.parametrize("options", [{}, {"force": True}, {"resume": True}])
    def test_file(self, tmp_path: Path, options: dict[str, bool]) -> None:
        file = tmp_path / "results"
        file.write_text("mine")
        assert refusal(file, **options) == (
            f"{file} is a file, expected a directory for the results (-s)"
        )

    def test_earlier_run(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run")
        assert refusal(run) == (
            f"{run} holds an earlier run; go on with it (-r), replace it (-f), or choose another "
            "directory with -s"
        )

    def test_nothing(self) -> None:
        assert refusal("") == '-s is "", expected a directory for the results'

    def test_name_that_no_file_can_have(self) -> None:
        name = "a" * 300
        assert refusal(name) == f"-s is {name}: File name too long"

    def test_name_that_is_no_utf8(self) -> None:
        assert refusal("\udcff") == "-s is \\udcff, which is no UTF-8 text"

    def test_place_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        directory = RunDirectory(tmp_path / "file" / "run")
        with pytest.raises(RunDirectoryError) as refused, directory.open():
            pass
        assert str(refused.value) == f"cannot write to {tmp_path / 'file' / 'run'}: Not a directory"


class TestPlaces:
    @pytest.mark.parametrize("name", ["results of today", "Ergebnisse-é-数", "a/b/c", "d/", "v1.0"])
    def test_names(self, tmp_path: Path, name: str) -> None:
        path = f"{tmp_path}/{name}"
        finish(RunDirectory(path), "1")
        finish(RunDirectory(path, force=True), "2")
        assert Path(path, "interpretations.jsonl").read_text() == "2"
        assert [entry.name for entry in Path(path).parent.iterdir()] == [Path(path).name]
        assert not Path(path, ".lock").exists()

    def test_relative(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        for force in (False, True):
            finish(RunDirectory("run", force=force))
        assert is_complete(tmp_path / "run")

    def test_working_directory(self, tmp_path: Path, monkeypatch: Any) -> None:
        folder = tmp_path / "run"
        folder.mkdir()
        monkeypatch.chdir(folder)
        finish(RunDirectory("."), "1")
        finish(RunDirectory(".", force=True), "2")
        assert (folder / "interpretations.jsonl").read_text() == "2"
        assert [entry.name for entry in tmp_path.iterdir()] == ["run"]

    def test_link_stays_a_link(self, tmp_path: Path) -> None:
        make_run(tmp_path / "run")
        (tmp_path / "latest").symlink_to("run")
        finish(RunDirectory(tmp_path / "latest", force=True))
        assert (tmp_path / "latest").is_symlink()
        assert (tmp_path / "run" / "interpretations.jsonl").read_text() == "new"

    @pytest.mark.parametrize("options", [{}, {"force": True}, {"resume": True}])
    def test_empty_or_missing_starts(self, tmp_path: Path, options: dict[str, bool]) -> None:
        for path in (tmp_path / "missing", tmp_path):
            directory = RunDirectory(path, **options)
            assert (directory.path, directory.resuming) == (path, False)

    def test_what_a_killed_start_left_is_nothing(self, tmp_path: Path) -> None:
        for name in (".lock", ".provenance.json.4711.unfinished"):
            (tmp_path / name).write_text("")
        finish(RunDirectory(tmp_path))
        assert not (tmp_path / ".provenance.json.4711.unfinished").exists()


class TestResume:
    def test_same_config(self, tmp_path: Path) -> None:
        directory = RunDirectory(make_run(tmp_path / "run", seed=0), resume=True)
        directory.check_config({"seed": 0})
        assert directory.resuming

    def test_every_difference_is_shown(self, tmp_path: Path) -> None:
        earlier = {"seed": 0, "model": {"type": "mlp", "hidden_sizes": [4]}, "top_k": 10, "gone": 1}
        run = make_run(tmp_path / "run", **earlier)
        before = {entry: entry.stat().st_mtime_ns for entry in [run, *run.iterdir()]}
        now = {"seed": 1, "model": {"type": "mlp", "hidden_sizes": [8]}, "top_k": 10, "new": True}
        with pytest.raises(RunDirectoryError) as refused:
            RunDirectory(run, resume=True).check_config(now)
        assert str(refused.value) == (
            f"{run} was started with another config; go on with the same one, replace the run "
            "(-f), or choose another directory:\n"
            "  seed: then 0, now 1\n"
            "  model.hidden_sizes: then [4], now [8]\n"
            "  gone: then 1, now null\n"
            "  new: then null, now true"
        )
        assert refused.value.exit_status == 2
        assert before == {entry: entry.stat().st_mtime_ns for entry in [run, *run.iterdir()]}

    def test_broken_config(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run")
        (run / "config.json").write_text("{")
        with pytest.raises(RunDirectoryError, match=f"cannot read {run}/config.json: Expecting"):
            RunDirectory(run, resume=True).check_config({})

    def test_run_that_was_killed_before_its_config_was_written(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run")
        (run / "config.json").unlink()
        directory = RunDirectory(run, resume=True)
        directory.check_config({"seed": 1})
        assert directory.resuming

    def test_an_int_is_no_float(self) -> None:
        """25 steps are not 25 epochs."""
        assert differences({"depth": 25}, {"depth": 25.0}) == ["depth: then 25, now 25.0"]
        assert differences({"damping": 0.5}, {"damping": 0.5}) == []


class TestReplace:
    def test_earlier_results_stay_whole_until_the_new_ones_are_there(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run")
        with RunDirectory(run, force=True).open() as folder:
            assert folder != run
            assert (run / "interpretations.jsonl").read_text() == "earlier"
            assert is_complete(run)
            start(folder)
        assert not (run / "interpretations.jsonl").exists()
        assert is_run(run)
        assert {entry.name for entry in run.iterdir()} == {"provenance.json", "config.json"}
        assert [entry.name for entry in tmp_path.iterdir()] == ["run"]

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_new_run_fails(self, tmp_path: Path, error: type[BaseException]) -> None:
        run = make_run(tmp_path / "run", seed=0)
        directory = RunDirectory(run, force=True)
        with pytest.raises(error):
            abandon(directory, error, seed=1)
        assert (run / "interpretations.jsonl").read_text() == "earlier"
        assert not (run / ".lock").exists()

        going_on = RunDirectory(run, resume=True)
        going_on.check_config({"seed": 1})
        assert (going_on.path, going_on.resuming) == (tmp_path / "run.new", True)
        with going_on.open() as folder:
            assert (folder / "half").exists()
        assert (run / "half").exists()

        anew = RunDirectory(run, force=True)
        with anew.open() as folder:
            assert not (folder / "half").exists()

    def test_failed_replacement_does_not_hide_the_earlier_run(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run", seed=0)
        with pytest.raises(RuntimeError):
            abandon(RunDirectory(run, force=True), RuntimeError, seed=1)
        directory = RunDirectory(run, resume=True)
        directory.check_config({"seed": 0})
        assert directory.path == run

    def test_replacement_that_was_complete_is_put_in_place(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run", seed=0)
        make_run(tmp_path / "run.new", "new", seed=1)
        (tmp_path / "run.new" / ".replacement").touch()
        directory = RunDirectory(run, resume=True)
        directory.check_config({"seed": 1})
        assert (directory.path, directory.resuming) == (run, True)
        assert (run / "interpretations.jsonl").read_text() == "new"
        assert [entry.name for entry in tmp_path.iterdir()] == ["run"]

    def test_a_run_of_that_name_is_not_overwritten(self, tmp_path: Path) -> None:
        run = make_run(tmp_path / "run")
        other = make_run(tmp_path / "run.new", "mine")
        with pytest.raises(RunDirectoryError) as refused, RunDirectory(run, force=True).open():
            pass
        assert str(refused.value) == (
            f"{other} is where the new run would be written before it replaces {run}, and "
            "something else is there; move it away"
        )
        assert (other / "interpretations.jsonl").read_text() == "mine"

    def test_place_that_cannot_be_renamed(self, tmp_path: Path, monkeypatch: Any) -> None:
        run = make_run(tmp_path / "run")
        replace = os.replace

        def busy(source: Any, target: Any) -> None:
            if Path(target) == run and Path(source).name == "run.new":
                raise OSError(16, "Device or resource busy")
            replace(source, target)

        monkeypatch.setattr(os, "replace", busy)
        with pytest.raises(RunDirectoryError) as failed:
            finish(RunDirectory(run, force=True))
        assert str(failed.value) == (
            f"the new run is finished, and cannot take the place of {run}: Device or resource "
            f"busy; it lies in {tmp_path / 'run.new'}"
        )
        assert (run / "interpretations.jsonl").read_text() == "earlier"


class TestTwoProcesses:
    def test_second_is_refused_and_the_lock_dies_with_the_first(self, tmp_path: Path) -> None:
        run = tmp_path / "run"
        program = (
            "import sys, time\n"
            "from hessinf.commands.run_directory import RunDirectory\n"
            "with RunDirectory(sys.argv[1]).open() as folder:\n"
            "    print('open', flush=True)\n"
            "    time.sleep(100)\n"
        )
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
        }
        first = subprocess.Popen(
            [sys.executable, "-c", program, str(run)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == "open\n"
            for options in ({}, {"resume": True}, {"force": True}):
                with pytest.raises(RunDirectoryError) as refused:
                    finish(RunDirectory(run, **options))
                assert str(refused.value) == (
                    f"another process is working in {run}; wait for it, or stop it"
                )
        finally:
            first.send_signal(signal.SIGKILL)
            first.wait()
        finish(RunDirectory(run, resume=True))
        assert is_complete(run)

    @pytest.mark.parametrize("options", [{"resume": True}, {"force": True}])
    def test_earlier_run_is_held_while_it_is_replaced(
        self, tmp_path: Path, options: dict[str, bool]
    ) -> None:
        run = make_run(tmp_path / "run")
        with RunDirectory(run, force=True).open() as folder:
            start(folder)
            with pytest.raises(RunDirectoryError, match="another process is working in"):
                finish(RunDirectory(run, **options))

    @pytest.mark.parametrize("options", [{}, {"resume": True}])
    def test_run_that_began_in_the_meantime(self, tmp_path: Path, options: dict[str, bool]) -> None:
        slow = RunDirectory(tmp_path / "run", **options)
        finish(RunDirectory(tmp_path / "run"))
        with pytest.raises(RunDirectoryError) as refused, slow.open():
            pass
        assert str(refused.value) == (
            f"another process has worked in {tmp_path / 'run'} in the meantime; start again"
        )


class TestIsComplete:
    @pytest.mark.parametrize(
        ("metrics", "expected"),
        [
            ('{"complete": true, "command": "train"}', True),
            ('{"complete": false}', False),
            ("{", False),
            ("[]", False),
        ],
    )
    def test_by_any_command(self, tmp_path: Path, metrics: str, expected: bool) -> None:
        (tmp_path / "metrics.json").write_text(metrics)
        assert is_complete(tmp_path) is expected
        assert not is_complete(tmp_path, "interpret")

    def test_by_its_command(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.json").write_text('{"complete": true, "command": "interpret"}')
        assert is_complete(tmp_path, "interpret")
