from __future__ import annotations

from typing import Any

from hessinf.commands.evaluation_table import describe

MODEL = {
    "train": {"loss": 0.05, "accuracy": 0.975},
    "queries": {"loss": 1234.5},
}


def results(**metric: Any) -> dict[str, Any]:
    base = {
        "config": {"type": "lds"},
        "higher_is_better": True,
        "columns": [["damping", "damping"]],
        "truth": {},
        "rows": {},
        "not_judged": [],
        "comparisons": [],
        "notes": [],
    }
    return {
        "problem": {
            "train": {"examples": 1600},
            "queries": {"examples": 180},
            "models": [MODEL],
        },
        "warnings": [],
        "metrics": {"lds": {**base, **metric}},
    }


def test_a_whole_table() -> None:
    rows = {
        "ekfac": {"value": 0.41234, "interval": [0.35, 0.47], "damping": 1e-4},
        "long name": {"value": -0.5, "interval": None, "missing": 3},
        "random": {"value": "nan"},
    }
    comparison = {
        "better": "ekfac",
        "worse": "random",
        "difference": 0.42,
        "interval": [0.3, 0.5],
    }
    shown = describe(
        results(rows=rows, comparisons=[comparison], notes=["mind this"], not_judged=["loss"])
    )
    assert shown.splitlines() == [
        "180 queries, 1,600 training examples",
        "model: training loss 0.0500, accuracy 97.5 %; query loss 1,234",
        "",
        "lds (higher is better)",
        "  row         value   95 % interval  damping  NaN",
        "  ekfac       0.412  [0.350, 0.470]     1e-4    0",
        "  long name  -0.500                             3",
        "  random        NaN                             0",
        "  not judged by this metric: loss",
        "  difference               95 % interval",
        "  ekfac - random  +0.420  [0.300, 0.500]",
        "  mind this",
    ]


def test_warnings_come_first_and_are_wrapped() -> None:
    found = results()
    found["warnings"] = ["something " * 20]
    first, second, *_ = describe(found).splitlines()
    assert first.startswith("WARNING: something something")
    assert second.startswith("  something")
    assert len(first) <= 100


def test_a_metric_with_a_name_of_its_own_says_its_kind() -> None:
    found = results(higher_is_better=False)
    found["metrics"] = {"mine": found["metrics"]["lds"]}
    assert "\nmine: lds (lower is better)\n" in describe(found) + "\n"


def test_several_models_are_counted() -> None:
    found = results()
    found["problem"]["models"] = [MODEL, MODEL]
    lines = describe(found).splitlines()
    assert [line.split(":")[0] for line in lines[1:3]] == ["model 0", "model 1"]


def test_columns_in_which_nothing_stands_are_left_out() -> None:
    shown = describe(results(rows={"a": {"value": 1.0}}))
    assert "damping" not in shown
    assert "interval" not in shown
    assert "  a    1.000" in shown
