"""``self-influence`` as a Python function."""

from __future__ import annotations

from pathlib import Path

from hessinf.commands.finished_run import FinishedRun
from hessinf.commands.run import (
    choose_device,
    fit_or_restore,
    make_interpreter,
    read_data,
    run_directory,
    train_or_load,
    write_metrics,
)
from hessinf.commands.run_config import CheckedConfig
from hessinf.commands.run_directory import RunDirectory, is_complete
from hessinf.commands.run_facts import method_facts, write_self_influence, write_spectrum
from hessinf.commands.stages import Stages
from hessinf.runtime.run_files import LOG

COMMAND = "self-influence"


def self_influence(
    checked: CheckedConfig, directory: str | Path, *, force: bool = False, resume: bool = False
) -> FinishedRun:
    """Rank the training examples of a config by self-influence, the largest first.

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
    was_complete = target.resuming and is_complete(target.path, COMMAND)
    if not was_complete:
        device = choose_device(config)
        stages = Stages()
        with stages.stage("reading data") as stage:
            data = read_data(config, test=False)
            stage.examples = len(data.train)
        with run_directory(target, checked, config, data, device) as folder:
            with stages.stage("model", len(data.train)):
                module, training = train_or_load(config, checked, data, folder, device)
            with stages.stage("fitting the interpreter", len(data.train)):
                interpreter = make_interpreter(config, module, training, data, device)
                fit_or_restore(interpreter, folder)
            with stages.stage("self-influence", len(data.train)):
                found = write_self_influence(folder, interpreter, True)
            write_spectrum(folder, interpreter)
            metrics = method_facts(COMMAND, interpreter, training, data.train, folder / LOG) | {
                "self_influence": found
            }
            write_metrics(folder, stages, metrics, complete=True)
    return FinishedRun(target.path, was_complete)
