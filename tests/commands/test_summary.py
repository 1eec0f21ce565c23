"""What a finished run shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hessinf.commands.interpret_run import FinishedInterpretations
from hessinf.commands.summary import document, summarize
from hessinf.display.terminal import Style
from hessinf.reporting.trust_statements import trust_statements
from tests.reporting.made_up_lines import influence, interpretation


def listed(
    id: str, target: int, score: float, change: float | None, **display: Any
) -> dict[str, Any]:
    return influence(0, score, id=id, target=target, loss_change_if_removed=change, display=display)


def line(**query: Any) -> dict[str, Any]:
    return interpretation(
        0,
        [
            listed("train/7", 0, 2.5, 0.01, label="cat"),
            listed("train/3", 1, 1.5, 0.005, label="dog", flipped_from="cat"),
        ],
        [listed("a-very-long-identifier/of-a-file.png", 1, -3.0, None, label="dog")],
        diagnostics={},
        **{
            "display": {"label": "cat"},
            "probability": {"prediction": 0.75, "target": 0.25},
            "target": 0,
            **query,
        },
    )


STAGE = {
    "name": "reading data",
    "seconds": 0.0421,
    "cpu_seconds": 0.04,
    "peak_memory_bytes": 203 * 2**20,
    "peak_gpu_memory_bytes": None,
    "examples": 35200,
    "examples_per_second": 836104.51,
}

METRICS = {
    "command": "interpret",
    "interpreter": "exact",
    "queries": 1200,
    "training_examples": 34000,
    "label_names": ["cat", "dog"],
    "damping": 0.001,
    "parameters": {"covered": 5000, "share": 0.5},
    "training": {"loss": 0.125, "gradient_norm": 1e-6},
    "stopped_early": 0,
    "warnings": [],
    "stages": [STAGE, {**STAGE, "name": "model", "seconds": 12.34, "examples_per_second": None}],
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(lines: list[dict], *, was_complete: bool = False, **metrics: Any) -> Any:
        folder = Path("run")
        folder.mkdir(exist_ok=True)
        (folder / "metrics.json").write_text(json.dumps({**METRICS, **metrics}))
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "interpretations.jsonl").write_text(text)
        return FinishedInterpretations(folder, was_complete)

    return make


def table(text: str) -> list[str]:
    """Return the lines of the table of examples."""
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("query "))
    return lines[start + 1 : lines.index("", start)]


def test_to_the_letter(run):
    finished = run([line()])
    (finished.directory / "report.html").touch()
    assert summarize(finished) == (
        '1,200 queries against 34,000 training examples with "exact": finished\n'
        "\n"
        "stage           time  examples/s  memory at most\n"
        "reading data   42 ms     836,105         203 MiB\n"
        "model         12.3 s                     203 MiB\n"
        "all stages    12.4 s\n"
        "\n"
        "query test/0: cat, predicted dog (75.0 %), loss 0.250\n"
        "                                                                 loss change\n"
        "  most helpful                            label           score   if removed\n"
        "    train/7                               cat            +2.500      +0.0100\n"
        "    train/3                               dog (was cat)  +1.500     +0.00500\n"
        "  most harmful\n"
        "    a-very-long-identifier/of-a-file.png  dog            -3.000\n"
        "\n"
        "how far to believe it\n"
        "  note     The gradient of the training objective has the norm 1.00e-6.\n"
        "  note     Damping λ is 0.001: where the training loss curves less than that, scores are "
        "held back.\n"
        "           A larger λ makes them calmer, a smaller one closer to retraining.\n"
        "  note     5,000 parameters, 50.0 % of the model's, are covered: what training examples "
        "do to the\n"
        "           others is left out.\n"
        "\n"
        "open run/report.html in a browser: every query with its training examples, the suspects, "
        "plots\n"
        "results in run:\n"
        "  report.html            every query with its training examples, the suspects, plots\n"
        "  interpretations.jsonl  helpful and harmful training examples of each query\n"
        "  metrics.json           seconds and memory by stage, damping, residuals"
    )


def test_without_a_page_it_is_said_how_to_make_one(run):
    shown = summarize(run([line()]))
    assert (
        "\n\nhessinf report run makes a page of these results, for a browser\nresults in run:\n"
    ) in shown


def test_finished_before(run):
    assert '"exact": finished before\n' in summarize(run([line()], was_complete=True))


def test_one_of_each(run):
    shown = summarize(run([line()], queries=1, training_examples=1))
    assert shown.startswith('1 query against 1 training example with "exact": finished\n')


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"prediction": 0}, "cat, predicted cat (75.0 %), loss"),
        ({"prediction": 1, "probability": None}, "cat, predicted dog, loss"),
        ({"prediction": 2}, "cat, predicted 2 (75.0 %), loss"),
        (
            {"prediction": 3.25, "probability": None, "target": [3.0], "display": {"row": {}}},
            ": 3, predicted 3.250, loss",
        ),
        (
            {"prediction": [3.25], "probability": None, "target": [3.0], "display": {}},
            ": 3, predicted 3.250, loss",
        ),
        (
            {"prediction": [1.0, 2.0], "probability": None, "target": [1, 2], "display": {}},
            ": [1, 2], predicted [1, 2], loss",
        ),
        (
            {"display": {"label": "cat", "flipped_from": "dog"}},
            "cat (was dog), predicted dog (75.0 %), loss",
        ),
        ({"display": {"target": 151.0}}, ": 151, predicted dog"),
    ],
)
def test_predictions(run, query, shown):
    assert shown in summarize(run([line(**query)]))


def test_runs_of_before_name_classes_by_their_examples(run):
    old = line()
    del old["query"]["probability"]
    metrics = {"label_names": None, "stages": [STAGE]}
    assert "query test/0: cat, predicted dog, loss 0.250\n" in summarize(run([old], **metrics))


def test_refined_changes_stand_beside(run):
    refined = line()
    refined["helpful"][0]["loss_change_refined"] = 0.0125
    top, header, first, second, *_ = table(summarize(run([refined])))
    assert top.split() == ["loss", "change"]
    assert header.endswith("  if removed  refined")
    assert first.endswith("     +0.0100  +0.0125")
    assert second.endswith("    +0.00500")


def test_without_refinement_there_is_no_column(run):
    assert "refined" not in summarize(run([line()]))


def test_trust_is_that_of_the_report(run):
    metrics = {"relative_residual": {"median": 0.01, "largest": 0.5}, "stopped_early": 3}
    finished = run([line()], **metrics)
    words = " ".join(summarize(finished).split())
    statements = trust_statements({**METRICS, **metrics}, {})
    assert {level for level, _ in statements} == {"note", "warning"}
    for level, text in statements:
        assert f" {level} {text}" in words


def test_warnings_of_the_log_are_repeated(run):
    shown = summarize(run([line()], warnings=["the labels of \x1b[2J are odd"]))
    assert "\n  warning  the labels of \\x1b[2J are odd\n" in shown


def test_without_record_damping_or_queries(run):
    shown = summarize(run([], training=None, damping=None, stages=[]))
    assert shown.split("\n")[1:3] == ["", "how far to believe it"]
    assert "query" not in shown.split("\n", 1)[1].replace("of each query", "")


def test_ids_are_cut_in_the_middle_and_texts_at_the_end(run):
    long = line(display={"text": "so good " * 30, "label": "cat"})
    long["helpful"][0]["id"] = f"train/{'x' * 80}/000123.png"
    long["helpful"][0]["display"]["text"] = "well made " * 30
    shown = summarize(run([long]), width=80)
    text, _, header, first, *_ = table(shown)
    assert text == f"  {('so good ' * 30)[:77]}…"
    assert header.split() == ["most", "helpful", "label", "text", "score", "if", "removed"]
    assert first == (
        "    train/xx…00123.png  cat            well made well made…  +2.500      +0.0100"
    )
    assert max(map(len, shown.splitlines())) == 80


def test_names_in_wide_characters_are_aligned(run):
    wide = line()
    wide["helpful"][0]["display"]["label"] = "猫 (ねこ)"
    first, second = table(summarize(run([wide])))[2:4]
    assert first.index("+2.500") + 3 == second.index("+1.500")


def test_what_data_may_do_to_a_terminal_it_cannot(run):
    evil = line(id="\x1b]0;owned\x07", display={"label": "a\nb", "text": "\u202eback\x1b[2J"})
    evil["helpful"][0]["id"] = "\x1b[31m\ud800"
    evil["helpful"][0]["display"] = {"label": "\r\x9b2J", "flipped_from": "\x08"}
    shown = summarize(run([evil]))
    assert all(character.isprintable() for character in shown.replace("\n", ""))
    assert "query \\x1b]0;owned\\x07: a b, predicted dog (75.0 %)" in shown
    assert "\n  \\u202eback\\x1b[2J\n" in shown
    assert "\\x1b[31m\\ud800" in shown
    assert "\\x9b2J (was \\x08)" in shown


def test_colors(run):
    shown = summarize(run([line()]), style=Style(colored=True))
    assert "\x1b[1mquery test/0: cat, predicted dog (75.0 %), loss 0.250\x1b[0m\n" in shown
    assert "\x1b[32m+2.500\x1b[0m" in shown
    assert "\x1b[31m-3.000\x1b[0m" in shown
    assert "\n  \x1b[2mnote\x1b[0m     Damping" in shown
    plain = shown
    for code in (0, 1, 2, 31, 32, 33):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == summarize(run([line()]))


def test_as_json(run):
    finished = run([line()], was_complete=True)
    assert document(finished) == {
        "command": "interpret",
        "directory": "run",
        "finished_before": True,
        "files": {
            "interpretations.jsonl": "run/interpretations.jsonl",
            "metrics.json": "run/metrics.json",
        },
        "trust": [{"level": level, "text": text} for level, text in trust_statements(METRICS, {})],
        "first_query": line(),
        "metrics": METRICS,
    }


def test_as_json_without_queries(run):
    assert document(run([]))["first_query"] is None


def test_of_a_real_run(cli):
    outcome = cli("interpret a.jsonnet -s out --set top_k=2")
    assert outcome.stdout.startswith(
        '4 queries against 24 training examples with "exact": finished\n'
    )
    first = json.loads(Path("out/interpretations.jsonl").read_text().split("\n")[0])
    for side in ("helpful", "harmful"):
        for item in first[side]:
            assert f"\n    {item['id']}" in outcome.stdout
    assert outcome.stdout.rstrip("\n") + "\n" == outcome.stdout
    again = cli("interpret a.jsonnet -s out -r --set top_k=2")
    assert again.stdout == outcome.stdout.replace(": finished\n", ": finished before\n")
