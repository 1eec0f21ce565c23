"""``compare`` as a Python function: several interpreters on one model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hessinf.commands.evaluation_setup import build_problem, methods
from hessinf.commands.finished_run import FinishedRun
from hessinf.commands.joined_configs import JoinedConfigs
from hessinf.commands.report_run import try_report
from hessinf.commands.row_cost import ATTRIBUTIONS, measured_cost
from hessinf.commands.run import (
    choose_device,
    metrics_of_failure,
    read_data,
    run_directory,
    write_metrics,
)
from hessinf.commands.run_directory import RunDirectory, is_complete, read_provenance
from hessinf.commands.stages import Stages
from hessinf.evaluation import evaluation
from hessinf.evaluation.agreement import agreement
from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.foreign_scores import checked_rows
from hessinf.evaluation.method_attribution import MethodAttribution
from hessinf.evaluation.problem import Problem
from hessinf.evaluation.row_folder import row_folder
from hessinf.evaluation.scores_file import read_scores
from hessinf.registry.plan import as_json
from hessinf.reporting.comparison_page import comparison_html
from hessinf.runtime.files import write_json_atomically
from hessinf.runtime.run_files import COMPARISON

COMMAND = "compare"

FILE = "a file of scores"
"""Where a row comes from that no config's interpreter has made."""

FORMAT = 1
"""The version of the results' layout."""


class FinishedComparison(FinishedRun):
    """What :func:`compare` leaves."""

    @property
    def comparison(self) -> dict[str, Any]:
        """What ``comparison.json`` says."""
        return self.json_of(COMPARISON)

    @property
    def costs(self) -> dict[str, Any]:
        """What each row took, by name."""
        found: dict[str, Any] = self.metrics["rows"]
        return found

    def _repr_html_(self) -> str:
        return comparison_html(self.comparison, self.costs)


def compare(
    joined: JoinedConfigs,
    directory: str | Path,
    *,
    force: bool = False,
    resume: bool = False,
) -> FinishedComparison:
    """Compare the interpreters of several configs, and write everything to a directory.

    Parameters
    ----------
    joined
        What :func:`hessinf.commands.joined_configs.join_configs` made of the configs.
    directory, force, resume
        As for :func:`hessinf.commands.interpret_run.interpret`.

    Returns
    -------
    FinishedComparison
    """
    checked = joined.checked
    config = checked.build()
    settings = config.evaluation
    if settings is None:
        raise ValueError("a joined config has an evaluation")
    target = RunDirectory(directory, force=force, resume=resume)
    target.check_config(checked.resolved())
    finished = FinishedComparison(target.path, was_complete=True)
    if (
        target.resuming
        and is_complete(target.path, COMMAND)
        and (finished.comparison["evaluation"] is not None) == joined.evaluated
    ):
        return finished
    device = choose_device(config)
    stages = Stages()
    with stages.stage("reading data") as stage:
        data = read_data(config, test=True)
        shape = (len(data.test or ()), len(data.train))
        stage.examples = sum(shape)
        given = {
            name: read_scores(name, file, shape) for name, file in settings.score_files().items()
        }
    with (
        run_directory(target, checked, config, data, device) as folder,
        metrics_of_failure(folder, stages),
    ):
        problem = build_problem(
            config, checked, data, folder, device, settings=settings, stages=stages
        )
        rows: dict[str, Attribution] = {}
        costs = {}
        for name, method in methods(config, settings).items():
            with stages.stage(f"measuring {name}"):
                costs[name] = measured_cost(folder, name)
            kept = row_folder(folder / ATTRIBUTIONS, name)
            rows[name] = MethodAttribution(name, method, problem, kept)
        if given:
            with stages.stage("checking scores"):
                rows |= checked_rows(
                    given,
                    problem,
                    provenance=read_provenance(folder),
                    folder=folder / ATTRIBUTIONS,
                )
        found = None
        if joined.evaluated:
            found = evaluation.evaluate(
                problem, settings.metrics, rows, folder=folder / ATTRIBUTIONS, stage=stages.stage
            )
        with stages.stage("agreement"):
            matrices = {name: row.scores() for name, row in rows.items()}
            compared = agreement(matrices, top_k=config.top_k).to_json()
        result = {
            "format": FORMAT,
            **_facts(joined, problem, rows),
            "agreement": compared,
            "evaluation": found,
        }
        write_json_atomically(folder / COMPARISON, result)
        metrics = {"command": COMMAND, "rows": costs}
        write_metrics(folder, stages, metrics, complete=True)
        try_report(folder, with_plots=True)
    return FinishedComparison(target.path, was_complete=False)


def _facts(
    joined: JoinedConfigs, problem: Problem, rows: Mapping[str, Attribution]
) -> dict[str, Any]:
    """Say what was compared, as JSON."""
    return {
        "queries": len(problem.queries),
        "training_examples": len(problem.train),
        "measurement": as_json(problem.measurement),
        "seed": problem.seed,
        "rows": [
            {"name": name, "from": joined.sources.get(name, FILE), **row.facts()}
            for name, row in rows.items()
        ],
        "warnings": list(problem.warnings),
    }
