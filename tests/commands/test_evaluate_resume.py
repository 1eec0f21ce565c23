"""Evaluations that are killed at every moment at which they change a file, and go on."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.commands.test_resume import Driver

EVALUATION = {
    "metrics": {
        "lds": {"type": "lds", "subsets": 4, "dampings": [0.01, 0.1], "resamples": 100},
        "mine": {"type": "top-k-overlap"},
    },
    "methods": {"k / fac": {"type": "kfac", "damping": 0.1}},
    "models": 2,
}
"""Rows whose dampings are swept, a row with a name that is no file name, two models."""


class EvaluateDriver(Driver):
    """The same, with ``hessinf evaluate``."""

    def run(self, *arguments: str | Path, kill_at: int | None = None) -> dict[str, Any]:
        return self.ask(
            argv=["evaluate", *map(str, arguments)],
            folder=str(self.folder / "runs"),
            kill_at=kill_at,
            output=str(self.output),
        )


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvaluateDriver]:
    driver = EvaluateDriver(tmp_path_factory.mktemp("killed"))
    try:
        folder = driver.folder / "warm-up"
        config = driver.config("warm-up", evaluation=EVALUATION)
        assert driver.ask(warm_up=["evaluate", str(config), "-s", str(folder)])["status"] == 0
        yield driver
    finally:
        assert driver.process.stdin is not None
        driver.process.stdin.close()
        driver.process.wait(timeout=30)


@pytest.fixture
def runs(driver: EvaluateDriver) -> Iterator[Path]:
    """Return the folder of runs, empty."""
    folder = driver.folder / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def files(run: Path) -> dict[str, bytes]:
    """Read what has to be the same: results, kept scores, ground truth, models."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.suffix in (".npy", ".npz", ".safetensors") or path.name == "evaluation.json"
    }


class TestKilledAtEveryMoment:
    def test_resumed_evaluation_has_the_bytes_of_an_undisturbed_one(
        self, driver: EvaluateDriver, runs: Path
    ) -> None:
        scores = driver.folder / "theirs.npy"
        np.save(scores, np.random.default_rng(0).standard_normal((12, 24)))
        evaluation = {**EVALUATION, "scores": {"theirs": str(scores)}}
        config = driver.config("config", evaluation=evaluation)
        moments = driver.finish(config, "-s", runs / "undisturbed")
        expected = files(runs / "undisturbed")
        assert len(expected) >= 10
        shown = driver.output.read_text()
        assert 'WARNING: the scores "theirs": ' in shown

        kills = 0
        step = len(moments) // 30  # all of them take minutes; killed one by one, they hold too
        for moment in range(1, len(moments) + 1, step):
            run = runs / f"killed {moment}"
            result = driver.run(config, "-s", run, kill_at=moment)
            assert result["signal"] == signal.SIGKILL
            kills += 1
            assert not (run / "evaluation.json").exists() or moment > len(moments) - 15
            driver.finish(config, "-s", run, "-f" if moment % 8 == 0 else "-r")
            assert files(run) == expected, moments[moment - 1]
            left = [path for path in run.rglob("*") if path.name.endswith(".unfinished")]
            assert left == []
            shutil.rmtree(run)
        assert kills >= 30

    def test_run_twice_it_has_the_same_bytes(self, driver: EvaluateDriver, runs: Path) -> None:
        config = driver.config("config", evaluation=EVALUATION)
        for name in ("one", "two"):
            driver.finish(config, "-s", runs / name)
        assert files(runs / "one") == files(runs / "two")
        results = (runs / "one" / "evaluation.json").read_text()
        assert "seconds" not in results
        assert json.loads(results)["problem"]["models"][1]["seed"] > 2**32
