"""``self-influence`` as a Python function."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

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
from hessinf.commands.stages import Stages
from hessinf.commands.summary import shown_label
from hessinf.interpreters.diagnostics import applied_damping
from hessinf.runtime.files import write_atomically

COMMAND = "self-influence"
NAME = "self_influence.jsonl"
SHOWN = 10


def self_influence(
    checked: CheckedConfig, directory: str | Path, *, force: bool = False, resume: bool = False
) -> str:
    """Rank the training examples of a config by self-influence, the largest first.

    Parameters
    ----------
    checked, directory, force, resume
        As for :func:`hessinf.commands.interpret_run.interpret`.

    Returns
    -------
    str
        The first of the ranking, in words.
    """
    config = checked.build()
    target = RunDirectory(directory, force=force, resume=resume)
    target.check_config(checked.resolved())
    if not (target.resuming and is_complete(target.path, COMMAND)):
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
                values = interpreter.self_influence()  # [N]
                losses = interpreter.train_losses()  # [N]
            order = np.argsort(-values, kind="stable")  # [N]; ties by training index
            lines = []
            for rank, index in enumerate(order.tolist()):
                instance = data.train[index]
                lines.append(
                    {
                        "rank": rank,
                        "index": index,
                        "id": instance.id,
                        "display": instance.display,
                        "self_influence": float(values[index]),
                        "loss": float(losses[index]),
                        "target": instance.target.tolist(),
                    }
                )
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            write_atomically(folder / NAME, text)
            metrics = {
                "command": COMMAND,
                "training_examples": len(data.train),
                "training": training or None,
                "damping": applied_damping(interpreter),
            }
            write_metrics(folder, stages, metrics, complete=True)
    return _first_lines(target.path / NAME)


def _first_lines(file: Path) -> str:
    lines = [f"{'training example':<24} {'label':<14} {'self-influence':>14} {'loss':>10}"]
    with open(file, encoding="utf-8") as ranked:
        for _, line in zip(range(SHOWN), ranked, strict=False):
            entry = json.loads(line)
            label = shown_label(entry["display"], entry["target"])
            lines.append(
                f"{entry['id']:<24} {label:<14} {entry['self_influence']:>14.4g} "
                f"{entry['loss']:>10.4g}"
            )
    return "\n".join([*lines, "", f"all of them: {file}"])
