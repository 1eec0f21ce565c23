"""Loss changes without some training examples: what retraining shows, and what scores predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.scores.loss_change import TrainingReduction, loss_change_if_removed


@dataclass(frozen=True, eq=False)
class LeaveOneOutChanges:
    """Models trained again without one example each.

    Parameters
    ----------
    indices
        The examples that were left out, ``[n]``: a row of ``changes`` belongs to each.
    changes
        What is measured of each query, after minus before, ``[n, Q]``, float64. Less is better for
        the query: for the loss, what it gains.
    before
        What was measured of each query before, ``[Q]``.
    """

    indices: np.ndarray
    changes: np.ndarray
    before: np.ndarray


@dataclass(frozen=True, eq=False)
class LeaveSomeOutChanges:
    """Models trained again on subsets.

    Parameters
    ----------
    alpha
        The share of the training data in each subset.
    masks
        Which examples are in it, uint8 ``[m, N]``.
    loss_diffs
        What is measured of each query, trained on the subset minus trained on everything,
        ``[m, Q]``, float64. Less is better for the query.
    """

    alpha: float
    masks: np.ndarray
    loss_diffs: np.ndarray


def changes_from_scores(
    scores: np.ndarray, indices: np.ndarray, reduction: TrainingReduction
) -> np.ndarray:
    """Predict loss changes to first order from scores of any origin.

    Parameters
    ----------
    scores
        ``[Q, N]``, positive = helpful; of *all* training examples, in the order of the training
        data: the mean over them is needed.
    indices
        The examples that are left out, ``[n]``.
    reduction
        How losses were added up in training.

    Returns
    -------
    numpy.ndarray
        ``[Q, n]``, column j for ``indices[j]``.
    """
    scores = finite_array("scores", scores, "queries, training examples", {})
    means = scores.mean(axis=1, keepdims=True)  # [Q, 1]
    changes: np.ndarray = loss_change_if_removed(
        scores, means, scores.shape[1], reduction
    )  # [Q, N]
    return changes[:, indices]


def subset_changes_from_scores(
    scores: np.ndarray, masks: np.ndarray, reduction: TrainingReduction
) -> np.ndarray:
    """Predict what training on subsets does to losses, to first order, from scores.

    Parameters
    ----------
    scores
        ``[Q, N]``, positive = helpful.
    masks
        ``[m, N]``, 1 for members of the subset.
    reduction
        How losses were added up in training.

    Returns
    -------
    numpy.ndarray
        ``[Q, m]``.
    """
    sizes = {"training examples": masks.shape[1]}
    scores = finite_array("scores", scores, "queries, training examples", sizes)
    left_out = 1.0 - masks.T  # [N, m]
    means = scores.mean(axis=1, keepdims=True)  # [Q, 1]
    removed = left_out.sum(axis=0)  # [m]
    return loss_change_if_removed(scores @ left_out, means, scores.shape[1], reduction, removed)
