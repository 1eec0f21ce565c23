"""What ``hessinf compare`` prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hessinf.commands.compare_run import FinishedComparison
from hessinf.commands.comparison_table import tables

STAGE = {"seconds": 0.5, "cpu_seconds": 0.25}


@pytest.fixture
def finished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(*names: str, **more: Any) -> FinishedComparison:
        Path("run").mkdir()
        values = [[1.0 if row == column else -0.5 for column in names] for row in names]
        values[0][-1] = None
        comparison = {
            "rows": [{"name": name} for name in names],
            "queries": 4,
            "training_examples": 1600,
            "warnings": [],
            "evaluation": None,
            "agreement": {
                "names": names,
                "top_k": 10,
                "top_k_by_chance": 0.0625,
                **dict.fromkeys(("spearman", "top_k_helpful", "top_k_harmful"), values),
            },
            **more,
        }
        cost = {"fit": STAGE, "score": STAGE, "peak_memory_bytes": 250 * 2**20}
        Path("run/comparison.json").write_text(json.dumps(comparison))
        metrics = {"command": "compare", "rows": dict.fromkeys(names, cost)}
        Path("run/metrics.json").write_text(json.dumps(metrics))
        Path("run/comparison.html").touch()
        return FinishedComparison(Path("run"), was_complete=False)

    return make


def test_to_the_letter(finished):
    shown = tables(finished("exact", "kfac", warnings=["mind this"]))
    blocks = shown.split("\n\n")
    assert blocks[:3] == [
        "2 methods on one model: finished",
        "WARNING: mind this",
        "4 queries, 1,600 training examples",
    ]
    assert blocks[3] == (
        "rank correlation, mean over queries\n"
        "          exact       kfac\n"
        "  exact   1.000  undefined\n"
        "  kfac   -0.500      1.000"
    )
    assert blocks[4].startswith("share of the 10 most helpful that both have (by chance 0.0625)\n")
    assert blocks[6] == (
        "cost, each row in a process of its own\n"
        "         to fit  to score  CPU time  memory at most\n"
        "  exact  0.50 s    0.50 s    0.50 s         250 MiB\n"
        "  kfac   0.50 s    0.50 s    0.50 s         250 MiB"
    )
    assert blocks[7].startswith(
        "open run/comparison.html in a browser: agreement, quality and cost as tables and a plot\n"
        "results in run:\n"
    )


def test_long_names_become_numbers_above_the_columns(finished):
    names = ["conjugate-gradient with ekfac", "conjugate-gradient with \x1b[2J", "猫"]
    lines = tables(finished(*names), width=60).split("\n\n")[2].splitlines()
    assert lines[1:] == [
        "                                        1       2          3",
        "  1 conjugate-gradient with ekfac   1.000  -0.500  undefined",
        "  2 conjugate-gra…nt with \\x1b[2J  -0.500   1.000     -0.500",
        "  3 猫                             -0.500  -0.500      1.000",
    ]
