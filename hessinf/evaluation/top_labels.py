"""Whether the training examples with the largest scores are of the query's class.

Attributions should find examples of the query's own class (Hanawa et al., "Evaluation of
similarity-based explanations", 2021), also where a model never saw the finer class.
"""

from __future__ import annotations

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.errors import EvaluationError


def top_label_share(
    scores: np.ndarray, train_labels: np.ndarray, query_labels: np.ndarray, k: int = 1
) -> np.ndarray:
    """Return the share of the k highest scores that belong to examples of the query's class.

    Parameters
    ----------
    scores
        ``[Q, N]``, positive = helpful.
    train_labels
        The class of each training example, ``[N]``.
    query_labels
        The class that is looked for, ``[Q]``.
    k
        How many; N where there are fewer examples.

    Returns
    -------
    numpy.ndarray
        ``[Q]``. Where several examples share the lowest of the k scores, the mean over all ways to
        choose among them.

    Raises
    ------
    EvaluationError
        When sizes do not fit, or a score is not finite.
    """
    train_labels, query_labels = np.asarray(train_labels), np.asarray(query_labels)
    sizes = {"queries": len(query_labels), "training examples": len(train_labels)}
    scores = finite_array("scores", scores, "queries, training examples", sizes)
    if k < 1:
        raise EvaluationError(f"k is {k}, expected 1 or more")
    k = min(k, scores.shape[1])
    matches = query_labels[:, None] == train_labels  # [Q, N]
    last = np.partition(scores, -k, axis=1)[:, -k, None]  # [Q, 1]: the lowest of the k scores
    above, tied = scores > last, scores == last  # [Q, N]
    left = k - above.sum(axis=1)  # [Q]: places for those that share the lowest
    share = (matches & tied).sum(axis=1) / tied.sum(axis=1)  # [Q]
    found: np.ndarray = ((matches & above).sum(axis=1) + left * share) / k  # [Q]
    return found


def label_shares(train_labels: np.ndarray, query_labels: np.ndarray) -> np.ndarray:
    """Return the share of training examples of each query's class: what chance would find, ``[Q]``.

    Parameters
    ----------
    train_labels
        ``[N]``.
    query_labels
        ``[Q]``.
    """
    classes, counts = np.unique(np.asarray(train_labels), return_counts=True)  # [C]
    share = dict(zip(classes.tolist(), (counts / counts.sum()).tolist(), strict=True))
    return np.array([share.get(label, 0.0) for label in np.asarray(query_labels).tolist()])
