"""The regression guard: ratios, verdicts, exit statuses. No time is measured here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from benchmarks import guard
from benchmarks.guard import PathFailedError, Ratio, Run, difference, main, run_path
from benchmarks.guard_paths import PATHS
from benchmarks.worktrees import WORKING_TREE, git

Fake = Callable[[Path, str, Path], Run]


def runs(*kernels: float) -> list[Run]:
    return [Run(value, value / 5, 2**20) for value in kernels]


def speed_of(tree: Path) -> float:
    return float((tree / "hessinf" / "speed.txt").read_text())


def steady(tree: Path, name: str, out: Path) -> Run:
    """A path that takes what the tree says."""
    np.save(out.with_suffix(".npy"), np.array([3.0, 4.0]) * (1.0 if name != "lissa" else 1.1))
    return Run(speed_of(tree), speed_of(tree), 3 * 2**20)


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch, repository: Path) -> Callable[..., int]:
    """The guard on the small repository, with paths that take what a file says."""

    def run(*words: str, fake: Fake = steady) -> int:
        monkeypatch.setattr(guard, "run_path", fake)
        return main([*words, "--repository", str(repository)])

    return run


class TestRatio:
    def test_each_run_of_the_head_is_compared_with_each_of_the_base(self) -> None:
        ratio = Ratio.between(runs(1.0, 2.0), runs(2.0, 4.0))
        assert ratio == Ratio(median=2.0, lower=1.75, upper=2.5)

    def test_one_run_has_no_spread(self) -> None:
        assert Ratio.between(runs(2.0), runs(3.0)) == Ratio(1.5, 1.5, 1.5)

    @pytest.mark.parametrize(
        ("ratio", "verdict"),
        [
            (Ratio(1.3, 1.2, 1.4), "slower"),
            (Ratio(1.3, 1.1, 1.4), "unclear"),
            (Ratio(1.1, 0.9, 1.3), "ok"),
            (Ratio(0.8, 0.7, 0.9), "ok"),
            (Ratio(0.5, 0.4, 0.6), "faster"),
        ],
    )
    def test_verdicts(self, ratio: Ratio, verdict: str) -> None:
        assert ratio.verdict(tolerance=1.15) == verdict


class TestGuard:
    def test_a_faster_head_passes(
        self, guarded: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert guarded("--runs", "2") == 0
        out = capsys.readouterr().out
        assert re.search(r"^base: \w+ Work$", out, re.MULTILINE)
        assert re.search(r"^head: \w+ Work twice as fast$", out, re.MULTILINE)
        for name in PATHS:
            line = next(line for line in out.splitlines() if line.startswith(name))
            words = line.split()
            assert words[1:5] == ["2.00", "3", "1.00", "3"]
            assert words[5:8] == ["0.500", "[0.500,", "0.500]"]
            assert words[8:] == ["0.0e+00", "faster"]

    def test_a_slower_head_fails(
        self, guarded: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert guarded("--runs", "1", "--base", "HEAD", "--head", "HEAD~1") == 1
        assert capsys.readouterr().out.splitlines()[-1] == (
            "slower than 1.15 times the base, or failing: "
            "gradient-dot, ekfac, lissa, dense, interpret"
        )

    def test_the_tolerance_counts(self, guarded: Callable[..., int]) -> None:
        words = ["--runs", "1", "--base", "HEAD", "--head", "HEAD~1", "--paths", "dense"]
        assert guarded(*words, "--tolerance", "2.5") == 0

    def test_noise_is_no_regression(
        self, guarded: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        noise: Iterator[float] = cycle([1.0, 1.2, 2.0, 3.0])

        def noisy(tree: Path, name: str, out: Path) -> Run:
            return Run(next(noise), 1.0, 2**20)

        assert guarded("--runs", "2", "--paths", "dense", fake=noisy) == 0
        line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("dense"))
        assert line.split()[-1] == "unclear"

    def test_base_and_head_alternate(self, guarded: Callable[..., int]) -> None:
        seen = []

        def noting(tree: Path, name: str, out: Path) -> Run:
            seen.append((name, tree.name))
            return steady(tree, name, out)

        guarded("--runs", "2", "--paths", "lissa", "dense", fake=noting)
        sides = [("lissa", "base"), ("lissa", "head"), ("dense", "base"), ("dense", "head")]
        assert seen == sides * 2

    def test_a_path_that_the_base_lacks(
        self, guarded: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        def lacking(tree: Path, name: str, out: Path) -> Run:
            if name == "ekfac" and tree.name == "base":
                raise PathFailedError('no interpreter is called "ekfac"')
            return steady(tree, name, out)

        assert guarded("--runs", "2", "--paths", "ekfac", "dense", fake=lacking) == 0
        out = capsys.readouterr().out
        assert 'ekfac does not run in the base: no interpreter is called "ekfac"' in out
        line = next(x for x in out.splitlines() if x.startswith("ekfac"))
        assert line.endswith("not in the base")

    def test_a_path_that_the_head_breaks(
        self, guarded: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken(tree: Path, name: str, out: Path) -> Run:
            if tree.name == "head":
                raise PathFailedError("it is broken")
            return steady(tree, name, out)

        assert guarded("--runs", "2", "--paths", "dense", fake=broken) == 1
        assert "dense does not run in the head: it is broken" in capsys.readouterr().out

    def test_scores_that_differ_are_shown(
        self, guarded: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def different(tree: Path, name: str, out: Path) -> Run:
            np.save(out.with_suffix(".npy"), np.array([3.0, 4.0 if tree.name == "base" else 4.5]))
            return Run(1.0, 1.0, 2**20)

        assert guarded("--runs", "1", "--paths", "dense", fake=different) == 0
        line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("dense"))
        assert line.split()[-2:] == ["1.0e-01", "ok"]

    def test_the_working_tree_is_judged(
        self, guarded: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (repository / "hessinf" / "speed.txt").write_text("4.0")
        words = ["--runs", "1", "--paths", "dense", "--base", "HEAD"]
        assert guarded(*words) == 0
        said = 'what is not committed is left out; --head "working tree" takes it in'
        assert said in capsys.readouterr().out
        assert guarded(*words, "--head", WORKING_TREE) == 1
        assert re.search(r"^head: working tree, on \w+ Work", capsys.readouterr().out, re.MULTILINE)

    def test_everything_goes_to_json(self, guarded: Callable[..., int], tmp_path: Path) -> None:
        file = tmp_path / "found.json"
        guarded("--runs", "1", "--paths", "dense", "--json", str(file))
        [path] = json.loads(file.read_text())["paths"]
        assert path["verdict"] == "faster"
        assert path["ratio"] == {"median": 0.5, "lower": 0.5, "upper": 0.5}
        assert path["runs"]["base"] == [{"kernels": 2.0, "seconds": 2.0, "peak_bytes": 3 * 2**20}]

    def test_an_interrupt_leaves_nothing(
        self, guarded: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folders = []

        def interrupted(tree: Path, name: str, out: Path) -> Run:
            folders.append(tree.parent)
            raise KeyboardInterrupt

        assert guarded("--paths", "dense", fake=interrupted) == 130
        assert not folders[0].exists()
        assert git(repository, "worktree", "list").count("\n") == 0
        assert capsys.readouterr().err.splitlines()[-1] == (
            "interrupted; the temporary source trees are removed"
        )

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--base", "nowhere"], 'git knows no commit "nowhere" here'),
            (["--runs", "0"], "--runs must be at least 1, found 0"),
            (["--tolerance", "0.9"], "--tolerance must be at least 1, found 0.9"),
        ],
    )
    def test_wrong_arguments(
        self,
        guarded: Callable[..., int],
        capsys: pytest.CaptureFixture[str],
        words: list[str],
        said: str,
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            guarded(*words)
        assert caught.value.code == 2
        assert said in capsys.readouterr().err

    def test_help_tells_what_the_paths_are(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["--help"])
        out = capsys.readouterr().out
        for path in PATHS.values():
            assert path.says in out


class TestDifference:
    def test_other_shapes(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.ones(3))
        np.save(tmp_path / "b.npy", np.ones(4))
        assert difference(tmp_path / "a", tmp_path / "b") == "shape"

    def test_no_scores(self, tmp_path: Path) -> None:
        assert difference(tmp_path / "a", tmp_path / "b") == ""


class TestRealPaths:
    """A path as it is run, on a fortieth of the digits; what it takes does not matter here."""

    @pytest.mark.slow
    def test_methods(self, tmp_path: Path) -> None:
        found = run_path(guard.ROOT, "gradient-dot", tmp_path / "out", scale="tiny")
        assert found.seconds > 0
        assert found.peak_bytes > 2**20
        scores = np.load(tmp_path / "out.npy")
        assert scores.shape == (2 * 4 * 40,)  # two networks, 180 / 40 queries, 1617 / 40 examples
        assert np.isfinite(scores).all()

    def test_a_tree_without_the_path(self, tmp_path: Path) -> None:
        tree = tmp_path / "tree"
        (tree / "hessinf" / "interpreters").mkdir(parents=True)
        (tree / "hessinf" / "__init__.py").write_text("")
        (tree / "hessinf" / "interpreters" / "__init__.py").write_text("")
        with pytest.raises(PathFailedError, match="cannot import name 'InfluenceInterpreter'"):
            run_path(tree, "dense", tmp_path / "out", scale="tiny")

    def test_five_paths(self) -> None:
        assert list(PATHS) == ["gradient-dot", "ekfac", "lissa", "dense", "interpret"]
