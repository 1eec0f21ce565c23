"""Rows of a table beside each other: differences, and whether a method beats a baseline.

Numbers of different rows come from the same resamples of the same examples, so that what they have
in common cancels in their difference: a difference may be sure where the intervals of both overlap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Any, Literal

from hessinf.evaluation.metric import Judgement
from hessinf.evaluation.resampling import percentile_interval


@dataclass(frozen=True)
class Comparison:
    """Two rows of a table.

    Parameters
    ----------
    better, worse
        Their names, by their values.
    difference
        The value of the better one minus that of the worse: negative where lower values are better.
    interval
        The 95 % interval of the difference; it holds 0 where the two cannot be told apart.
    """

    better: str
    worse: str
    difference: float
    interval: tuple[float, float]

    @property
    def sure(self) -> bool:
        """Whether the interval lies on one side of 0."""
        low, high = self.interval
        return low > 0 or high < 0

    def turned(self) -> Comparison:
        """Return the same with the names in the other order."""
        low, high = self.interval
        return Comparison(self.worse, self.better, -self.difference, (-high, -low))

    def to_json(self) -> dict[str, Any]:
        """Return it as results have it."""
        return {**asdict(self), "interval": list(self.interval)}

    def __str__(self) -> str:
        low, high = self.interval
        return f"difference {self.difference:+.4f} [{low:+.4f}, {high:+.4f}]"


def paired_comparisons(
    judgements: Mapping[str, Judgement],
    *,
    higher_is_better: bool = True,
    against: Collection[str] | None = None,
) -> tuple[Comparison, ...]:
    """Compare rows two by two.

    Parameters
    ----------
    judgements
        By row; ``summary["value"]`` is the value (rows without one are left out), and
        ``arrays["resampled"]`` the same with resampled examples, ``[B]``: place ``b`` of every row
        is of one resample.
    higher_is_better
        Which value is the better one.
    against
        Rows of which each pair has one at least; None for all pairs.

    Returns
    -------
    tuple of Comparison
        Those of the best row first; rows with equal values in the order of their names.
    """
    return tuple(
        _compared(judgements, better, worse)
        for better, worse in combinations(_best_first(judgements, higher_is_better), 2)
        if against is None or {better, worse} & set(against)
    )


def compared_neighbours(judgements: Mapping[str, Judgement]) -> tuple[Comparison, ...]:
    """Compare each row with the next better one alone, from the best to the worst.

    Parameters
    ----------
    judgements
        As for :func:`paired_comparisons`; higher values are better.
    """
    return tuple(_compared(judgements, *pair) for pair in pairwise(_best_first(judgements, True)))


def _best_first(judgements: Mapping[str, Judgement], higher_is_better: bool) -> list[str]:
    values = {row: judgement.summary["value"] for row, judgement in judgements.items()}
    sign = -1 if higher_is_better else 1
    judged = [row for row, value in values.items() if value is not None]
    return sorted(judged, key=lambda row: (sign * values[row], row))


def _compared(judgements: Mapping[str, Judgement], better: str, worse: str) -> Comparison:
    one, other = judgements[better], judgements[worse]
    return Comparison(
        better,
        worse,
        one.summary["value"] - other.summary["value"],
        percentile_interval(one.arrays["resampled"] - other.arrays["resampled"]),
    )


@dataclass(frozen=True)
class Verdict:
    """How methods do beside a baseline.

    Parameters
    ----------
    outcome
        "methods win": one of them is surely better. "baseline wins": it is surely better than every
        method. "open": neither.
    best
        The best method.
    comparison
        That of the best method and the baseline.
    """

    outcome: Literal["methods win", "baseline wins", "open"]
    best: str
    comparison: Comparison


def verdict(
    baseline: str, methods: Collection[str], comparisons: Iterable[Comparison]
) -> Verdict | None:
    """Say whether a baseline makes methods needless.

    Parameters
    ----------
    baseline
        A row.
    methods
        The rows that are no baselines.
    comparisons
        What :func:`paired_comparisons` returned, the better pairs first.

    Returns
    -------
    Verdict or None
        None where the baseline was compared with no method.
    """
    wins: list[Comparison] = []  # of methods, the best one's first
    losses: list[Comparison] = []  # of methods against the baseline, the best one's first
    for comparison in comparisons:
        if comparison.worse == baseline and comparison.better in methods:
            wins.append(comparison)
        elif comparison.better == baseline and comparison.worse in methods:
            losses.append(comparison)
    if not wins and not losses:
        return None
    best = wins[0] if wins else losses[0]
    name = best.better if wins else best.worse
    if any(comparison.sure for comparison in wins):
        sure = next(comparison for comparison in wins if comparison.sure)
        return Verdict("methods win", sure.better, sure)
    if not wins and all(comparison.sure for comparison in losses):
        return Verdict("baseline wins", name, best)
    return Verdict("open", name, best)


def verdict_notes(
    baselines: Iterable[str], methods: Collection[str], comparisons: Collection[Comparison]
) -> list[str]:
    """Say in plain words which baselines the methods do not beat.

    Parameters
    ----------
    baselines
        Rows.
    methods
        The rows that are no baselines.
    comparisons
        What :func:`paired_comparisons` returned.

    Returns
    -------
    list of str
        A sentence for each baseline that no method surely beats.
    """
    notes = []
    for baseline in baselines:
        found = verdict(baseline, methods, comparisons)
        if found is not None and found.outcome == "baseline wins":
            notes.append(
                f'"{baseline}" does better than every method here; the best of them is '
                f'"{found.best}": {found.comparison}.'
            )
        elif found is not None and found.outcome == "open":
            notes.append(
                f'no method here is surely better than "{baseline}"; the best of them is '
                f'"{found.best}": {found.comparison}.'
            )
    return notes
