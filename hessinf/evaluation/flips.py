"""Whether predictions change when models are trained again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.ranking import wilson_interval


def flipped(classes: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Say which predictions most of the retrained models no longer make.

    Parameters
    ----------
    classes
        What R models predict, ``[..., R]``.
    before
        What was predicted before, ``[...]``.

    Returns
    -------
    numpy.ndarray
        ``[...]`` of bool: more than half of the models predict another class, whichever.

    Raises
    ------
    EvaluationError
        When there is no model, or shapes do not fit.
    """
    classes, before = np.asarray(classes), np.asarray(before)
    if classes.ndim == 0 or classes.shape[-1] == 0 or classes.shape[:-1] != before.shape:
        raise EvaluationError(
            f"classes have shape {list(classes.shape)}, expected {list(before.shape)} as what was "
            "predicted before, and one more for the models"
        )
    others: np.ndarray = (classes != before[..., None]).mean(axis=-1)  # [...]
    return others > 0.5


def brittleness_curve(
    flips: np.ndarray, margin_changes: np.ndarray, removed: Sequence[int]
) -> list[dict[str, Any]]:
    """Say how many queries flip at each number of removed examples.

    Parameters
    ----------
    flips
        Which queries flip, ``[Q, K]``, Q at least 1.
    margin_changes
        What the log-odds of their right class gain, ``[Q, K]``.
    removed
        The K numbers of removed examples.

    Returns
    -------
    list of dict
        JSON, one a number: "removed", "flipped" (how many queries), "share" with its 95 %
        "interval" (Wilson 1927), and "margin_change" (the mean over queries).
    """
    curve = []
    for place, count in enumerate(removed):
        number = int(flips[:, place].sum())
        curve.append(
            {
                "removed": count,
                "flipped": number,
                "share": number / len(flips),
                "interval": list(wilson_interval(number, len(flips))),
                "margin_change": float(margin_changes[:, place].mean()),
            }
        )
    return curve
