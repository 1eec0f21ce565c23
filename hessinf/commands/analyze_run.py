"""``analyze`` as a Python function: from a checked config to a directory of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hessinf.commands.early_checks import without_log
from hessinf.commands.finished_run import FinishedRun
from hessinf.commands.run import (
    RunData,
    choose_device,
    make_model,
    metrics_of_failure,
    read_data,
    run_directory,
    train_or_load,
    trained_with,
    write_metrics,
)
from hessinf.commands.run_config import CheckedConfig, RunConfig
from hessinf.commands.run_directory import RunDirectory, is_complete
from hessinf.commands.stages import Stages
from hessinf.evaluation.analysis import CurvatureAnalysis, curvature_analysis
from hessinf.evaluation.analysis_config import AnalysisConfig
from hessinf.evaluation.analysis_store import AnalysisStore
from hessinf.interpreters import InfluenceInterpreter
from hessinf.registry import ConfigError, Lazy, Problem
from hessinf.registry.plan import as_json
from hessinf.reporting.plots.analysis_plots import draw_analysis
from hessinf.reporting.plots.figures import plots_available
from hessinf.runtime.files import write_json_atomically
from hessinf.runtime.finite_json import finite_json
from hessinf.runtime.run_files import ANALYSIS, PLOTS

COMMAND = "analyze"
PARTS = "analysis"

LEFT_OUT = (
    "no plots were drawn, since matplotlib is not installed; pip install 'hessinf[plots]', and run "
    "again with -f"
)


def analyze(
    checked: CheckedConfig, directory: str | Path, *, force: bool = False, resume: bool = False
) -> FinishedRun:
    """Compare the curvatures of a config, and write everything to a directory.

    Parameters
    ----------
    checked, directory, force, resume
        As for :func:`hessinf.commands.interpret_run.interpret`.

    Returns
    -------
    FinishedRun
    """
    config = checked.build()
    settings = config.analysis or AnalysisConfig()
    target = RunDirectory(directory, force=force, resume=resume)
    target.check_config(checked.resolved())
    was_complete = target.resuming and is_complete(target.path, COMMAND)
    if not was_complete:
        drawing = wants_plots(settings)
        device = choose_device(config)
        stages = Stages()
        with stages.stage("reading data") as stage:
            data = read_data(config, test=False)
            stage.examples = len(data.train)
        check_before_training(config, settings, data, device)
        with (
            run_directory(target, checked, config, data, device) as folder,
            metrics_of_failure(folder, stages),
        ):
            with stages.stage("model") as stage:
                module, training = train_or_load(config, checked, data, folder, device, stage)
            analysis = _prepared(config, settings, module, training, data, device)
            store = AnalysisStore(folder / PARTS)
            found = analysis.run(store, stages.stage)
            found = finite_json({"settings": as_json(settings), **found})
            write_json_atomically(folder / ANALYSIS, found)
            if drawing:
                with stages.stage("plots"):
                    names = [source.name for source in analysis.sources]
                    arrays = {name: store.arrays(name) for name in names}
                    draw_analysis(found, arrays, folder / PLOTS)
            metrics = {
                "command": COMMAND,
                "mode": found["mode"],
                "parameters": analysis.size,
                "training_examples": len(data.train),
                "training": training or None,
                "plots_left_out": None if drawing or settings.plots is False else LEFT_OUT,
            }
            write_metrics(folder, stages, metrics, complete=True)
    if not settings.keep_matrices:  # also those that a run left which was killed here
        AnalysisStore(target.path / PARTS).remove_matrices()
    return FinishedRun(target.path, was_complete)


def wants_plots(settings: AnalysisConfig) -> bool:
    """Say whether plots are to be drawn; refuse them at once where they cannot be.

    Parameters
    ----------
    settings
        What the config says.

    Raises
    ------
    ConfigError
        When they are asked for, and matplotlib is not installed.
    """
    installed = plots_available()
    if settings.plots is True and not installed:
        raise ConfigError(
            [
                Problem(
                    "analysis.plots",
                    "true needs matplotlib, which is not installed: pip install 'hessinf[plots]', "
                    'or set it to false, or to "auto" for plots where they can be drawn',
                )
            ]
        )
    return installed if settings.plots == "auto" else settings.plots


def check_before_training(
    config: RunConfig, settings: AnalysisConfig, data: RunData, device: torch.device
) -> None:
    """Find what would stop the analysis after training: blocks, methods, memory.

    Parameters
    ----------
    config, settings, data, device
        Of the run.
    """
    with without_log():
        model = make_model(config, data)
        training = dict(getattr(model, "training", {}))
        _prepared(config, settings, model.module, training, data, device)


def _prepared(
    config: RunConfig,
    settings: AnalysisConfig,
    module: torch.nn.Module,
    training: dict[str, Any],
    data: RunData,
    device: torch.device,
) -> CurvatureAnalysis:
    def make(method: Lazy[InfluenceInterpreter]) -> InfluenceInterpreter:
        return method.construct(
            model=module,
            train_data=data.train,
            objective=config.objective,
            measurement=config.measurement,
            **trained_with(config, training),
            device=device,
            executor=config.executor,
            seed=config.seed,
            params_to_freeze=settings.params_to_freeze,
            **config.data_loader.arguments(),
        )

    return curvature_analysis(settings, make, config.seed)
