"""``hessinf report``."""

from __future__ import annotations

import errno
import importlib.util
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hessinf.commands import report_run
from hessinf.commands.report_run import try_report, write_report
from hessinf.reporting import plots
from hessinf.reporting.reported_run import ReportError
from tests.commands.conftest import ROOT
from tests.reporting.comparisons import comparison, costs
from tests.reporting.opened_page import segments_of

SELF_INFLUENCE = "self_influence.jsonl"


@pytest.fixture
def run(finished_run, workplace) -> Path:
    """A finished run, to do anything with."""
    return Path(shutil.copytree(finished_run, "run"))


def index_of(folder: Path) -> dict:
    return json.loads(segments_of((folder / "report.html").read_text())["index"])


def test_it_writes_the_page_again(cli, run):
    page = run / "report.html"
    page.unlink(missing_ok=True)
    outcome = cli("report run --no-plots")
    assert outcome.status == 0
    assert outcome.stderr == ""
    first, rest = outcome.stdout.split(" (")
    assert first == "open run/report.html in a browser"
    assert rest.endswith(" KiB)\n")
    assert index_of(run)["run"]["queries"] == 4
    assert not (run / "plots" / "spectrum.svg").exists()


def test_the_same_run_gives_the_same_bytes(run):
    first = write_report(run).page.read_bytes()
    assert write_report(run).page.read_bytes() == first
    moved = run.rename("elsewhere")
    assert write_report(moved).page.read_bytes() == first


def test_json(cli, run):
    outcome = cli("report run --no-plots --json")
    assert json.loads(outcome.stdout) == {
        "directory": "run",
        "report": "run/report.html",
        "bytes": (run / "report.html").stat().st_size,
        "plots": [],
    }


def test_plots_are_written_beside(cli, run, monkeypatch):
    written = [run / "plots" / name for name in ("a.png", "a.svg")]
    monkeypatch.setattr(plots, "write_plots", lambda folder: written)
    assert cli("report run").stdout.endswith("2 figures in run/plots\n")
    assert json.loads(cli("report run --json").stdout)["plots"] == list(map(str, written))


def test_without_matplotlib_there_is_the_page(cli, run, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else found(name)
    )
    outcome = cli("report run")
    assert outcome.status == 0
    assert (
        outcome.stderr == "no plots: matplotlib is not installed (pip install 'hessinf[plots]')\n"
    )
    assert "figures" not in outcome.stdout


