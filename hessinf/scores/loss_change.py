"""From a score to what the query's loss gains when the training example is removed."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import numpy as np
import torch

TrainingReduction = Literal["mean", "sum", "mean-fixed"]
"""How losses of examples were added up in training. "mean": the mean over whatever examples are
there, so that removing one renormalises; "sum": their sum; "mean-fixed": their sum over the N of
the whole set, whatever is removed."""

Scores = TypeVar("Scores", torch.Tensor, np.ndarray, float)


def loss_change_if_removed(
    scores: Scores,
    mean_score: Scores,
    count: int,
    reduction: TrainingReduction,
    removed: Any = 1,
) -> Scores:
    """Predict the change of a query's loss to first order.

    For a mean that is renormalised over the rest, training without example i moves the parameters
    by ``C⁻¹ (∇ℓ_i − ḡ) / (N − 1)``, where ``ḡ``, the mean gradient, is not zero when a regulariser
    balances it. Leaving ``ḡ`` out shifts every prediction by a constant. Without a group of m
    examples, it is ``C⁻¹ (Σ ∇ℓ_i − m·ḡ) / (N − m)``.

    Parameters
    ----------
    scores
        Scores of training examples for a query, or sums of the scores of groups.
    mean_score
        The query's mean score over all training examples; of a shape that broadcasts.
    count
        N.
    reduction
        How losses were added up in training.
    removed
        How many examples each score stands for: a number, or one for each score. Less than N,
        unless N is 1.

    Returns
    -------
    torch.Tensor, numpy.ndarray or float
        In units of the loss; positive where removing the example raises the loss.
    """
    if reduction == "mean":
        left = 1 if count == 1 else count - removed
        changes: Scores = (scores - removed * mean_score) / left
        return changes
    return scores / count
