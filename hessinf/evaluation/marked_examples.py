"""Whether marked training examples have the largest scores."""

from __future__ import annotations

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.ranking import ranked


def marked_ranking(scores: np.ndarray, marked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank the training examples for each query, and look for those that are marked.

    Parameters
    ----------
    scores
        ``[Q, N]``; the largest come first.
    marked
        Which training examples are looked for, ``[N]``, true and false.

    Returns
    -------
    auprc, auroc : numpy.ndarray
        The average precision and the area under the receiver operating characteristic, ``[Q]``.

    Raises
    ------
    EvaluationError
        When sizes do not fit, a score is not finite, or no or every example is marked.
    """
    sizes = {"training examples": len(marked)}
    scores = finite_array("scores", scores, "queries, training examples", sizes)
    rankings = [ranked(row, marked) for row in scores]
    return (
        np.array([float(ranking.auprc()) for ranking in rankings]),
        np.array([float(ranking.auroc()) for ranking in rankings]),
    )
