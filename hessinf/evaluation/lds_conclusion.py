"""What the LDS of several rows says: paired differences, and sentences for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from hessinf.evaluation.baselines import RANDOM
from hessinf.evaluation.bootstrap import paired_difference
from hessinf.evaluation.lds_judgement import LdsTruth
from hessinf.evaluation.metric import Conclusion, Judgement
from hessinf.evaluation.noise_ceiling import UNKNOWN
from hessinf.evaluation.paired_comparisons import Comparison


def conclude(judgements: Mapping[str, Judgement], truths: Mapping[float, LdsTruth]) -> Conclusion:
    """Compare rows, and say in words what must be seen.

    Parameters
    ----------
    judgements
        By row, in the order of the table.
    truths
        By alpha, the headline first.

    Returns
    -------
    Conclusion
        The difference of every two rows at every alpha, with its paired two-way interval; and
        notes on the headline.
    """
    comparisons = {
        alpha: list(_comparisons(judgements, alpha, truth)) for alpha, truth in truths.items()
    }
    alpha, truth = next(iter(truths.items()))
    notes = [
        *_signs(judgements),
        *_chance(judgements, comparisons[alpha]),
        *_missing(judgements, len(truth.reported)),
        *_edges(judgements),
        *_ceiling(judgements, truth),
    ]
    found = [
        {**pair.to_json(), "alpha": alpha} for alpha, pairs in comparisons.items() for pair in pairs
    ]
    return Conclusion(tuple(found), tuple(notes))


def _comparisons(
    judgements: Mapping[str, Judgement], alpha: float, truth: LdsTruth
) -> Iterator[Comparison]:
    """Compare every two rows on the queries that both have a correlation for."""
    per_query = f"per_query/{alpha}"
    resampled = f"resampled/{alpha}"
    for one, other in combinations(judgements, 2):
        left, right = judgements[one].arrays, judgements[other].arrays
        differences = left[per_query] - right[per_query]  # [Q']
        if np.isnan(differences).all():
            continue
        difference = float(np.nanmean(differences))
        interval = paired_difference(difference, left[resampled], right[resampled], truth.resamples)
        pair = Comparison(one, other, difference, interval)
        yield pair.turned() if difference < 0 else pair


def _signs(judgements: Mapping[str, Judgement]) -> Iterator[str]:
    for name, judgement in judgements.items():
        value, interval = judgement.summary["value"], judgement.summary["interval"]
        if name != RANDOM and interval is not None and interval[1] < 0:
            yield (
                f'the LDS of "{name}" is negative, {value:.3f} {_shown(interval)}: the sign is '
                "turned: scores look negated; positive must mean helpful"
            )


def _chance(judgements: Mapping[str, Judgement], comparisons: list[Comparison]) -> Iterator[str]:
    """Name the rows whose difference to random scores may be none."""
    to_random = (
        pair.turned() if pair.better == RANDOM else pair
        for pair in comparisons
        if RANDOM in (pair.better, pair.worse)
    )
    against = {pair.better: pair for pair in to_random}
    for name, judgement in judgements.items():
        interval = judgement.summary["interval"]
        negative = interval is not None and interval[1] < 0
        if name not in against or negative:
            continue
        pair = against[name]
        if pair.interval[0] <= 0:
            said = "cannot be told from" if pair.difference > 0 else "is no better than"
            yield (
                f'"{name}" {said} random scores: the difference is '
                f"{pair.difference:.3f} {_shown(pair.interval)}"
            )


def _missing(judgements: Mapping[str, Judgement], queries: int) -> Iterator[str]:
    for name, judgement in judgements.items():
        missing = judgement.summary["missing"]
        if missing:
            of = queries * len(judgement.summary["per_model"])
            yield (
                f'"{name}": {missing} of {of} rank correlations are undefined, because scores or '
                "values are the same for all subsets; they are left out of the mean"
            )


def _edges(judgements: Mapping[str, Judgement]) -> Iterator[str]:
    for name, judgement in judgements.items():
        curve = judgement.summary["damping_curve"]
        if not curve or len(curve) < 3:
            continue
        sizes = [_size(point["damping"]) for point in curve]
        if len({kind for kind, _ in sizes}) > 1:  # shares and numbers have no common order
            continue
        chosen = _size(judgement.summary["damping"])
        for edge, word in ((min(sizes), "smallest"), (max(sizes), "largest")):
            if chosen == edge and chosen[1] > 0:  # nothing lies below 0
                yield (
                    f'the damping that was chosen for "{name}", {chosen[1]:g}, is the {word} of '
                    "the grid: a better one may lie beyond it; widen the grid"
                )


def _size(damping: Any) -> tuple[str, float]:
    if isinstance(damping, dict):
        return "relative", float(damping["relative"])
    return "absolute", float(damping)


def _ceiling(judgements: Mapping[str, Judgement], truth: LdsTruth) -> Iterator[str]:
    """Say how near the best row is to what can be attained."""
    values = {
        name: judgement.summary["value"]
        for name, judgement in judgements.items()
        if judgement.summary["value"] is not None
    }
    if truth.subsets.repeats == 1:
        yield UNKNOWN
        return
    ceiling = truth.ceiling
    if ceiling is None or not values:
        return
    best = max(values, key=lambda name: values[name])
    if ceiling.attainable <= 0:
        yield (
            "repeats of the same subset do not agree with each other: the ground truth is noise, "
            "and no attribution can predict it; train for longer, or take more repeats"
        )
        return
    yield (
        f'the best row, "{best}", has an LDS of {values[best]:.3f}; about {ceiling.attainable:.3f} '
        f"is attainable with {ceiling.repeats} repeats (two single repeats correlate by "
        f"{ceiling.single:.3f})"
    )


def _shown(interval: Sequence[float]) -> str:
    low, high = interval
    return f"[{low:.3f}, {high:.3f}]"
