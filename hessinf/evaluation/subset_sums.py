"""What scores predict for a model trained on a subset: the sum of the scores of its members."""

from __future__ import annotations

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.errors import EvaluationError

EXACT_BITS = 52
"""Sums of whole numbers are exact in float64 up to 2**53."""


def subset_sums(scores: np.ndarray, masks: np.ndarray, *, queries: int | None = None) -> np.ndarray:
    """Add up the scores of each subset's members.

    Scores of a query are rounded to multiples of 2⁻⁵² of the sum of their sizes first, which is
    what float64 keeps of such a sum anyway; then the sums are exact. So they do not depend on the
    order of examples, and subsets whose members have the same scores are ties, as they must be for
    ranks: sums that differ by rounding alone would be ranked by it.

    Parameters
    ----------
    scores
        ``[Q, N]``, finite, positive = helpful; or several such matrices, ``[..., Q, N]``.
    masks
        ``[m, N]`` of 0 and 1: whether the example is in the subset.
    queries
        How many there must be, where that is known.

    Returns
    -------
    numpy.ndarray
        ``[Q, m]`` (``[..., Q, m]``), float64.

    Raises
    ------
    EvaluationError
        When shapes do not fit, a score is not finite, or a mask is not binary.
    """
    masks = binary_masks(masks)
    sizes = {"training examples": masks.shape[1]}
    if queries is not None:
        sizes["queries"] = queries
    scores = np.asarray(scores)
    matrices = scores.reshape(-1, *scores.shape[-2:]) if scores.ndim > 2 else [scores]
    members = masks.T.astype(np.float64)  # [N, m]
    found = [
        _exact_sums(finite_array("scores", matrix, "queries, training examples", sizes), members)
        for matrix in matrices
    ]
    return np.stack(found).reshape(*scores.shape[:-1], len(masks))


def _exact_sums(scores: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Add ``[Q, N]`` up over the members ``[N, m]`` of each subset."""
    with np.errstate(over="ignore"):
        total = np.abs(scores).sum(axis=1)  # [Q]
    if not np.isfinite(total).all():
        query = int(np.flatnonzero(~np.isfinite(total))[0])
        raise EvaluationError(
            f"the scores of query {query} are so large that their sum is not finite; scale them"
        )
    _, exponent = np.frexp(total)  # [Q]: total < 2 ** exponent
    shift = EXACT_BITS - exponent  # [Q]
    whole = np.rint(np.ldexp(scores, shift[:, None]))  # [Q, N], whole numbers
    sums: np.ndarray = np.ldexp(whole @ members, -shift[:, None])  # [Q, m]
    return sums


def binary_masks(masks: np.ndarray) -> np.ndarray:
    """Return masks as ``uint8 [m, N]``, once they are in order.

    Parameters
    ----------
    masks
        Numbers or truth values, 0 and 1.

    Returns
    -------
    numpy.ndarray
        ``[m, N]``, uint8.

    Raises
    ------
    EvaluationError
        When the shape is another one, a number is neither 0 nor 1, or a subset has no member or
        all: then nothing was left out, or nothing learnt from.
    """
    masks = np.asarray(masks)
    if masks.dtype != np.uint8 or masks.ndim != 2 or not masks.size:
        masks = finite_array("masks", masks, "subsets, training examples", {})
    other = np.argwhere((masks != 0) & (masks != 1))
    if len(other):
        subset, example = other[0].tolist()
        raise EvaluationError(
            f"masks[{subset}, {example}] is {masks[subset, example]:g}, expected 0 or 1: whether "
            "the training example is in the subset"
        )
    members = masks.sum(axis=1, dtype=np.int64)  # [m]
    constant = np.flatnonzero((members == 0) | (members == masks.shape[1]))
    if len(constant):
        subset = int(constant[0])
        raise EvaluationError(
            f"masks[{subset}] has {int(members[subset])} of {masks.shape[1]} training examples: a "
            "subset without a member, or of all of them, says nothing of single examples"
        )
    return masks.astype(np.uint8, copy=False)
