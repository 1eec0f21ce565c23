"""What a run records of its interpreter and training data, beside the scores of queries."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hessinf.commands.run_log import warnings_of
from hessinf.commands.self_influence_file import write_ranking
from hessinf.data import Dataset
from hessinf.errors import HessinfError
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.diagnostics import applied_damping, gradient_routes
from hessinf.runtime.files import write_json_atomically
from hessinf.runtime.finite_json import finite_json
from hessinf.runtime.run_files import SPECTRUM

logger = logging.getLogger(__name__)


def method_facts(
    command: str,
    interpreter: InfluenceInterpreter,
    training: dict[str, Any],
    train: Dataset,
    log: Path,
) -> dict[str, Any]:
    """Say for ``metrics.json`` what was run on what, and what was warned of.

    Parameters
    ----------
    command
        The command's name.
    interpreter
        Fitted, and used.
    training
        The record of training.
    train
        The training data.
    log
        The run's log.
    """
    model, measurement = interpreter.model, interpreter.measurement
    facts: dict[str, Any] = {
        "command": command,
        "interpreter": type(interpreter).registered_name(),
        "measurement": {
            "type": type(measurement).registered_name(),
            "higher_is_better": measurement.higher_is_better,
        },
        "training_examples": len(train),
        "label_names": None if train.label_names is None else list(train.label_names),
        "damping": applied_damping(interpreter),
        "parameters": {"covered": model.layout.size, "share": model.coverage},
        "training_reduction": interpreter.training_reduction,
        "training": training or None,
        "warnings": warnings_of(log),
    }
    routes = gradient_routes(interpreter)
    if routes is not None:
        facts["gradient_routes"] = routes
    if interpreter.checkpoints:
        facts["checkpoints"] = list(interpreter.checkpoints)
    if train.flipped is not None:
        facts["flipped_labels"] = list(train.flipped)
    return facts


def write_self_influence(
    folder: Path, interpreter: InfluenceInterpreter, wanted: Literal["auto"] | bool
) -> dict[str, Any]:
    """Rank the training examples by self-influence, or by their losses where there is none.

    Parameters
    ----------
    folder
        The run's directory.
    interpreter
        Fitted.
    wanted
        True, False, or "auto" for where it takes no iterative solve for each example, and the
        method can give it.

    Returns
    -------
    dict
        What ``metrics.json`` says of it.

    Raises
    ------
    HessinfError
        When it is wanted, and the method cannot give it.
    """
    values: np.ndarray | None = None
    reason = type(interpreter).why_no_self_influence if wanted == "auto" else None
    if wanted is False:
        reason = 'the config says "self_influence": false'
    elif reason is None:
        try:
            values = interpreter.self_influence()  # [N]
        except Exception as error:  # of a plugin too: the scores of the queries are there
            if wanted is True:
                raise
            kind = "" if isinstance(error, HessinfError) else f"{type(error).__name__}: "
            reason = f"{kind}{error}"
            logger.warning("no self-influence: %s", reason)
    write_ranking(folder, interpreter.train_data, interpreter.train_losses(), values)
    return {
        "computed": values is not None,
        "ranked_by": "loss" if values is None else "self-influence",
        **({} if reason is None else {"reason": reason}),
    }


def write_spectrum(folder: Path, interpreter: InfluenceInterpreter) -> None:
    """Write the eigenvalues of the curvature that are known, where there are any.

    Parameters
    ----------
    folder
        The run's directory.
    interpreter
        Fitted.
    """
    if interpreter.members:  # each checkpoint has a curvature of its own
        return
    spectrum = interpreter.curvature_spectrum()
    if spectrum is not None:
        write_json_atomically(folder / SPECTRUM, finite_json(spectrum.to_json()))