def test_where_there_is_nothing_to_draw_there_is_the_page(cli, run):
    lines = [json.loads(line) for line in (run / "interpretations.jsonl").open()]
    for line in lines:
        line.pop("scores", None)
    (run / "interpretations.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    for name in (SELF_INFLUENCE, "spectrum.json"):
        (run / name).unlink()
    outcome = cli("report run")
    assert (outcome.status, outcome.stderr) == (0, "no plots: run has nothing to draw\n")
    assert index_of(run)["suspects"] == []


def test_a_run_of_an_earlier_version(cli, run):
    """Neither scores, nor probabilities, nor a ranking: as runs were before there were pages."""
    lines = [json.loads(line) for line in (run / "interpretations.jsonl").open()]
    for line in lines:
        line.pop("scores", None)
        line["query"].pop("probability", None)
    (run / "interpretations.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    metrics = json.loads((run / "metrics.json").read_text())
    for key in ("label_names", "warnings", "self_influence", "measurement"):
        metrics.pop(key, None)
    (run / "metrics.json").write_text(json.dumps(metrics))
    for name in (SELF_INFLUENCE, "spectrum.json"):
        (run / name).unlink()
    assert cli("report run --no-plots").status == 0
    index = index_of(run)
    assert index["run"]["queries"] == 4
    assert index["run"]["classification"] is True
    assert index["queries"]["probability"] is None


def test_a_run_that_was_stopped(cli, run):
    (run / "metrics.json").write_text(json.dumps({"complete": False, "stages": []}))
    first = (run / "interpretations.jsonl").read_text().split("\n")[0]
    (run / "interpretations.jsonl").write_text(first + "\n")
    assert cli("report run --no-plots").status == 0
    assert index_of(run)["run"]["queries"] == 1
    text = (run / "report.html").read_text()
    assert "This run is not finished: 1 query so far." in text


def test_a_ranking_alone(cli, run):
    (run / "interpretations.jsonl").unlink()
    metrics = {"complete": True, "command": "self-influence", "training_examples": 24}
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert cli("report run --no-plots").status == 0
    assert index_of(run)["run"]["queries"] == 0
    assert len(index_of(run)["suspects"]) == 24


def test_a_comparison(cli, workplace):
    folder = workplace / "compared"
    folder.mkdir()
    (folder / "comparison.json").write_text(json.dumps(comparison()))
    (folder / "metrics.json").write_text(json.dumps({"rows": costs("kfac", "ekfac")}))
    outcome = cli("report compared --no-plots")
    assert outcome.stdout.startswith("open compared/comparison.html in a browser (")
    assert "18 queries" in (folder / "comparison.html").read_text()
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("folder", "status", "error"),
    [
        ("nowhere", 2, "nowhere does not exist, expected the directory of a run (its -s)\n"),
        ("a.jsonnet", 2, "a.jsonnet is a file, expected the directory of a run (its -s)\n"),
        (
            ".",
            2,
            ". is no run of hessinf's (it has no provenance.json); give the directory that was -s "
            "of hessinf interpret\n",
        ),
    ],
)
def test_what_is_no_run(cli, workplace, folder, status, error):
    outcome = cli(f"report {folder}")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (status, "", error)
    assert not Path(folder, "report.html").exists()


def test_with_a_broken_matplotlib_there_is_the_page(cli, run, monkeypatch):
    def refuse(folder):
        raise ImportError("numpy.core.multiarray failed to import")

    monkeypatch.setattr(plots, "write_plots", refuse)
    outcome = cli("report run")
    assert outcome.status == 0
    assert outcome.stdout.startswith("open run/report.html in a browser")
    assert outcome.stderr == (
        "no plots: matplotlib cannot be imported (numpy.core.multiarray failed to import)\n"
    )


def test_a_page_that_cannot_be_written(cli, run):
    page = run / "report.html"
    page.unlink(missing_ok=True)
    page.mkdir()
    outcome = cli("report run --no-plots")
    assert outcome.status == 1
    assert outcome.stderr == (
        "cannot write run/report.html: Is a directory; a report is written into the directory of "
        "its run: copy that to where you may write\n"
    )


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_plots_that_cannot_be_written(cli, run, monkeypatch, number):
    def refuse(folder):
        raise OSError(number, "No", str(folder / "plots"))

    monkeypatch.setattr(plots, "write_plots", refuse)
    outcome = cli("report run")
    assert outcome.status == 1
    assert outcome.stderr.startswith("cannot write run/plots: No; a report is written into ")


def test_a_full_disk_is_called_so(cli, run, monkeypatch):
    def refuse(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(plots, "write_plots", refuse)
    outcome = cli("report run")
    assert outcome.status == 1
    assert outcome.stderr == ("cannot write the output: No space left on device; free some space\n")


def test_a_report_that_fails_is_a_warning(run, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("hessinf"), "propagate", True)
    (run / "interpretations.jsonl").write_text("{}\n")
    with pytest.raises(ReportError):
        write_report(run)
    try_report(run)
    assert caplog.messages == [
        "the report could not be written (ReportError: run/interpretations.jsonl, line 1: this is "
        "no interpretation); the results are complete, and hessinf report run writes it again"
    ]


def test_why_there_are_no_plots_is_logged(run, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("hessinf"), "propagate", True)
    caplog.set_level("INFO", "hessinf")
    monkeypatch.setattr(report_run, "_figures", lambda folder, with_plots: ((), "no plots: why"))
    try_report(run, with_plots=True)
    assert caplog.messages == ["no plots: why"]


def test_a_report_needs_no_model_and_no_matplotlib(run):
    program = (
        "import sys; from hessinf.commands.main import main; "
        "main(['report', 'run', '--no-plots']); "
        "print(sorted({'torch', 'matplotlib', 'sklearn', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.splitlines()[-1] == "[]"
