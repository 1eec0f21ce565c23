from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hessinf.reporting.image_texts import ImageText
from hessinf.reporting.reported_run import (
    ReportedRun,
    ReportError,
    is_comparison,
    read_reported_run,
)

RANKED = '{"index": 0, "id": "a", "display": {}, "target": 1, "self_influence": 1, "loss": 2}\n'

LINE = {"query": {"id": "q"}, "helpful": [], "harmful": []}


@pytest.fixture
def run(tmp_path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    put(folder, "provenance.json", {"hessinf": "0.1.0", "config": {"file": "a/b/c.jsonnet"}})
    put(folder, "metrics.json", {"complete": True, "command": "interpret", "warnings": ["w"]})
    put(folder, "config.json", {"seed": 3})
    (folder / "interpretations.jsonl").write_text(json.dumps(LINE) + "\n")
    return folder


def put(folder: Path, name: str, value) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(value), encoding="utf-8")


def refusal(folder) -> str:
    with pytest.raises(ReportError) as error:
        list(read_reported_run(folder).interpretations)
    return str(error.value)


def test_a_run_is_read(run):
    put(run, "spectrum.json", {"blocks": []})
    found = read_reported_run(run)
    assert list(found.interpretations) == [LINE]
    assert list(found.interpretations) == [LINE]  # again
    assert found.complete
    assert found.config == {"seed": 3}
    assert found.spectrum == {"blocks": []}
    assert found.warnings == ["w"]
    assert found.self_influence is None
    assert found.title == "b/c"


def test_images_stay_texts(run):
    line = {**LINE, "query": {"display": {"image": [[1, 2]]}}}
    (run / "interpretations.jsonl").write_text(json.dumps(line))
    (found,) = read_reported_run(run).interpretations
    assert isinstance(found["query"]["display"]["image"], ImageText)


def test_a_run_of_an_earlier_version_has_its_warnings_in_the_log(run):
    put(run, "metrics.json", {"complete": True, "command": "interpret"})
    (run / "log.txt").write_text(
        "2026-01-02 10:00:00,123 INFO hessinf.commands.run: WARNING: no\n"
        "2026-01-02 10:00:00,123 WARNING hessinf.curvature.inversion: not positive: a\n"
        "2026-01-02 10:00:01,000 WARNING hessinf.curvature.inversion: not positive: a\n"
        "  WARNING of a traceback\n"
        "2026-01-02 10:00:02,000 WARNING hessinf.solvers.lissa: <b>\n"
    )
    assert read_reported_run(run).warnings == ["not positive: a", "<b>"]
    (run / "log.txt").unlink()
    assert read_reported_run(run).warnings == []


def test_a_run_that_was_killed_has_its_queries_in_shards(run):
    (run / "metrics.json").unlink()
    for start in (0, 16):
        shard = f"shards/interpretations-{start:08d}-{start + 16:08d}.jsonl"
        put(run, shard, {**LINE, "query": {"id": start}})
    found = read_reported_run(run)
    assert [line["query"]["id"] for line in found.interpretations] == [0, 16]
    assert not found.complete


def test_shards_that_a_finished_run_left_are_not_read(run):
    put(run, "shards/interpretations-00000000-00000016.jsonl", {**LINE, "query": {"id": "old"}})
    assert list(read_reported_run(run).interpretations) == [LINE]


def test_a_ranking_alone_is_something_to_show(run):
    (run / "interpretations.jsonl").unlink()
    (run / "self_influence.jsonl").write_text(RANKED)
    found = read_reported_run(run)
    assert list(found.interpretations) == []
    assert [line["index"] for line in found.self_influence or ()] == [0]


def test_what_is_no_directory_is_refused(tmp_path):
    missing = tmp_path / "missing"
    assert refusal(missing) == f"{missing} does not exist, expected the directory of a run (its -s)"
    file = tmp_path / "file"
    file.touch()
    assert refusal(file) == f"{file} is a file, expected the directory of a run (its -s)"


def test_what_is_no_run_is_refused(tmp_path):
    assert refusal(tmp_path) == (
        f"{tmp_path} is no run of hessinf's (it has no provenance.json); give the directory that "
        "was -s of hessinf interpret"
    )


@pytest.mark.parametrize("empty", [True, False])
def test_a_run_without_queries_is_refused(run, empty):
    put(run, "metrics.json", {"complete": False})
    file = run / "interpretations.jsonl"
    file.write_text("") if empty else file.unlink()
    assert refusal(run) == (
        f"{run} has no results yet: the run ended before the first of them were finished; go on "
        "with it (-r)"
    )


