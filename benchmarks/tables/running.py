"""Makes the runs of a table, each in a directory of its own that is used again when it is whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.tables import closed_forms, rivals
from benchmarks.tables.definition import FOLDER, Run, Table
from hessinf.commands import analyze_run, evaluate_run
from hessinf.commands.run_config import CheckedConfig, checked_config
from hessinf.registry import Config
from hessinf.runtime.files import write_json_atomically
from hessinf.runtime.run_files import ANALYSIS, EVALUATION

GROUND_TRUTH = "ground_truth"
CPU = "cpu.json"
DIRECTORY = "run"
RIVALS = "rivals"
SAID = "rivals.json"
CLOSED_FORMS = "closed_forms.json"


def finished(table: Table, name: str, cache: Path) -> dict[str, Any]:
    """Make a run of a table, or go on with it, or read what it has left.

    Parameters
    ----------
    table
        The table.
    name
        Which of its runs.
    cache
        Where runs are kept, and the ground truth that they share.

    Returns
    -------
    dict
        "command", "config", "cpu_seconds" (of all attempts), "results".
    """
    run = table.runs[name]
    folder = cache / table.name / _folder(name, run)
    folder.mkdir(parents=True, exist_ok=True)
    work: dict[str, Callable[[], Path]] = {
        "evaluate": lambda: _evaluate(run, folder, cache / GROUND_TRUTH),
        "analyze": lambda: _analyze(run.config, folder / DIRECTORY),
        "closed-forms": lambda: _closed_forms(run.config, folder / DIRECTORY),
    }
    results = _counting_seconds(folder / CPU, work[run.command])
    said = folder / SAID
    # Files of scores are named from the cache, wherever that lies on this machine.
    text = results.read_text(encoding="utf-8").replace(f"{cache.resolve()}{os.sep}", "")
    return {
        "command": run.command,
        "config": run.config,
        "rivals": json.loads(said.read_text(encoding="utf-8")) if said.exists() else [],
        "cpu_seconds": json.loads((folder / CPU).read_text(encoding="utf-8"))["cpu_seconds"],
        "results": json.loads(text),
    }


def _folder(name: str, run: Run) -> str:
    """Name the directory of a run by its config: another config never meets another's results."""
    text = json.dumps([run.command, run.config, run.rivals, run.damping], sort_keys=True)
    words = "-".join(re.findall(r"[a-z0-9.]+", name.lower()))
    return f"{words}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _evaluate(run: Run, folder: Path, shared: Path) -> Path:
    evaluation = {**run.config["evaluation"], "ground_truth": str(shared.resolve())}
    checked = _checked({**run.config, "evaluation": evaluation})
    directory = folder / DIRECTORY
    if run.rivals:
        named = {name: rivals.Rival(**rival) for name, rival in run.rivals.items()}
        files, said = rivals.scores(checked, named, run.damping, folder / RIVALS)
        write_json_atomically(folder / SAID, said)
        checked = _checked({**run.config, "evaluation": {**evaluation, "scores": files}})
        # With more rivals than the last time it is another run.
        directory = folder / f"{DIRECTORY}-beside-{len(files)}"
    evaluate_run.evaluate(checked, directory, resume=True)
    return directory / EVALUATION


def _analyze(config: dict[str, Any], directory: Path) -> Path:
    analyze_run.analyze(_checked(config), directory, resume=True)
    return directory / ANALYSIS


def _closed_forms(config: dict[str, Any], directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    write_json_atomically(directory / CLOSED_FORMS, closed_forms.checks(**config))
    return directory / CLOSED_FORMS


def _checked(data: dict[str, Any]) -> CheckedConfig:
    return checked_config(Config(data, str(FOLDER)))


def _counting_seconds(file: Path, work: Callable[[], Path]) -> Path:
    """Add what the work takes to what earlier attempts took, also when it is interrupted."""
    before = _processor_seconds()
    known = json.loads(file.read_text(encoding="utf-8"))["cpu_seconds"] if file.exists() else 0.0
    try:
        return work()
    finally:
        spent = _processor_seconds() - before
        write_json_atomically(file, {"cpu_seconds": round(known + spent, 1)})


def _processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
