"""``train`` as a Python function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
) -> str:
    """Train the model of a config, and keep it in ``directory/model``.

    Parameters
    ----------
    checked, directory, force, resume
        As for :func:`hessinf.commands.interpret_run.interpret`.

    Returns
    -------
    str
        What was reached, in words.
    """
    config = checked.build()
    target = RunDirectory(directory, force=force, resume=resume)
    target.check_config(checked.resolved())
    if not (target.resuming and is_complete(target.path)):
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
    metrics = json.loads((target.path / "metrics.json").read_text(encoding="utf-8"))
    return describe_training(metrics.get("training") or {}, target.path / "model")


def describe_training(training: dict[str, Any], archive: Path) -> str:
    """Say how near its minimum a model is, and where it lies."""
    if "gradient_norm" not in training:
        return f"the model has no record of training\nmodel archive: {archive}"
    lines = [
        f"trained for {training['epochs']} epochs ({training['stopped_because']}): "
        f"loss {training['loss']:.6g}, objective {training['objective']:.6g}",
        f"gradient norm {training['gradient_norm']:.3g} (0 at a minimum)"
        + (
            ""
            if training.get("tolerance_reached") is None
            else f", tolerance {training['gradient_tolerance']:.3g} "
            + ("reached" if training["tolerance_reached"] else "NOT reached")
        ),
        f"model archive: {archive}",
    ]
    return "\n".join(lines)
