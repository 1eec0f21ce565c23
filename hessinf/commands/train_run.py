"""``train`` as a Python function."""

from __future__ import annotations

from pathlib import Path

from hessinf.commands.finished_run import FinishedRun
from hessinf.commands.run import (
    choose_device,
    read_data,
    run_directory,
    train_or_load,
    write_metrics,
)
from hessinf.commands.run_config import CheckedConfig
from hessinf.commands.run_directory import RunDirectory, is_complete
from hessinf.commands.stages import Stages


def train(
    checked: CheckedConfig, directory: str | Path, *, force: bool = False, resume: bool = False
) -> FinishedRun:
    """Train the model of a config, and keep it in ``directory/model``.

    Parameters
    ----------
    checked, directory, force, resume
        As for :func:`hessinf.commands.interpret_run.interpret`.

    Returns
    -------
    FinishedRun
    """
    config = checked.build()
    target = RunDirectory(directory, force=force, resume=resume)
    target.check_config(checked.resolved())
    was_complete = target.resuming and is_complete(target.path)
    if not was_complete:
        device = choose_device(config)
        stages = Stages()
        with stages.stage("reading data") as stage:
            data = read_data(config, test=False)
            stage.examples = len(data.train)
        with run_directory(target, checked, config, data, device) as folder:
            with stages.stage("model", len(data.train)):
                _, training = train_or_load(config, checked, data, folder, device)
            metrics = {
                "command": "train",
                "training_examples": len(data.train),
                "training": training or None,
            }
            write_metrics(folder, stages, metrics, complete=True)
    return FinishedRun(target.path, was_complete)
