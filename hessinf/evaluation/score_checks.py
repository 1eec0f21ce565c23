"""Whether a matrix of scores can be what it is said to be: pure functions of arrays.

Scores of every sensible method agree, to some extent, with plain inner products of gradients
("gradient-dot") of the model that they explain. What does not is in another order, has another
sign, or belongs to something else. Thresholds were set on scores of all registered methods on five
problems, such that none of them is suspected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hessinf.evaluation.array_checks import require_finite
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.rank_correlation import average_ranks

CLEAR = 3.0
"""Standard deviations beyond which agreement over training examples is no chance."""

CLEAR_PAIRING = 2.0
"""The same for the pairing of queries, of which there are fewer: one in forty by chance."""

FEWEST_QUERIES = 12
"""With fewer, nothing but the sign is judged: pairings of weak methods are not clear then."""

SHUFFLES = 19
"""How often columns are shuffled to see what agreement is by chance."""

BEYOND_SHUFFLES = 1.5
"""By how much all agreement together must exceed the largest of those."""


@dataclass(frozen=True)
class Agreement:
    """How scores agree with a reference, over training examples (ranks), query by query.

    Parameters
    ----------
    mean
        The mean over queries of Spearman's correlation with the reference's scores of the same
        query.
    columns
        The same in standard deviations of what it is when training examples are shuffled.
    pairing
        How much more queries agree with themselves than with each other, in standard deviations
        over all pairings; None for fewer than 12 queries, or where all queries agree alike.
    beyond_chance
        The sum of squared correlations of all pairs of queries, divided by the largest of 19 with
        shuffled training examples: above 1.5 the order of training examples fits, whatever the
        order of queries is.
    """

    mean: float
    columns: float
    pairing: float | None
    beyond_chance: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against order and sign."""
        if self.pairing is None:
            return self.columns > -CLEAR
        known_order = self.columns > CLEAR or (
            self.beyond_chance > BEYOND_SHUFFLES and self.columns > -CLEAR
        )
        return known_order and self.pairing > CLEAR_PAIRING


WHAT_TO_TURN = {
    None: "rows seem to be training examples: transpose them",
    False: "rows seem to be training examples: say so with NAME=FILE:transposed, or "
    '{"path": ..., "transposed": true}',
    True: 'they fit as they lie in the file: leave ":transposed", or "transposed": true, out',
}
"""What to do about a matrix ``[N, Q]``, by whether it was said to be transposed."""


def checked(
    scores: Any, shape: tuple[int, int], what: str, *, transposed: bool | None = None
) -> np.ndarray:
    """Return scores as float64, once shape and numbers are in order.

    Parameters
    ----------
    scores
        ``[Q, N]``.
    shape
        Q and N.
    what
        What messages call them.
    transposed
        Whether somebody has said, with the option for it, that they lie transposed, so that they
        were turned; None where there is no such option.

    Raises
    ------
    EvaluationError
        When the shape is another one, a number is not finite, or each row has one value only.
    """
    matrix = np.asarray(scores)
    expected = f"[{shape[0]}, {shape[1]}] (queries, training examples)"
    if matrix.shape != shape:
        hint = ""
        if matrix.shape == shape[::-1]:
            hint = f"; {WHAT_TO_TURN[transposed]}"
        raise EvaluationError(f"{what} has shape {list(matrix.shape)}, expected {expected}{hint}")
    if matrix.dtype.kind not in "fiub":
        raise EvaluationError(f"{what} holds {matrix.dtype}, expected real numbers {expected}")
    matrix = matrix.astype(np.float64)  # [Q, N]
    require_finite(what, matrix)
    if (matrix == matrix[:, :1]).all():
        raise EvaluationError(
            f"{what} has one value for all training examples of each query: nothing is ranked by it"
        )
    return matrix


def constant_rows(scores: np.ndarray) -> int:
    """Count queries whose scores ``[Q, N]`` are all the same."""
    return int((scores == scores[:, :1]).all(axis=1).sum())


def agreement(scores: np.ndarray, reference: np.ndarray) -> Agreement:
    """Compare scores with a reference.

    Parameters
    ----------
    scores, reference
        ``[Q, N]``, finite.
    """
    own, other = unit_ranks(scores), unit_ranks(reference)  # [Q, N]
    queries, train = own.shape
    pairs = own @ other.T  # [Q, Q]
    total = float(np.trace(pairs))
    # Over all orders of the columns, the trace has mean 0 and this variance.
    spread = np.sqrt(((own @ own.T) * (other @ other.T)).sum() / max(train - 1, 1))
    random = np.random.default_rng(0)
    shuffled = [
        float(((own[:, random.permutation(train)] @ other.T) ** 2).sum()) for _ in range(SHUFFLES)
    ]
    return Agreement(
        mean=total / queries,
        columns=float(total / spread) if spread > 0 else 0.0,
        pairing=_pairing(pairs),
        beyond_chance=float((pairs**2).sum() / max(shuffled)) if max(shuffled) > 0 else 0.0,
    )


