"""Random subsets of the training data, all of one size."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from hessinf.evaluation.errors import EvaluationError
from hessinf.runtime.randomness import derive_seed


def subset_size(alpha: float, examples: int) -> int:
    """Return ``⌊alpha · N⌋`` for alpha as it is written: 0.29 of 100 are 29.

    Parameters
    ----------
    alpha
        The share of examples in a subset, between 0 and 1.
    examples
        N.

    Raises
    ------
    EvaluationError
        When a subset would have no example, or all.
    """
    size = int(Decimal(repr(float(alpha))) * examples)
    if not 0 < size < examples:
        raise EvaluationError(
            f"alpha {alpha:g} of {examples} training examples gives subsets of {size}, expected at "
            f"least 1 and fewer than {examples}"
        )
    return size


def draw_masks(*, examples: int, alpha: float, subsets: int, seed: int) -> np.ndarray:
    """Draw subsets, each uniformly from all of its size, independently of the others.

    The first of them are the same however many are drawn.

    Parameters
    ----------
    examples
        N.
    alpha
        The share of examples in a subset.
    subsets
        m.
    seed
        The run's seed.

    Returns
    -------
    numpy.ndarray
        uint8 ``[m, N]``: 1 for members; every row has ``⌊alpha · N⌋``.

    Raises
    ------
    EvaluationError
        As :func:`subset_size`.
    """
    size = subset_size(alpha, examples)
    generator = np.random.default_rng(derive_seed(seed, f"subsets/{float(alpha)!r}"))
    masks = np.zeros((subsets, examples), dtype=np.uint8)  # [m, N]
    for mask in masks:
        mask[generator.permutation(examples)[:size]] = 1
    return masks
