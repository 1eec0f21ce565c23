"""Finding wrong labels: flipped examples should influence themselves most.

Self-influence of a wrongly labelled example is large: without it, the model would give it another
label (Koh and Liang 2017; Pruthi et al. 2020). The same is true of its plain loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.ranking import Ranking, ranked
from hessinf.evaluation.resampling import draw_counts

AT_ONCE = 4_000_000
"""Weights of examples in so many resamples are held at a time."""


def flip_detection(self_influence: np.ndarray, flipped: np.ndarray) -> dict[str, np.ndarray]:
    """Say how well each model's ranking finds flipped examples.

    Parameters
    ----------
    self_influence
        ``[K, N]`` for K models; the largest are inspected first.
    flipped
        Which examples have a wrong label, ``[N]``, true and false.

    Returns
    -------
    dict of str to numpy.ndarray
        ``[K]`` each: "auroc", "auprc", "recall" (the share found when as many examples are
        inspected as are flipped), "recovery_area" (the area under the recovery curve over that of a
        perfect ranking).

    Raises
    ------
    EvaluationError
        When sizes do not fit, a number is not finite, or no or every example is flipped.
    """
    found = [_numbers(ranked(row, flipped)) for row in _checked(self_influence, flipped)]
    return {name: np.array([float(numbers[name]) for numbers in found]) for name in found[0]}


def recalls(
    self_influence: np.ndarray, flipped: np.ndarray, shares: Sequence[float]
) -> list[float]:
    """Return the share of flipped examples found in the first examples, a mean over models.

    Parameters
    ----------
    self_influence
        ``[K, N]``.
    flipped
        ``[N]``.
    shares
        The shares of examples that are inspected.
    """
    rankings = [ranked(row, flipped) for row in _checked(self_influence, flipped)]
    return [float(np.mean([ranking.recall_at(share) for ranking in rankings])) for share in shares]


def resampled_detection(
    self_influence: np.ndarray, flipped: np.ndarray, *, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Repeat :func:`flip_detection` with resampled examples and models.

    Flipped and other examples are drawn with replacement, each among themselves; where there are
    several models, they are drawn too, independently (Owen 2007).

    Parameters
    ----------
    self_influence
        ``[K, N]``.
    flipped
        ``[N]``.
    resamples
        How often to draw.
    seed
        Of the generator: the same seed draws the same examples, whatever is ranked.

    Returns
    -------
    dict of str to numpy.ndarray
        Means over models, ``[B]`` each.

    Raises
    ------
    EvaluationError
        As :func:`flip_detection`.
    """
    rows = _checked(self_influence, flipped)
    # A generator each: what is drawn depends on no other sizes.
    models = draw_counts(np.random.default_rng([seed, 0]), len(rows), resamples)  # [B, K]
    kinds = [
        (np.flatnonzero(flipped == kind), np.random.default_rng([seed, 1 + kind]))
        for kind in (False, True)
    ]
    parts: list[dict[str, np.ndarray]] = []
    step = max(1, AT_ONCE // len(flipped))
    for first in range(0, resamples, step):
        drawn = models[first : first + step]  # [b, K]
        weights = np.empty((len(drawn), len(flipped)))  # [b, N]
        for places, random in kinds:
            weights[:, places] = draw_counts(random, len(places), len(drawn))
        found = [_numbers(ranked(row, flipped, weights)) for row in rows]
        parts.append(
            {
                # [b]: the mean over the models that were drawn
                name: sum(drawn[:, k] * x[name] for k, x in enumerate(found)) / len(rows)
                for name in found[0]
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _numbers(ranking: Ranking) -> dict[str, np.ndarray]:
    share = float(np.ravel(ranking.share)[0])  # the same in every resample
    return {
        "auroc": ranking.auroc(),
        "auprc": ranking.auprc(),
        "recall": ranking.recall_at(share),
        "recovery_area": ranking.recovery_area(),
    }


def _checked(self_influence: np.ndarray, flipped: np.ndarray) -> np.ndarray:
    sizes = {"training examples": len(flipped)}
    rows = finite_array("self_influence", self_influence, "models, training examples", sizes)
    if not 0 < np.sum(flipped) < len(flipped):
        raise EvaluationError(
            f"{int(np.sum(flipped))} of {len(flipped)} examples are flipped, expected some and not "
            "all"
        )
    return rows
