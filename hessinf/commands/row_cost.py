"""Fit and score one row of a comparison in a process of its own: its time, and its peak memory.

``python -m hessinf.commands.row_cost FOLDER ROW [PLUGIN ...]`` scores with the model, the data and
the method that the run in FOLDER names, keeps the scores there, and prints one line of JSON:
``{"cost": ...}`` or ``{"error": ..., "traceback": ...}``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hessinf.commands.evaluation_setup import build_problem, methods
from hessinf.commands.run import choose_device, read_data
from hessinf.commands.run_config import load_checked_config
from hessinf.commands.unexpected_errors import unexpected
from hessinf.errors import HessinfError
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.evaluation_config import EvaluationConfig
from hessinf.evaluation.method_attribution import MethodAttribution
from hessinf.evaluation.row_folder import row_folder
from hessinf.registry import import_plugins, imported_plugins
from hessinf.runtime.files import write_json_atomically
from hessinf.runtime.peak_memory import peak_memory
from hessinf.runtime.run_files import CONFIG

ATTRIBUTIONS = "attributions"
COST = "cost.json"

ERROR, TRACEBACK = "error", "traceback"


class RowProcessError(Exception):
    """What happened in the process of a row: its message is the traceback there."""


def measured_cost(folder: Path, row: str) -> dict[str, Any]:
    """Return what a row costs: measured now, or by an earlier attempt of the same run.

    Parameters
    ----------
    folder
        The run's directory, with its config and its model.
    row
        The name of the row.

    Returns
    -------
    dict
        "fit" and "score", each {"seconds", "cpu_seconds"}, and "peak_memory_bytes".

    Raises
    ------
    EvaluationError
        When the method fails, or its process is ended from outside.
    """
    kept = row_folder(folder / ATTRIBUTIONS, row)
    file = kept / COST
    if not file.exists():
        # Scores that a stopped attempt has kept would be found, and cost nothing.
        shutil.rmtree(kept, ignore_errors=True)
        cost = _in_own_process(folder, row)
        write_json_atomically(file, cost)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _in_own_process(folder: Path, row: str) -> dict[str, Any]:
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, os.environ.get("PYTHONPATH", "")]
    plugins = [plugin.found_anywhere for plugin in imported_plugins()]
    process = subprocess.Popen(
        [sys.executable, "-m", "hessinf.commands.row_cost", str(folder), row, *plugins],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,  # its log and its progress go where ours go
        text=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    lines = output.strip().splitlines()
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise EvaluationError(
            f'the process that was to fit and score "{row}" has ended with status '
            f"{process.returncode} and no result; was there too little memory? Go on with -r"
        ) from None
    if ERROR in answer:
        raise EvaluationError(answer[ERROR]) from RowProcessError(answer[TRACEBACK])
    cost: dict[str, Any] = answer["cost"]
    return cost


def cost_here(folder: Path, row: str) -> dict[str, Any]:
    """Fit and score a row in this process, and keep its scores; see :func:`measured_cost`."""
    checked = load_checked_config(folder / CONFIG)
    config = checked.build()
    settings = dataclasses.replace(config.evaluation or EvaluationConfig(), models=1)
    device = choose_device(config)
    data = read_data(config, test=True)
    problem = build_problem(config, checked, data, folder, device, settings=settings)
    method = methods(config, settings)[row]
    attribution = MethodAttribution(row, method, problem, row_folder(folder / ATTRIBUTIONS, row))
    cost: dict[str, Any] = {}
    with _clock(cost, "fit"):
        attribution.fit()
    with _clock(cost, "score"):
        attribution.scores()
    return {**cost, "peak_memory_bytes": peak_memory()}


@contextlib.contextmanager
def _clock(cost: dict[str, Any], stage: str) -> Iterator[None]:
    clock, processor = time.perf_counter(), time.process_time()
    yield
    cost[stage] = {
        "seconds": round(time.perf_counter() - clock, 4),
        "cpu_seconds": round(time.process_time() - processor, 4),
    }


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the answer as one line of JSON."""
    folder, row, *plugins = arguments
    try:
        import_plugins(plugins)
        answer: dict[str, Any] = {"cost": cost_here(Path(folder), row)}
    except HessinfError as error:
        answer = {ERROR: str(error), TRACEBACK: traceback.format_exc()}
    except Exception as error:  # whatever a plugin, PyTorch or the disk may raise
        text = f'"{row}": {unexpected(error)}; --debug shows the traceback'
        answer = {ERROR: text, TRACEBACK: traceback.format_exc()}
    print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
