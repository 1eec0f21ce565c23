"""How sure one can be of a listed training example: a level, and the reason in words.

The first question is whether the score stands out. The typical score of a query is the root mean
square of all its scores. If its N scores were spread like a bell (a normal distribution) around 0,
the largest of them would be about √(2 ln N) times as large: 3.8 times for N = 1,617. A score that
is at least twice that stands out ("high"), one that is at least that large is larger than most
("medium"), and a smaller one is one of many ("low").

What else is known can only lower the level:

- the damped curvature has negative eigenvalues, or the solver met negative curvature: low;
- the solver stopped early: medium, and low from a relative residual of 0.3 on;
- a relative residual above 0.1: medium;
- an error bound of the query's scores (root mean square) above half this score: low, above a tenth:
  medium;
- a sampled curvature whose size is known to no better than a tenth: medium;
- a Newton step without the example changes the loss the other way: low; by less than half, or more
  than twice, what the first order says: medium;
- the loss would fall by more than all of it if the example were removed: medium;
- a score of the other sign, in a list that has room: low.

Without the distribution of scores the level is unknown, unless one of these lowers it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hessinf.display.numbers import number

SureLevel = Literal["high", "medium", "low"]
LEVELS: tuple[SureLevel, ...] = ("low", "medium", "high")

OUTSTANDING = 2.0
"""How many times the largest of bell-shaped scores a score stands out at."""

HIGH_RESIDUAL, VERY_HIGH_RESIDUAL = 0.1, 0.3
LARGE_ERROR, VERY_LARGE_ERROR = 0.1, 0.5
LARGE_SPREAD = 0.1
LITTLE = 0.1
LARGEST_RATIO = 2.0
"""Between a refined loss change and the first order, in either direction."""


@dataclass(frozen=True)
class ScoreSpread:
    """What is known of all scores of a query.

    Parameters
    ----------
    count
        How many there are.
    typical
        Their root mean square.
    """

    count: int
    typical: float

    @property
    def largest_of_many(self) -> float:
        """The magnitude that the largest would have if all were spread like a bell."""
        return math.sqrt(2 * math.log(max(self.count, 2))) * self.typical


def score_spread(scores: Mapping[str, Any] | None) -> ScoreSpread | None:
    """Read the distribution of a query's scores.

    Parameters
    ----------
    scores
        With "count", "mean" and "standard_deviation"; None where it was not kept.

    Returns
    -------
    ScoreSpread or None
        None where nothing is known.
    """
    if not scores or not scores.get("count"):
        return None
    return ScoreSpread(scores["count"], math.hypot(scores["mean"], scores["standard_deviation"]))


def how_sure(
    influence: Mapping[str, Any],
    *,
    helpful: bool,
    spread: ScoreSpread | None,
    diagnostics: Mapping[str, Any],
    query_loss: float | None,
) -> dict[str, Any]:
    """Say how sure one can be of a listed training example.

    Parameters
    ----------
    influence
        One of "helpful" or "harmful" of an interpretation.
    helpful
        Which of them.
    spread
        Of all scores of the query; None where it was not kept.
    diagnostics
        Of the query.
    query_loss
        Its loss; None where the measurement is another.

    Returns
    -------
    dict
        "level": "high", "medium", "low" or None where nothing is known; "text": the reason, empty
        with None.
    """
    score = influence["score"]
    if score == 0:
        return {"level": "low", "text": "no influence: the score is 0"}
    if (score > 0) != helpful:
        side = "helps" if helpful else "harms"
        text = f"listed because the list has room: no other example {side} this query"
        return {"level": "low", "text": text}
    level, text = _standing(abs(score), spread)
    doubts = sorted(
        (
            *_solver_doubts(diagnostics),
            *_size_doubts(abs(score), spread, diagnostics),
            *_change_doubts(influence, query_loss),
        ),
        key=lambda doubt: LEVELS.index(doubt[0]),
    )
    if doubts and (level is None or LEVELS.index(doubts[0][0]) <= LEVELS.index(level)):
        level, reason = doubts[0]
        text = f"{reason}; {text}" if text else reason
    elif _confirmed(influence):
        text = f"{text}; a Newton step without it confirms the size" if text else text
    return {"level": level, "text": text}


def _standing(magnitude: float, spread: ScoreSpread | None) -> tuple[SureLevel | None, str]:
    """Compare a score with all of its query."""
    if spread is None or spread.typical == 0:
        return None, ""
    if magnitude >= OUTSTANDING * spread.largest_of_many:
        return "high", f"stands out: {_times(magnitude, spread)} the typical score of this query"
    if magnitude >= spread.largest_of_many:
        return (
            "medium",
            f"larger than most: {_times(magnitude, spread)} the typical score of this query",
        )
    return "low", f"one of many: {_times(magnitude, spread)} the typical score of this query"


def _times(magnitude: float, spread: ScoreSpread) -> str:
    ratio = magnitude / spread.typical
    if ratio < LITTLE:
        return "less than a tenth of"
    return f"{ratio:.2g} times" if ratio < 10 else f"{ratio:,.0f} times"


Doubt = tuple[SureLevel, str]


def _solver_doubts(diagnostics: Mapping[str, Any]) -> Iterator[Doubt]:
    if diagnostics.get("negative_curvature") is True:
        yield "low", "the solver met negative curvature"
    if diagnostics.get("negative_eigenvalues") and not diagnostics.get("mended_eigenvalues"):
        yield "low", "the curvature has negative eigenvalues"
    residual = diagnostics.get("relative_residual")
    stopped = diagnostics.get("converged") is False
    if residual is not None and not _at_most(residual, VERY_HIGH_RESIDUAL) and stopped:
        yield "low", "the solver stopped far from the solution"
    elif stopped:
        yield "medium", "the solver stopped early"
    elif residual is not None and not _at_most(residual, HIGH_RESIDUAL):
        yield "medium", f"the solver left a residual of {number(residual)}"
    spread = diagnostics.get("fisher_relative_standard_error")
    if spread is not None and not _at_most(spread, LARGE_SPREAD):
        yield "medium", "the curvature was sampled roughly"


def _size_doubts(
    magnitude: float, spread: ScoreSpread | None, diagnostics: Mapping[str, Any]
) -> Iterator[Doubt]:
    """Compare a score with the error that rounded factors may have made."""
    bound = diagnostics.get("score_error_bound")
    if spread is None or not isinstance(bound, int | float):
        return
    error = bound * spread.typical / magnitude
    if error > VERY_LARGE_ERROR:
        yield "low", "the error bound of the scores is more than half of this score"
    elif error > LARGE_ERROR:
        yield "medium", "the error bound of the scores is a tenth of this score or more"


def _change_doubts(influence: Mapping[str, Any], query_loss: float | None) -> Iterator[Doubt]:
    """Hold the predicted change of the loss against what is possible, and against a Newton step."""
    change, refined = influence.get("loss_change_if_removed"), influence.get("loss_change_refined")
    if not change:
        return
    if refined is not None:
        ratio = refined / change
        if ratio < 0:
            yield "low", "a Newton step without it changes the loss the other way"
        elif not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
            yield "medium", "a Newton step without it gives a change of another size"
    elif query_loss is not None and query_loss >= 0 and -change > query_loss:
        yield "medium", "the predicted fall is more than the whole loss, so its size is doubtful"


def _confirmed(influence: Mapping[str, Any]) -> bool:
    return influence.get("loss_change_refined") is not None and bool(
        influence.get("loss_change_if_removed")
    )


def _at_most(value: Any, limit: float) -> bool:
    """Compare a diagnostic; what is not finite stands in files as a text."""
    return isinstance(value, int | float) and value <= limit
