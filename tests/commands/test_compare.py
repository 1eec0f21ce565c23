"""``hessinf compare``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessinf.commands import row_cost
from hessinf.commands.compare_run import FinishedComparison
from hessinf.commands.main import main
from hessinf.commands.run_config import load_checked_config
from hessinf.evaluation.agreement import agreement
from hessinf.evaluation.errors import EvaluationError
from hessinf.interpreters import InfluenceInterpreter
from hessinf.models import load_archive
from hessinf.registry import plugins
from tests.commands.conftest import RING, write

JUDGED = """(import 'ring.libsonnet') + {
  interpreter: { type: 'ggn', damping: 0.1 },
  trainer+: { epochs: 3 },
  evaluation: {
    metrics: { lds: { type: 'lds', subsets: 6, repeats: 2, resamples: 100 } },
    methods: { dot: 'gradient-dot' },
  },
  top_k: 4,
}
"""

PLAIN = JUDGED.replace("'ggn'", "'exact'").replace(
    JUDGED[JUDGED.index("  evaluation") : JUDGED.index("  top_k")], ""
)


@pytest.fixture(autouse=True)
def no_plugins_of_other_tests(monkeypatch):
    """Processes of rows import what this process has imported."""
    monkeypatch.setattr(plugins, "_imported", {})


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished comparison of "exact", "ggn" and "dot", and what it printed."""
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder))
        patch.setenv("HESSINF_PROGRESS", "0")
        patch.setattr(plugins, "_imported", {})
        write({"ring.libsonnet": RING, "a.jsonnet": PLAIN, "b.jsonnet": JUDGED})
        assert main(["compare", "a.jsonnet", "b.jsonnet", "-s", "run", "--device", "cpu"]) == 0
    return folder


