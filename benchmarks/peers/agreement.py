"""How far two matrices of scores ``[Q, N]`` agree."""

from __future__ import annotations

import numpy as np


def pearson(left: np.ndarray, right: np.ndarray) -> float:
    """Give the correlation over all entries; 0 where one of them is constant."""
    a, b = (np.asarray(scores, dtype=np.float64).ravel() for scores in (left, right))  # [Q·N]
    a, b = a - a.mean(), b - b.mean()
    sizes = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / sizes if sizes else 0.0


def mean_spearman(left: np.ndarray, right: np.ndarray) -> float:
    """Give the mean over the queries of the rank correlation."""
    return float(np.mean([pearson(ranks(a), ranks(b)) for a, b in zip(left, right, strict=True)]))


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank values ``[N]`` from 0; equal ones share the mean of their places."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)  # [distinct]
    return (ends - (counts + 1) / 2)[group]


def relative_error(scores: np.ndarray, reference: np.ndarray) -> float:
    """Give the norm of the difference over the norm of the reference."""
    exact = np.asarray(reference, dtype=np.float64)  # [Q, N]
    return float(
        np.linalg.norm(np.asarray(scores, dtype=np.float64) - exact) / np.linalg.norm(exact)
    )
