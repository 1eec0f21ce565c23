"""``--json``: one document on standard output, of every command, and nothing else there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hessinf.commands.json_output import print_json
from hessinf.commands.subcommand import Subcommand

ROOT = Path(__file__).resolve().parents[2]

RUN = {"command", "directory", "finished_before", "files", "metrics"}
"""The keys of every command that leaves a run and no single file of results."""

QUICK = '--set evaluation.metrics=\'{"labels": "class-detection"}\''

KEYS: dict[str, set[str]] = {
    "interpret a.jsonnet -s out": RUN | {"trust", "first_query"},
    "train a.jsonnet -s out": RUN,
    "self-influence a.jsonnet -s out": RUN | {"first"},
    "evaluate a.jsonnet -s out " + QUICK: {"problem", "metrics", "warnings"},
    "analyze a.jsonnet -s out --set analysis.plots=false": {"reference", "approximations"},
    "compare a.jsonnet b.jsonnet -s out": {
        *("format", "queries", "training_examples", "measurement", "seed", "rows", "warnings"),
        *("agreement", "evaluation", "costs"),
    },
    "validate a.jsonnet": {"config", "valid", "resolved"},
    "validate a.jsonnet --resolved": {"config", "valid", "resolved"},
    "schema": {"$schema", "title", "$defs"},
    "list": {"InfluenceInterpreter", "Subcommand"},
    "completion bash": {"shell", "script"},
}


def strict(text: str) -> Any:
    """Read JSON as every other language does: NaN is none."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(autouse=True)
def configs(workplace: Path) -> None:
    Path("b.jsonnet").write_text("(import 'ring.libsonnet') + { interpreter: 'gradient-dot' }")


@pytest.mark.parametrize("line", KEYS)
def test_documents(cli, line):
    outcome = cli(f"{line} --json")
    assert (outcome.status, outcome.stderr) == (0, "")
    found = strict(outcome.stdout)
    exact = KEYS[line] if KEYS[line] >= RUN or "valid" in KEYS[line] else found.keys()
    assert KEYS[line] <= found.keys()
    assert found.keys() == exact
    if "-s out" in line:
        again = cli(f"{line} --json -r")
        assert (again.status, again.stderr) == (0, "")
        before = {"finished_before": True} if "finished_before" in found else {}
        assert strict(again.stdout) == {**found, **before}


def test_every_command_has_it_and_names_its_keys(cli):
    tested = {line.split()[0] for line in KEYS} | {"describe", "report"}
    assert tested == set(Subcommand.catalogue.entries)
    for line, keys in KEYS.items():
        text = cli(f"{line.split()[0]} --help").stdout
        assert "\n  --json  " in text
        assert (
            "--json" in text.partition("Examples\n")[0].partition("usage:")[2].partition("\n\n")[2]
        )
        if keys >= RUN or "valid" in keys:
            assert all(f'"{key}"' in text for key in keys), line


def test_describe(cli):
    (found,) = strict(cli("describe simple-influence --json").stdout)
    text = cli("describe --help").stdout
    assert found["name"] == "simple-influence"
    assert all(f'"{key}"' in text for key in (*found, *found["arguments"][0]))


def test_report(cli):
    assert cli("interpret a.jsonnet -s out").status == 0
    found = strict(cli("report out --no-plots --json").stdout)
    assert found == {
        "directory": "out",
        "report": "out/report.html",
        "bytes": Path("out/report.html").stat().st_size,
        "plots": [],
    }


def test_of_interpret(cli):
    shown = strict(cli("interpret a.jsonnet -s out --json").stdout)
    assert shown["command"] == "interpret"
    assert shown["directory"] == "out"
    assert shown["finished_before"] is False
    assert all(Path(path).exists() for path in shown["files"].values())
    assert shown["files"]["interpretations.jsonl"] == "out/interpretations.jsonl"
    lines = Path("out/interpretations.jsonl").read_text().splitlines()
    assert shown["first_query"] == json.loads(lines[0])
    assert shown["metrics"] == json.loads(Path("out/metrics.json").read_text())
    assert all(one.keys() == {"level", "text"} for one in shown["trust"])


def test_runs_of_before_have_documents_too(cli):
    assert cli("interpret a.jsonnet -s out").status == 0
    metrics = json.loads(Path("out/metrics.json").read_text())
    for key in ("warnings", "label_names", "self_influence", "measurement"):
        del metrics[key]
    Path("out/metrics.json").write_text(json.dumps(metrics))
    for name in ("spectrum.json", "self_influence.jsonl"):
        Path("out", name).unlink()
    found = strict(cli("interpret a.jsonnet -s out -r --json").stdout)
    assert found["metrics"] == metrics
    assert found["finished_before"] is True
    assert found["trust"]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("interpret nowhere.jsonnet -s out --json", 2),
        ("validate a.jsonnet --json --set seed=x", 2),
        ("describe nothing --json", 2),
        ("list nothing --json", 2),
        ("train a.jsonnet -s out --json --set train_data_path=trian", 1),
        ("report nowhere --json", 2),
    ],
)
def test_errors_stay_where_they_are(cli, line, status):
    outcome = cli(line)
    assert (outcome.status, outcome.stdout) == (status, "")
    assert outcome.stderr == cli(line.replace(" --json", "")).stderr != ""


PROGRAM = """
from hessinf.commands.json_output import print_json
print_json({"text": "\\u732b \\x1b[2J \\ud800 </script> \\u2028"})
"""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_whatever_the_stream_can_encode(encoding):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
    )
    assert strict(done.stdout.decode(encoding)) == {"text": "猫 \x1b[2J \ud800 </script> \u2028"}


def test_what_is_no_json_is_refused(capsys):
    with pytest.raises(ValueError, match="Out of range float values"):
        print_json({"value": float("nan")})
    assert capsys.readouterr().out == ""
