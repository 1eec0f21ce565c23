"""From a score to what the query's loss gains when the training example is removed."""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
import torch

TrainingReduction = Literal["mean", "sum", "mean-fixed"]
"""How losses of examples were added up in training. "mean": the mean over whatever examples are
there, so that removing one renormalises; "sum": their sum; "mean-fixed": their sum over the N of
the whole set, whatever is removed."""

Scores = TypeVar("Scores", torch.Tensor, np.ndarray, float)


def loss_change_if_removed(
    scores: Scores, mean_score: Scores, count: int, reduction: TrainingReduction
) -> Scores:
    """Predict the change of a query's loss to first order.

    For a mean that is renormalised over the rest, training without example i moves the parameters
    by ``C⁻¹ (∇ℓ_i − ḡ) / (N − 1)``, where ``ḡ``, the mean gradient, is not zero when a regulariser
    balances it. Leaving ``ḡ`` out shifts every prediction by a constant.

    Parameters
    ----------
    scores
        Scores of training examples for a query.
    mean_score
        The query's mean score over all training examples; of a shape that broadcasts.
    count
        N.
    reduction
        How losses were added up in training.

    Returns
    -------
    torch.Tensor, numpy.ndarray or float
        In units of the loss; positive where removing the example raises the loss.
    """
    if reduction == "mean":
        changes: Scores = (scores - mean_score) / max(count - 1, 1)
        return changes
    return scores / count