def test_a_run_of_another_command_is_refused(run):
    (run / "interpretations.jsonl").unlink()
    put(run, "metrics.json", {"complete": True, "command": "evaluate"})
    assert refusal(run) == (
        f"{run} was left by hessinf evaluate, which explains no predictions; a report shows runs "
        "of hessinf interpret, self-influence and compare"
    )


@pytest.mark.parametrize("name", ["metrics.json", "config.json", "spectrum.json"])
def test_broken_files_are_named(run, name):
    (run / name).write_text("{")
    assert re.fullmatch(re.escape(f"cannot read {run / name}: ") + "Expecting .*", refusal(run))
    (run / name).write_text("[]")
    assert refusal(run) == f"{run / name} holds no JSON object"


def test_broken_lines_are_numbered(run):
    file = run / "interpretations.jsonl"
    good = json.dumps(LINE) + "\n"
    file.write_text(good + '{"query": ')
    assert refusal(run).startswith(f"cannot read {file}, line 2: Expecting value")
    file.write_text(good + "[]\n")
    assert refusal(run) == f"{file}, line 2: this is no JSON object"
    file.write_text(good + '{"query": {}}\n')
    assert refusal(run) == f"{file}, line 2: this is no interpretation"
    for one in (
        {**LINE, "query": 3},
        {**LINE, "query": {}, "helpful": {}},
        {**LINE, "query": {}, "harmful": ["a"]},
    ):
        file.write_text(good + json.dumps(one))
        assert refusal(run) == f"{file}, line 2: this is no interpretation"
    file.write_bytes(b'{"query": "\xff"}')
    assert refusal(run).startswith(f"cannot read {file}, line 1: 'utf-8' codec can't decode")


@pytest.mark.parametrize("left", [0, 2])
def test_a_finished_run_that_has_lost_queries_is_refused(run, left):
    put(run, "metrics.json", {"complete": True, "command": "interpret", "queries": 3})
    file = run / "interpretations.jsonl"
    file.write_text((json.dumps(LINE) + "\n") * left)
    (run / "self_influence.jsonl").write_text(RANKED)
    assert refusal(run) == (
        f"{file} has {left} of the 3 interpretations that metrics.json counts; was it cut off? "
        "Copy the run again, or make it again (hessinf interpret -f)"
    )
    file.write_text((json.dumps(LINE) + "\n") * 3)
    assert len(list(read_reported_run(run).interpretations)) == 3


def test_a_broken_ranking_is_numbered(run):
    file = run / "self_influence.jsonl"
    for broken, why in (
        ('{"index": 0, "self', f"cannot read {file}, line 2: Unterminated string .*"),
        ("[]", f"{file}, line 2: this is no example of a ranking"),
        ('{"index": 0, "loss": 1}', f"{file}, line 2: this is no example of a ranking"),
    ):
        file.write_text(RANKED + broken)
        with pytest.raises(ReportError) as error:
            list(read_reported_run(run).self_influence or ())
        assert re.fullmatch(why, str(error.value))


@pytest.mark.parametrize(
    "blocks", [3, [3], [{"name": "0"}], [{"count": 1, "eigenvalues": 1, "ranks": [], "damping": 0}]]
)
def test_a_spectrum_that_is_none_is_refused(run, blocks):
    put(run, "spectrum.json", {"blocks": blocks})
    assert refusal(run) == f"{run / 'spectrum.json'} holds no spectrum"


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("configs/digits/noisy.jsonnet", "digits/noisy"),
        ("noisy.json", "noisy"),
        ("./noisy.json", "noisy"),
        ("../noisy.json", "noisy"),
        ("/noisy.json", "noisy"),
        ("", "ekfac"),
        (None, "ekfac"),
    ],
)
def test_the_title_is_the_configs_name(file, title):
    run = ReportedRun(metrics={"interpreter": "ekfac"}, provenance={"config": {"file": file}})
    assert run.title == title


def test_the_interpreter_is_known_from_the_config_too():
    assert ReportedRun(config={"interpreter": {"type": "kfac"}}).interpreter == "kfac"
    assert ReportedRun().interpreter == ""
    assert ReportedRun().title == "Run"


def test_a_comparison_is_told_by_its_file(run):
    assert not is_comparison(run)
    put(run, "comparison.json", {})
    assert is_comparison(run)
