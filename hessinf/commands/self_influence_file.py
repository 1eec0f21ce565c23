"""``self_influence.jsonl``: all training examples, those that look wrong first."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hessinf.data import Dataset
from hessinf.runtime.files import write_atomically
from hessinf.runtime.json_lines import json_line
from hessinf.runtime.run_files import SELF_INFLUENCE


def write_ranking(
    folder: Path, train: Dataset, losses: np.ndarray, self_influence: np.ndarray | None
) -> Path:
    """Write a line for each training example, the largest first; ties by training index.

    Parameters
    ----------
    folder
        The run's directory.
    train
        N training examples.
    losses
        Their losses, ``[N]``.
    self_influence
        What they are ranked by, ``[N]``; None where it was not computed, and losses rank them.
    """
    values = losses if self_influence is None else self_influence
    order = np.argsort(-values, kind="stable")  # [N]
    lines = []
    for rank, index in enumerate(order.tolist()):
        instance = train[index]
        lines.append(
            json_line(
                {
                    "rank": rank,
                    "index": index,
                    "id": instance.id,
                    "display": instance.display,
                    "self_influence": None if self_influence is None else float(values[index]),
                    "loss": float(losses[index]),
                    "target": instance.target.tolist(),
                }
            )
        )
    write_atomically(folder / SELF_INFLUENCE, "".join(lines))
    return folder / SELF_INFLUENCE