@pytest.fixture
def copied(compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, in a directory that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(compared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HESSINF_PROGRESS", "0")
    return folder


ROWS = ["exact", "ggn", "dot"]


def written(folder: Path, name: str = "comparison.json"):
    return json.loads((folder / "run" / name).read_text())


def test_all_rows_are_there(compared):
    comparison = written(compared)
    assert [row["name"] for row in comparison["rows"]] == ROWS
    assert [row["from"] for row in comparison["rows"]] == ["a.jsonnet", "b.jsonnet", "b.jsonnet"]
    assert comparison["agreement"]["names"] == ROWS
    assert comparison["agreement"]["top_k"] == 4
    lds = comparison["evaluation"]["metrics"]["lds"]
    assert set(lds["rows"]) == {*ROWS, "random", "gradient-dot"}
    pairs = {(one["better"], one["worse"]) for one in lds["comparisons"]}
    assert any({"exact", "ggn"} == set(pair) for pair in pairs)
    assert all(len(one["interval"]) == 2 for one in lds["comparisons"])


def test_scores_are_those_of_the_interpreters(compared, monkeypatch):
    monkeypatch.chdir(compared)
    config = load_checked_config("b.jsonnet").build()
    train, queries = (config.dataset_reader.read(split) for split in ("train", "test"))
    loaded = load_archive("run/model")
    expected = {}
    for name, kind in (("exact", "exact"), ("ggn", "ggn"), ("dot", "gradient-dot")):
        damping = {} if name == "dot" else {"damping": 0.1}
        interpreter = InfluenceInterpreter.by_name(kind)(
            loaded.module, train, objective="cross-entropy", weight_decay=0.05, **damping
        )
        expected[name] = interpreter.scores(queries)
        (file,) = Path("run/attributions", name).glob("scores-*.npy")
        np.testing.assert_allclose(np.load(file), expected[name], rtol=1e-4, atol=1e-6)
    found = written(compared)["agreement"]
    np.testing.assert_allclose(
        found["spearman"], agreement(expected, top_k=4).spearman, rtol=0, atol=0.01
    )


def test_every_row_has_a_cost_of_its_own(compared):
    metrics = written(compared, "metrics.json")
    assert metrics["complete"] is True
    assert metrics["command"] == "compare"
    assert list(metrics["rows"]) == ROWS
    for cost in metrics["rows"].values():
        assert cost.keys() == {"fit", "score", "peak_memory_bytes"}
        assert cost["peak_memory_bytes"] > 50_000_000
    assert "seconds" not in (compared / "run" / "comparison.json").read_text()


def test_the_page_is_there(compared):
    page = (compared / "run" / "comparison.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert all(f">{name}</th>" in page for name in (*ROWS, "random", "gradient-dot"))


def test_figures_lie_beside_the_page_which_links_them(compared):
    pytest.importorskip("matplotlib")
    figures = sorted(file.name for file in (compared / "run" / "plots").iterdir())
    names = ("agreement", "pareto_memory", "pareto_seconds", "quality")
    assert figures == [f"{name}.{kind}" for name in names for kind in ("png", "svg")]
    page = (compared / "run" / "comparison.html").read_text()
    links = re.findall(r'<a href="(.*?)">', page)
    assert {"comparison.json", "metrics.json", "config.json", "plots/quality.svg"} <= set(links)
    assert all((compared / "run" / link).exists() for link in links)


def test_a_notebook_shows_what_compare_returned(compared):
    shown = FinishedComparison(compared / "run", was_complete=True)._repr_html_()
    assert "<h2>At a glance</h2>" in shown
    assert all(f'<th scope="row">{name}</th>' in shown for name in ROWS)


def test_the_page_is_the_same_when_it_is_written_again(copied):
    before = (copied / "run" / "comparison.html").read_bytes()
    assert main(["report", "run"]) == 0
    assert (copied / "run" / "comparison.html").read_bytes() == before


def test_what_was_finished_is_shown_again(copied, capsys):
    before = (copied / "run" / "comparison.json").read_bytes()
    assert main(["compare", "a.jsonnet", "b.jsonnet", "-s", "run", "--device", "cpu", "-r"]) == 0
    output = capsys.readouterr().out
    assert "rank correlation, mean over queries\n" in output
    assert re.search(r"^  exact +1\.000 ", output, re.MULTILINE)
    assert "cost, each row in a process of its own\n" in output
    assert output.startswith("3 methods on one model: finished before\n")
    assert "\nopen run/comparison.html in a browser: agreement, quality and cost as " in output
    assert (copied / "run" / "comparison.json").read_bytes() == before


def test_a_stopped_run_goes_on_and_gives_the_same_bytes(copied):
    before = (copied / "run" / "comparison.json").read_bytes()
    for name in ("comparison.json", "comparison.html", "metrics.json"):
        (copied / "run" / name).unlink()
    (copied / "run" / "attributions" / "ggn" / "cost.json").unlink()
    kept = (copied / "run" / "attributions" / "exact" / "cost.json").stat().st_mtime_ns
    assert main(["compare", "a.jsonnet", "b.jsonnet", "-s", "run", "--device", "cpu", "-r"]) == 0
    assert (copied / "run" / "comparison.json").read_bytes() == before
    assert (copied / "run" / "attributions" / "ggn" / "cost.json").exists()
    again = (copied / "run" / "attributions" / "exact" / "cost.json").stat().st_mtime_ns
    assert again == kept


class TestOneProcess:
    def test_a_method_that_fails_is_reported_with_its_name(self, copied, monkeypatch):
        config = json.loads(Path("run/config.json").read_text())
        config["evaluation"]["methods"]["ggn"] = {"type": "kfac", "damping": 0}
        config["trainer"]["weight_decay"] = 0
        config["weight_decay"] = None
        Path("run/config.json").write_text(json.dumps(config))
        training = json.loads(Path("run/model/training.json").read_text())
        training["weight_decay"] = 0.0
        Path("run/model/training.json").write_text(json.dumps(training))
        message = r'^"ggn": the curvature of the block "\d" is singular to working precision at '
        with pytest.raises(EvaluationError, match=message):
            row_cost.cost_here(Path("run"), "ggn")
        status = row_cost.main(["run", "ggn"])
        assert status == 0

    def test_the_answer_of_a_failure_is_raised_by_the_parent(self, copied, monkeypatch):
        answer = {"error": '"ggn": too bad', "traceback": "File there, line 3"}
        self.answering(monkeypatch, ["echo", json.dumps(answer)])
        with pytest.raises(EvaluationError, match=r'^"ggn": too bad$') as caught:
            row_cost.measured_cost(self.without_cost(), "ggn")
        assert str(caught.value.__cause__) == "File there, line 3"  # what --debug shows

    def test_what_nobody_foresaw_is_an_answer_too(self, monkeypatch, capsys):
        def breaks(folder: Path, row: str) -> dict[str, Any]:
            raise RuntimeError("boom")

        monkeypatch.setattr(row_cost, "cost_here", breaks)
        assert row_cost.main(["run", "ggn"]) == 0
        out, err = capsys.readouterr()
        answer = json.loads(out)
        assert answer["error"] == (
            f'"ggn": unexpected error: RuntimeError: boom ({__file__}:'
            f"{breaks.__code__.co_firstlineno + 1}); --debug shows the traceback"
        )
        assert answer["traceback"].splitlines()[-1] == "RuntimeError: boom"
        assert err == ""

    def test_a_process_that_was_ended_says_nothing(self, copied, monkeypatch):
        program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        self.answering(monkeypatch, [row_cost.sys.executable, "-c", program])
        message = (
            'the process that was to fit and score "ggn" has ended with status -9 and no result; '
            "was there too little memory? Go on with -r"
        )
        with pytest.raises(EvaluationError, match=f"^{re.escape(message)}$"):
            row_cost.measured_cost(self.without_cost(), "ggn")

    def without_cost(self) -> Path:
        Path("run/attributions/ggn/cost.json").unlink()
        return Path("run")

    def answering(self, monkeypatch, command: list[str]) -> None:
        start = row_cost.subprocess.Popen
        monkeypatch.setattr(row_cost.subprocess, "Popen", lambda _, **how: start(command, **how))


class TestErrors:
    @pytest.fixture(autouse=True)
    def _files(self, workplace):
        write({"b.jsonnet": "(import 'ring.libsonnet') + { interpreter: 'ggn' }"})

    def refused(self, cli, line: str, message: str) -> None:
        outcome = cli(line)
        assert (outcome.status, outcome.stdout) == (2, "")
        assert outcome.stderr == message
        assert not Path("out").exists()

    def test_other_models(self, cli):
        write(
            {
                "c.jsonnet": "(import 'ring.libsonnet') + { interpreter: 'kfac', seed: 3, "
                "trainer+: { epochs: 7 } }"
            }
        )
        self.refused(
            cli,
            "compare a.jsonnet b.jsonnet c.jsonnet -s out",
            "config error: the configs differ in more than their interpreters:\n"
            "  trainer.epochs: 20 (int) in a.jsonnet, 7 (int) in c.jsonnet\n"
            "  seed: 0 (int) in a.jsonnet, 3 (int) in c.jsonnet\n",
        )

    def test_many_differences_are_cut(self, cli):
        write(
            {
                "c.jsonnet": "(import 'ring.libsonnet') + { seed: 3, top_k: 1, device: 'cpu', "
                "groups: 'label', weight_decay: 0.05, measurement: 'margin', scores: 'zarr' }"
            }
        )
        outcome = cli("compare a.jsonnet c.jsonnet -s out")
        assert outcome.status == 2
        lines = outcome.stderr.splitlines()
        assert len(lines) == 7
        assert lines[-1] == "  and 2 more"

    def test_other_ground_truths(self, cli):
        for name, repeats in (("c", 1), ("d", 2)):
            write(
                {
                    f"{name}.jsonnet": "(import 'ring.libsonnet') + { evaluation: { metrics: { "
                    f"lds: {{ type: 'lds', repeats: {repeats} }} }} }} }}"
                }
            )
        self.refused(
            cli,
            "compare c.jsonnet d.jsonnet -s out",
            "config error: the configs differ in more than their interpreters:\n"
            "  evaluation.metrics.lds.repeats: 1 (int) in c.jsonnet, 2 (int) in d.jsonnet\n",
        )

    def test_one_row(self, cli):
        self.refused(
            cli,
            "compare a.jsonnet -s out",
            'config error: there is only one row, "exact": give configs with other interpreters, '
            "or further ones in evaluation.methods\n",
        )

    def test_options_hold_for_every_config(self, cli):
        outcome = cli("compare a.jsonnet b.jsonnet -s out --set seed=true")
        assert outcome.status == 2
        assert "a.jsonnet" in outcome.stderr
        assert "seed" in outcome.stderr
