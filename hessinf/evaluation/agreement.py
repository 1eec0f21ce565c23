"""How far attributions agree with each other: ranks of all examples, and both ends of rankings.

Pure functions of score matrices, so that scores of any origin can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.rank_correlation import average_ranks, correlation_of_ranks
from hessinf.runtime.finite_json import number_or_null


@dataclass(frozen=True, eq=False)
class Agreement:
    """Each pair of ``R`` attributions, as means over queries.

    Parameters
    ----------
    names
        The rows, in order.
    spearman
        Rank correlation over training examples, ``[R, R]``; NaN where no query has one.
    undefined
        For how many queries there is none, because all scores of one of the two are the same,
        ``[R, R]``.
    helpful, harmful
        The share of the ``top_k`` most helpful (most harmful) examples that both have, ``[R, R]``.
    top_k
        k.
    by_chance
        The share that two rankings have in common which know nothing of each other: k / N.
    """

    names: tuple[str, ...]
    spearman: np.ndarray
    undefined: np.ndarray
    helpful: np.ndarray
    harmful: np.ndarray
    top_k: int
    by_chance: float

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON, NaN as null."""
        return {
            "names": list(self.names),
            "spearman": [[number_or_null(value) for value in row] for row in self.spearman],
            "undefined": self.undefined.tolist(),
            "top_k": self.top_k,
            "top_k_helpful": self.helpful.tolist(),
            "top_k_harmful": self.harmful.tolist(),
            "top_k_by_chance": self.by_chance,
        }


def agreement(scores: Mapping[str, np.ndarray], *, top_k: int = 10) -> Agreement:
    """Compare attributions of the same queries to the same training examples.

    Parameters
    ----------
    scores
        ``[Q, N]`` by name, finite, positive = helpful.
    top_k
        How many examples at each end of a ranking are compared; all, where there are fewer.

    Returns
    -------
    Agreement

    Raises
    ------
    EvaluationError
        When a matrix is of another shape than the first, or not finite.
    ValueError
        When there is no matrix, or ``top_k`` is less than 1.
    """
    if not scores:
        raise ValueError("agreement needs at least one matrix of scores, found none")
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, found {top_k}")
    names = tuple(scores)
    matrices = _checked(scores)
    queries, examples = matrices[0].shape
    top_k = min(top_k, examples)
    rows = len(names)
    total, undefined = np.zeros((rows, rows)), np.zeros((rows, rows), dtype=np.int64)
    shared = {"helpful": np.zeros((rows, rows)), "harmful": np.zeros((rows, rows))}
    for query in range(queries):
        values = np.stack([matrix[query] for matrix in matrices])  # [R, N]
        ranks = average_ranks(values)  # [R, N]
        correlation = correlation_of_ranks(ranks[:, None], ranks)  # [R, R]
        undefined += np.isnan(correlation)
        total += np.nan_to_num(correlation)
        shared["helpful"] += _overlaps(-values, top_k)
        shared["harmful"] += _overlaps(values, top_k)
    defined = queries - undefined  # [R, R]
    with np.errstate(invalid="ignore"):
        spearman = np.where(defined > 0, total / np.maximum(defined, 1), np.nan)  # [R, R]
    return Agreement(
        names=names,
        spearman=spearman,
        undefined=undefined,
        helpful=shared["helpful"] / queries,
        harmful=shared["harmful"] / queries,
        top_k=top_k,
        by_chance=top_k / examples,
    )


def _checked(scores: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return matrices of the same shape, float64 and finite."""
    matrices: list[np.ndarray] = []
    sizes: dict[str, int] = {}
    for name, matrix in scores.items():
        called = f'the matrix of scores of "{name}"'
        matrices.append(finite_array(called, matrix, "queries, training examples", sizes))
        queries, examples = matrices[-1].shape
        sizes = {"queries": queries, "training examples": examples}
    return matrices


def _overlaps(values: np.ndarray, top_k: int) -> np.ndarray:
    """Share of the ``top_k`` smallest that pairs of rows ``[R, N]`` have in common: ``[R, R]``.

    Ties by training index, the smaller first, as everywhere else.
    """
    order = np.argsort(values, axis=1, kind="stable")[:, :top_k]  # [R, k]
    member = np.zeros(values.shape)  # [R, N]
    np.put_along_axis(member, order, 1.0, axis=1)
    return member @ member.T / top_k  # [R, R]