def suspicion(found: Agreement) -> str | None:
    """Say what is wrong with scores that agree in this way with gradient-dot; None if nothing is.

    Returns
    -------
    str or None
        "negated", "rows" (queries are in another order) or "columns" (training examples are in
        another order, or the scores are of something else).
    """
    if found.fits:
        return None
    paired = found.pairing is None or found.pairing < -CLEAR
    if found.columns < -CLEAR and paired:
        return "negated"
    return "rows" if found.beyond_chance > BEYOND_SHUFFLES else "columns"


def transposed(scores: np.ndarray, reference: np.ndarray) -> bool:
    """Whether a square matrix of scores fits a reference only when it is transposed."""
    if scores.shape[0] != scores.shape[1]:
        return False
    return not agreement(scores, reference).fits and agreement(scores.T, reference).fits


CLEAR_MODEL = 3.5
"""Standard errors by which scores of the explained model agree better with it than with others."""

SMALLEST_EFFECT = 0.4
"""The same in standard deviations over queries: with many queries, a model of another seed that
happens to be a little nearer to the explained model is "clearly" nearer too. Scores of the
explained model reached 1.4 and more on digits, 0.76 and more on MNIST, those of other seeds 0.2 and
less."""

MODELS_DIFFER = 0.9
"""The largest rank correlation between reference scores of two models that are told apart."""

ENOUGH_POWER = 12.0
"""Standard errors by which a reference itself must tell the models apart."""

FEWEST_TO_TELL = 16
"""With fewer queries, models are not told apart."""

FEW_VALUES = 0.25
"""Rows of fewer different scores than this share of N, such as those of labels alone, tell no
models apart."""


@dataclass(frozen=True)
class Origin:
    """Whether scores agree better with the explained model than with models of other seeds.

    Parameters
    ----------
    preference
        By how many standard errors (over queries) they agree better with the explained model than
        with the nearest of the others; the largest over references.
    power
        The same for the reference itself: what could be seen at most.
    between_models
        How references of the explained model and the others agree.
    queries
        How many there are.
    tells
        Whether models differ enough, and queries are enough, to tell.
    """

    preference: float
    power: float
    between_models: float
    queries: int
    tells: bool

    @property
    def suspicious(self) -> bool:
        """Whether the scores seem not to be of the explained model."""
        least = max(CLEAR_MODEL, SMALLEST_EFFECT * math.sqrt(self.queries))
        return self.tells and self.preference < least

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def origin(
    scores: np.ndarray,
    explained: Mapping[str, np.ndarray],
    others: Sequence[Mapping[str, np.ndarray]],
) -> Origin:
    """Look for the model that scores belong to.

    Parameters
    ----------
    scores
        ``[Q, N]``.
    explained
        Reference scores of the explained model, ``[Q, N]``, by the name of the reference: one
        without curvature and one with, since scores of methods with curvature agree too little with
        plain gradients to tell models apart.
    others
        The same references of models of other seeds, one or more.
    """
    ranks = unit_ranks(scores)  # [Q, N]
    preferences, powers, correlations = [], [], []
    for name, reference in explained.items():
        own = unit_ranks(reference)  # [Q, N]
        rest = [unit_ranks(other[name]) for other in others]
        preferences.append(min(_preference(ranks, own, other) for other in rest))
        powers.append(min(_preference(own, own, other) for other in rest))
        correlations.append(max(float((own * other).sum(axis=1).mean()) for other in rest))
    enough = len(scores) >= FEWEST_TO_TELL and max(powers) > ENOUGH_POWER
    several = np.median([len(np.unique(row)) for row in scores]) >= FEW_VALUES * scores.shape[1]
    alike = max(correlations)
    return Origin(
        preference=max(preferences),
        power=max(powers),
        between_models=alike,
        queries=len(scores),
        tells=bool(enough and several and alike < MODELS_DIFFER),
    )


def unit_ranks(scores: np.ndarray) -> np.ndarray:
    """Turn rows into ranks with mean 0 and norm 1, so that products are Spearman's correlations.

    Rows of one value only become zeros.
    """
    ranks = average_ranks(scores)  # [Q, N]
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(ranks, axis=1, keepdims=True)  # [Q, 1]
    found: np.ndarray = np.divide(ranks, norms, out=np.zeros_like(ranks), where=norms > 0)
    return found


def _pairing(pairs: np.ndarray) -> float | None:
    """Compare the diagonal of ``[Q, Q]`` with all other pairings, in standard deviations."""
    queries = len(pairs)
    if queries < FEWEST_QUERIES:
        return None
    rest = pairs - pairs.mean(axis=0) - pairs.mean(axis=1, keepdims=True) + pairs.mean()
    # The sum over a random pairing has the mean Σ/Q, and this variance.
    spread = float(np.sqrt((rest**2).sum() / (queries - 1)))
    if spread < 1e-9 * queries:
        return None
    return float(np.trace(pairs) - pairs.sum() / queries) / spread


def _preference(scores: np.ndarray, own: np.ndarray, other: np.ndarray) -> float:
    """Say by how many standard errors scores agree better with one reference than with another."""
    gains = ((own - other) * scores).sum(axis=1)  # [Q]
    if len(gains) < 2:
        return 0.0
    error = float(gains.std(ddof=1)) / len(gains) ** 0.5
    return float(gains.mean()) / error if error > 0 else 0.0
