"""What lies between retraining and influence: differences between consecutive stages.

Pure functions of matrices ``[Q, n]`` of loss changes; see :mod:`hessinf.evaluation.five_gaps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.change_agreement import pearson
from hessinf.evaluation.errors import EvaluationError

STAGES = ("cold_start", "warm_start", "proximal", "bregman", "linear", "method")
"""From retraining to what a method says."""

AXES = "queries, examples"

GAPS = ("warm_start", "proximity", "non_convergence", "linearisation", "solver")
"""What lies between two of them."""


@dataclass(frozen=True)
class Gap:
    """Between two stages.

    Parameters
    ----------
    mean_absolute
        The mean absolute difference of the loss changes.
    share
        Of the sum over all gaps; NaN where there is none.
    pearson
        The correlation of the two stages over all pairs of a query and an example; NaN where one is
        constant.
    """

    mean_absolute: float
    share: float
    pearson: float


def decompose(stages: Mapping[str, np.ndarray]) -> dict[str, Gap]:
    """Compare consecutive stages.

    Parameters
    ----------
    stages
        By name, in the order of :data:`STAGES`, each ``[Q, n]``; the last ones may be missing.

    Returns
    -------
    dict of str to Gap
        By the names of :data:`GAPS`, one fewer than there are stages.

    Raises
    ------
    EvaluationError
        When stages have other names or shapes, or a number is not finite.
    """
    names = list(stages)
    if len(names) < 2 or tuple(names) != STAGES[: len(names)]:
        raise EvaluationError(
            f"the stages are {', '.join(names) or 'none'}; expected, in this order, the first two "
            f"or more of {', '.join(STAGES)}"
        )
    arrays: list[np.ndarray] = []
    sizes: dict[str, int] = {}
    for name in names:
        arrays.append(finite_array(name, stages[name], AXES, sizes))
        sizes = dict(zip(("queries", "examples"), arrays[0].shape, strict=True))
    differences = [float(np.abs(left - right).mean()) for left, right in pairwise(arrays)]
    total = sum(differences)
    return {
        name: Gap(
            difference,
            difference / total if total > 0 else float("nan"),
            float(pearson(left.ravel(), right.ravel())),
        )
        for name, difference, (left, right) in zip(
            GAPS, differences, pairwise(arrays), strict=False
        )
    }


def specific(changes: np.ndarray) -> np.ndarray:
    """Subtract what all examples share: each query's mean over them, ``[Q, n]``.

    Going on with training moves every query's loss, whichever example is left out. Rankings of
    examples are blind to it.
    """
    own: np.ndarray = changes - changes.mean(axis=1, keepdims=True)  # [Q, n]
    return own
