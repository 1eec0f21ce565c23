"""Runs that are killed at every moment at which they change a file, and go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hessinf.commands.run_directory import RunDirectory, RunDirectoryError, is_complete

DRIVER = Path(__file__).with_name("killed_run_driver.py")

EXACT = {"type": "exact", "damping": 0.1, "query_batch_size": 5}
SIMPLE_INFLUENCE = {
    "type": "simple-influence",
    "damping": 0.1,
    "query_batch_size": 5,
    "recursion_depth": {"steps": 6},
}

CONFIG = {
    "dataset_reader": {"type": "synthetic", "kind": "ring", "train_size": 24, "test_size": 12},
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "mlp", "hidden_sizes": [4], "activation": "tanh"},
    "objective": "binary-cross-entropy",
    "trainer": {"optimizer": "lbfgs", "epochs": 12, "weight_decay": 0.04},
    "interpreter": EXACT,
    "top_k": 3,
    "device": "cpu",
    "seed": 1,
    "report": "page",
}
"""Twelve queries in blocks of five: three shards, the last one short."""


class Driver:
    """Runs of the command line in processes that can be killed at a chosen moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "HESSINF_PROGRESS": "0",
                "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
            },
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def config(self, name: str, **changes: Any) -> Path:
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps({**CONFIG, **changes}))
        return file

    def run(self, *arguments: str | Path, kill_at: int | None = None) -> dict[str, Any]:
        """Run ``hessinf interpret``; moments are counted below ``run``."""
        return self.ask(
            argv=["interpret", *map(str, arguments)],
            folder=str(self.folder / "runs"),
            kill_at=kill_at,
            output=str(self.output),
        )

    def finish(self, *arguments: str | Path) -> list[str]:
        """Run to the end, and return the moments."""
        result = self.run(*arguments)
        assert result["status"] == 0, self.output.read_text()
        return result["moments"]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(tmp_path_factory.mktemp("killed"))
    try:
        for interpreter in (EXACT, SIMPLE_INFLUENCE):
            config = driver.config("warm-up", interpreter=interpreter)
            folder = driver.folder / "warm-up" / interpreter["type"]
            assert driver.ask(warm_up=["interpret", str(config), "-s", str(folder)])["status"] == 0
        yield driver
    finally:
        assert driver.process.stdin is not None
        driver.process.stdin.close()
        driver.process.wait(timeout=30)


@pytest.fixture
def runs(driver: Driver) -> Iterator[Path]:
    """Return the folder of runs, empty."""
    folder = driver.folder / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def assert_readable(run: Path, expected: bytes) -> None:
    """Check that what a killed run leaves is whole, as far as it goes."""
    published = run / "interpretations.jsonl"
    if published.exists():
        content = published.read_bytes()
        assert expected.startswith(content)
        assert all(json.loads(line)["query"] for line in content.splitlines())
        assert not content or content.endswith(b"\n")
    for name in ("config.json", "provenance.json", "metrics.json", "model/config.json"):
        if (run / name).exists():
            assert isinstance(json.loads((run / name).read_text()), dict)


def contents(run: Path) -> dict[str, bytes]:
    """Read what is beside the interpretations, and says nothing of time."""
    names = ("self_influence.jsonl", "spectrum.json")
    return {name: (run / name).read_bytes() for name in names if (run / name).exists()}


def assert_refused(run: Path) -> None:
    """Check that a plain start is refused, from the first file on that shows a run."""
    if (run / "provenance.json").exists():
        with pytest.raises(RunDirectoryError) as refused:
            RunDirectory(run)
        assert str(refused.value) == (
            f"{run} holds an earlier run; go on with it (-r), replace it (-f), or choose another "
            "directory with -s"
        )
    else:
        assert RunDirectory(run).resuming is False


