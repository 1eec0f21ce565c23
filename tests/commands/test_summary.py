"""What a finished run shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hessinf.commands.interpret_run import FinishedRun
from hessinf.commands.summary import summarize, text_summary


def influence(id: str, target: Any, score: float, change: float | None, **display: Any) -> dict:
    return {
        "index": 0,
        "id": id,
        "display": display,
        "score": score,
        "loss": 0.5,
        "loss_change_if_removed": change,
        "target": target,
    }


def line(**query: Any) -> dict[str, Any]:
    return {
        "query": {
            "index": 0,
            "id": "test/0",
            "display": {"label": "cat"},
            "loss": 0.25,
            "prediction": 1,
            "target": 0,
            **query,
        },
        "helpful": [
            influence("train/7", 0, 2.5, 0.01, label="cat"),
            influence("train/3", 1, 1.5, 0.005, label="dog", flipped_from="cat"),
        ],
        "harmful": [influence("a-very-long-identifier/of-a-file.png", 1, -3.0, None, label="dog")],
        "diagnostics": {},
    }


METRICS = {
    "interpreter": "exact",
    "queries": 1200,
    "training_examples": 34000,
    "damping": 0.001,
    "parameters": {"covered": 5000, "share": 0.5},
    "training": {"loss": 0.125, "gradient_norm": 1e-6},
    "stopped_early": 0,
}


@pytest.fixture
def run(tmp_path):
    def make(lines: list[dict], **metrics: Any) -> FinishedRun:
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "metrics.json").write_text(json.dumps({**METRICS, **metrics}))
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "interpretations.jsonl").write_text(text)
        return FinishedRun(folder, was_complete=False)

    return make


def test_to_the_letter(run, monkeypatch):
    finished = run([line()])
    monkeypatch.chdir(finished.directory.parent)
    assert summarize(FinishedRun(Path("run"), was_complete=False)) == (
        '1,200 queries against 34,000 training examples with "exact": finished\n'
        "model: training loss 0.125, gradient norm 1e-06 (0 at a minimum)\n"
        "trust: damping 0.001, 5,000 parameters (50%)\n"
        "\n"
        "query test/0: cat, predicted dog, loss 0.25\n"
        "  most helpful                         score    loss change if removed\n"
        "    train/7: cat                        +2.5                +1.000e-02\n"
        "    train/3: dog (was cat)              +1.5                +5.000e-03\n"
        "  most harmful                         score    loss change if removed\n"
        "    a-very-long-identifier/of-…           -3                          \n"
        "\n"
        "results in run:\n"
        "  interpretations.jsonl  a line for each query: helpful and harmful training examples\n"
        "  metrics.json           seconds and memory by stage, damping, residuals"
    )


def test_finished_before(run):
    finished = run([line()])
    assert '"exact": finished before\n' in text_summary(finished.directory)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"prediction": 0}, "cat, predicted cat"),
        ({"prediction": 1}, "cat, predicted dog"),
        ({"prediction": 2}, "cat, predicted 2"),
        ({"prediction": 3.25, "target": [3.0], "display": {"row": {}}}, "[3.0], predicted 3.25"),
        ({"prediction": [3.25], "target": [3.0], "display": {}}, "[3.0], predicted 3.25"),
        ({"prediction": [1.0, 2.0], "target": [1, 2], "display": {}}, "predicted [1.0, 2.0]"),
        ({"display": {"label": "cat", "flipped_from": "dog"}}, "cat (was dog), predicted"),
    ],
)
def test_predictions(run, query, shown):
    assert shown in summarize(run([line(**query)]))


@pytest.mark.parametrize(
    ("damping", "shown"),
    [
        (0.001, "damping 0.001"),
        ({"0": 0.25, "2": 0.5, "4": 0.125}, "damping 0.125 to 0.5"),
        ({"0": 0.25, "2": 0.25}, "damping 0.25"),
        ({"a.pt": {"0": 0.25, "2": 2.0}, "b.pt": {"0": 1.0, "2": 0.5}}, "damping 0.25 to 2"),
        ({"a.pt": 0.5, "b.pt": None}, "damping 0.5"),
    ],
)
def test_dampings_of_blocks_and_checkpoints(run, damping, shown):
    assert f"trust: {shown}, 5,000 parameters (50%)\n" in summarize(run([line()], damping=damping))


def test_methods_without_damping(run):
    assert "trust: 5,000 parameters (50%)\n" in summarize(run([line()], damping=None))


def test_refined_changes_stand_beside(run):
    refined = line()
    refined["helpful"][0]["loss_change_refined"] = 0.0125
    text = summarize(run([refined]))
    header, first, second = text[text.index("  most helpful") :].splitlines()[:3]
    assert header.endswith("  loss change if removed     refined")
    assert first.endswith("+1.000e-02  +1.250e-02")
    assert second.endswith("+5.000e-03")


def test_without_refinement_there_is_no_column(run):
    assert "refined" not in summarize(run([line()]))


def test_residuals(run):
    text = summarize(run([line()], relative_residual={"median": 0.01, "largest": 0.5}))
    assert (
        "trust: damping 0.001, 5,000 parameters (50%), relative residual 0.01 (median), 0.5 "
        in text
    )


def test_warnings(run):
    text = summarize(run([line()], stopped_early=3, negative_eigenvalues=1))
    assert (
        "warning: the solver stopped early for 3 of 1,200 queries; raise the number of steps\n"
        in text
    )
    assert (
        "warning: the damped curvature has 1 negative eigenvalue: the model is at no minimum, and "
        "scores may mean little\n"
    ) in text


def test_mended_eigenvalues(run):
    text = summarize(run([line()], negative_eigenvalues=2, mended_eigenvalues=2))
    assert (
        "note: 2 eigenvalues of the curvature, negative or too small, were mended before it was "
        "inverted\n"
    ) in text
    assert "warning" not in text


def test_without_record_damping_or_queries(run):
    text = summarize(run([], training=None, damping=None))
    assert text.split("\n")[1:3] == ["trust: 5,000 parameters (50%)", ""]
    assert "query" not in text.split("\n", 1)[1].replace("for each query", "")


def test_of_a_real_run(cli):
    outcome = cli("interpret a.jsonnet -s out --set top_k=2")
    assert outcome.stdout.startswith(
        '4 queries against 24 training examples with "exact": finished\n'
    )
    first = json.loads(Path("out/interpretations.jsonl").read_text().split("\n")[0])
    for side in ("helpful", "harmful"):
        for item in first[side]:
            assert f"    {item['id']}: {item['display']['label']}" in outcome.stdout
    assert outcome.stdout.rstrip("\n") + "\n" == outcome.stdout
    again = cli("interpret a.jsonnet -s out -r --set top_k=2")
    assert again.stdout == outcome.stdout.replace(": finished\n", ": finished before\n")


def test_the_argument_of_the_default_method_is_named(run):
    text = summarize(run([line()], interpreter="simple-influence", stopped_early=3))
    assert "stopped early for 3 of 1,200 queries; raise recursion_depth\n" in text
