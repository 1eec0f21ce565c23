"""``evaluate`` as a Python function: from a checked config to a directory of results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hessinf.commands.evaluation_setup import (
    FURTHER_MODELS,
    build_problem,
    check_methods,
    check_metrics,
    methods,
    untrained_problem,
)
from hessinf.commands.finished_run import FinishedRun
from hessinf.commands.run import (
    archive_config,
    check_before_training,
    choose_device,
    make_model,
    metrics_of_failure,
    read_data,
    run_directory,
    write_metrics,
)
from hessinf.commands.run_config import CheckedConfig
from hessinf.commands.run_directory import RunDirectory, is_complete, read_provenance
from hessinf.commands.stages import Stages
from hessinf.evaluation import evaluation
from hessinf.evaluation.evaluation_config import EvaluationConfig
from hessinf.evaluation.foreign_scores import checked_rows
from hessinf.evaluation.result_tables import results_html
from hessinf.evaluation.scores_file import read_scores
from hessinf.runtime.files import write_json_atomically
from hessinf.runtime.run_files import EVALUATION

COMMAND = "evaluate"
ATTRIBUTIONS = "attributions"


class FinishedEvaluation(FinishedRun):
    """What :func:`evaluate` leaves."""

    @property
    def results(self) -> Path:
        """The file with all results."""
        return self.directory / EVALUATION

    def _repr_html_(self) -> str:
        return results_html(self.json_of(EVALUATION))


def evaluate(
    checked: CheckedConfig, directory: str | Path, *, force: bool = False, resume: bool = False
) -> FinishedEvaluation:
    """Judge the attributions of a config, and write everything to a directory.

    Parameters
    ----------
    checked, directory, force, resume
        As for :func:`hessinf.commands.interpret_run.interpret`.

    Returns
    -------
    FinishedEvaluation
    """
    config = checked.build()
    settings = config.evaluation or EvaluationConfig()
    target = RunDirectory(directory, force=force, resume=resume)
    target.check_config(checked.resolved())
    if (
        target.resuming
        and is_complete(target.path, COMMAND)
        and _readable(target.path / EVALUATION)
    ):
        return FinishedEvaluation(target.path, was_complete=True)
    device = choose_device(config)
    stages = Stages()
    with stages.stage("reading data") as stage:
        data = read_data(config, test=True)
        assert data.test is not None
        shape = (len(data.test), len(data.train))
        stage.examples = sum(shape)
        # Before a long run: what is wrong with a file is found now.
        given = {
            name: read_scores(name, file, shape) for name, file in settings.score_files().items()
        }
        check_before_training(config, data, device)
        check_methods(config, settings, data, device)
        check_metrics(
            settings,
            untrained_problem(config, checked, data, target.path, device, settings=settings),
        )
    with (
        run_directory(target, checked, config, data, device) as folder,
        metrics_of_failure(folder, stages),
    ):
        problem = build_problem(
            config, checked, data, folder, device, settings=settings, stages=stages
        )
        rows: dict[str, Any] = dict(methods(config, settings))
        if given:
            with stages.stage("checking scores"):
                rows |= checked_rows(
                    given,
                    problem,
                    provenance=read_provenance(folder),
                    folder=folder / ATTRIBUTIONS,
                    models_folder=folder / FURTHER_MODELS,
                    archive_config=archive_config(config, checked, make_model(config, data)),
                )
        found = evaluation.evaluate(
            problem,
            settings.metrics,
            rows,
            folder=folder / ATTRIBUTIONS,
            stage=stages.stage,
        )
        write_json_atomically(folder / EVALUATION, found)
        write_metrics(folder, stages, _metrics(found), complete=True)
    return FinishedEvaluation(target.path, was_complete=False)


def _readable(results: Path) -> bool:
    """Whether results are there; where somebody has broken them, they are made again."""
    try:
        return isinstance(json.loads(results.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False


def _metrics(found: Mapping[str, Any]) -> dict[str, Any]:
    problem = found["problem"]
    return {
        "command": COMMAND,
        "queries": problem["queries"]["examples"],
        "training_examples": problem["train"]["examples"],
        "training": problem["models"][0]["training"] or None,
    }