class TestKilledAtEveryMoment:
    @pytest.mark.parametrize(
        ("interpreter", "scores", "step"),
        [(EXACT, "zarr", 1), (SIMPLE_INFLUENCE, None, 2)],
        ids=["exact", "simple-influence"],
    )
    def test_resumed_run_has_the_bytes_of_an_undisturbed_one(
        self,
        driver: Driver,
        runs: Path,
        interpreter: dict[str, Any],
        scores: str | None,
        step: int,
    ) -> None:
        config = driver.config("config", interpreter=interpreter, scores=scores)
        undisturbed = runs / "undisturbed"
        moments = driver.finish(config, "-s", undisturbed)
        expected = (undisturbed / "interpretations.jsonl").read_bytes()
        others = contents(undisturbed)
        assert expected.count(b"\n") == 12
        assert others["self_influence.jsonl"].count(b"\n") == 24
        assert ("spectrum.json" in others) == (interpreter is EXACT)
        names = {entry.name for entry in undisturbed.iterdir()}
        matrix = zarr.open_array(undisturbed / "scores.zarr")[:] if scores else None

        kills = 0
        for moment in range(1, len(moments) + 1, step):
            run = runs / f"killed {moment}"
            result = driver.run(config, "-s", run, kill_at=moment)
            if result["signal"] is None:  # it published less often, and was finished earlier
                assert result["status"] == 0, driver.output.read_text()
                continue
            assert result["signal"] == signal.SIGKILL
            kills += 1
            assert_readable(run, expected)
            assert_refused(run)
            again = "-f" if moment % 8 == 0 else "-r"
            driver.finish(config, "-s", run, again)
            assert (run / "interpretations.jsonl").read_bytes() == expected, moments[moment - 1]
            assert contents(run) == others, moments[moment - 1]
            assert {entry.name for entry in run.iterdir()} - {".lock"} == names
            if scores:
                np.testing.assert_array_equal(zarr.open_array(run / "scores.zarr")[:], matrix)
                assert np.isfinite(matrix).all()
                assert not list(run.rglob("*.partial"))
            shutil.rmtree(run)
        assert kills >= 20

    def test_killed_again_and_again(self, driver: Driver, runs: Path) -> None:
        """Every attempt dies a little later than the one before; nothing that is done is lost."""
        config = driver.config("config", scores="zarr")
        driver.finish(config, "-s", runs / "undisturbed")
        expected = (runs / "undisturbed" / "interpretations.jsonl").read_bytes()
        attempts = resumed = 0
        while True:
            # What is left of a run with all its results is tidied up, not resumed.
            resumed += attempts > 0 and not is_complete(runs / "run")
            result = driver.run(config, "-s", runs / "run", "-r", kill_at=21)
            if result["signal"] is None:
                break
            attempts += 1
            assert attempts < 20
        assert result["status"] == 0, driver.output.read_text()
        assert attempts >= 3
        assert (runs / "run" / "interpretations.jsonl").read_bytes() == expected
        provenance = json.loads((runs / "run" / "provenance.json").read_text())
        assert len(provenance["resumed"]) == resumed
        assert resumed >= 3


class TestReplacingIsKilled:
    """``-f``: the earlier results, or the new ones, are at DIR after every kill."""

    def test_at_every_moment(self, driver: Driver, runs: Path) -> None:
        earlier_config = driver.config("earlier", seed=2)
        config = driver.config("config")
        run = runs / "run"
        driver.finish(earlier_config, "-s", runs / "earlier")
        shutil.copytree(runs / "earlier", run)
        moments = driver.finish(config, "-s", run, "-f")
        earlier = (runs / "earlier" / "interpretations.jsonl").read_bytes()
        new = (run / "interpretations.jsonl").read_bytes()
        assert earlier != new
        shutil.rmtree(run)
        first_rename = next(
            place for place, moment in enumerate(moments, 1) if moment == "os.rename run"
        )
        between_renames = 0
        for moment in [*range(1, first_rename - 2, 5), *range(first_rename - 2, len(moments) + 1)]:
            shutil.copytree(runs / "earlier", run)
            result = driver.run(config, "-s", run, "-f", kill_at=moment)
            if result["signal"] is None:
                assert result["status"] == 0, driver.output.read_text()
                shutil.rmtree(run)
                continue
            between_renames += not run.exists()
            started = (runs / "run.new" / "config.json").exists()
            assert_refused_and_recovered(run, earlier, new)
            resumable = started or (run / "interpretations.jsonl").read_bytes() == new
            driver.finish(config, "-s", run, "-r" if resumable else "-f")
            assert (run / "interpretations.jsonl").read_bytes() == new
            assert sorted(entry.name for entry in runs.iterdir()) == ["earlier", "run"]
            shutil.rmtree(run)
        assert between_renames >= 1

    @pytest.mark.parametrize("option", ["-r", "-f", None])
    def test_between_the_renames_any_start_recovers(
        self, driver: Driver, runs: Path, option: str | None
    ) -> None:
        run = runs / "run"
        config = driver.config("config")
        driver.finish(driver.config("earlier", seed=2), "-s", run)
        earlier = (run / "interpretations.jsonl").read_bytes()
        driver.finish(config, "-s", run, "-f")
        new = (run / "interpretations.jsonl").read_bytes()
        # As the kill leaves it: the earlier run has left its place, the new one is not there yet.
        shutil.copytree(run, runs / ".run.123456.retired")
        (runs / ".run.123456.retired" / "interpretations.jsonl").write_bytes(earlier)
        run.rename(runs / "run.new")
        (runs / "run.new" / ".replacement").touch()

        result = driver.run(config, "-s", run, *([] if option is None else [option]))
        assert result["status"] == (2 if option is None else 0)
        assert (run / "interpretations.jsonl").read_bytes() == new

    def test_an_earlier_run_without_successor_goes_back(self, tmp_path: Path) -> None:
        retired = tmp_path / ".run.77.retired"
        retired.mkdir()
        (retired / "provenance.json").write_text('{"hessinf": "0.1.0"}')
        other = tmp_path / ".run.x.78.retired"
        other.mkdir()
        assert RunDirectory(tmp_path / "run", resume=True).resuming
        assert sorted(entry.name for entry in tmp_path.iterdir()) == [".run.x.78.retired", "run"]


def assert_refused_and_recovered(run: Path, earlier: bytes, new: bytes) -> None:
    with pytest.raises(RunDirectoryError, match="holds an earlier run"):
        RunDirectory(run)
    assert (run / "interpretations.jsonl").read_bytes() in (earlier, new)
