"""What is found out about a query: its helpful and its harmful training examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from hessinf.scores import interpretation_html
else:
    interpretation_html = lazy_import("hessinf.scores.interpretation_html")


@dataclass(frozen=True)
class Influence:
    """One training example's influence on a query.

    Parameters
    ----------
    index
        Its place in the training data.
    id
        Its id.
    display
        What a person is shown.
    target
        Its target: a class, or numbers.
    loss
        Its own loss.
    score
        Positive where training more on it would make the model better on the query.
    loss_change_if_removed
        What the query's loss gains, to first order, when the model is trained again without it;
        None where a measurement other than the loss is explained.
    loss_change_refined
        The same after one Newton step without it, evaluated instead of linearised; None where that
        was not asked for, or is not possible (the diagnostics list those as ``not_refined``).
    token_influence
        For each token that is shown of it, what that contributes to the score; None where nobody
        asked, or no tokens are shown.
    token_influence_rest
        What belongs to no token; together they are the score.
    """

    index: int
    id: str
    display: dict[str, Any]
    target: Any
    loss: float
    score: float
    loss_change_if_removed: float | None
    loss_change_refined: float | None = None
    token_influence: tuple[float, ...] | None = None
    token_influence_rest: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object, in the order of the file format."""
        refined, tokens = self.loss_change_refined, self.token_influence
        return {
            "index": self.index,
            "id": self.id,
            "display": self.display,
            "score": self.score,
            "loss": self.loss,
            "loss_change_if_removed": self.loss_change_if_removed,
            **({} if refined is None else {"loss_change_refined": refined}),
            "target": self.target,
            **({} if tokens is None else {"token_influence": list(tokens)}),
            **({} if tokens is None else {"token_influence_rest": self.token_influence_rest}),
        }


@dataclass(frozen=True)
class Query:
    """A test example.

    Parameters
    ----------
    index, id, display, target, loss
        As of an :class:`Influence`, among the test data.
    prediction
        What the model says: a class, or numbers.
    measurement
        The value that is explained; the loss, unless the config says otherwise.
    probability
        What the model gives the class that it predicts, and that of the target: "prediction" and
        "target", which is None where the target is no class. None where nothing is classified.
    """

    index: int
    id: str
    display: dict[str, Any]
    target: Any
    prediction: Any
    loss: float
    measurement: float
    probability: dict[str, float | None] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object, in the order of the file format."""
        return {
            "index": self.index,
            "id": self.id,
            "display": self.display,
            "loss": self.loss,
            "measurement": self.measurement,
            "prediction": self.prediction,
            **({} if self.probability is None else {"probability": self.probability}),
            "target": self.target,
        }


@dataclass(frozen=True)
class Interpretation:
    """A query with both ends of its ranking.

    Parameters
    ----------
    query
        The test example.
    helpful
        The k training examples with the largest scores, descending.
    harmful
        The k training examples with the smallest scores, ascending.
    diagnostics
        How far to believe it: effective damping, residual of an iterative solver, share of
        parameters covered.
    groups
        Groups of training examples, the most helpful first
        (:meth:`hessinf.scores.GroupInfluence.to_json`); None where there are none.
    scores
        How the scores of all training examples are distributed
        (:meth:`hessinf.scores.score_histogram.ScoreDistribution.to_json`); None where nobody
        counted them.
    """

    query: Query
    helpful: tuple[Influence, ...]
    harmful: tuple[Influence, ...]
    diagnostics: dict[str, Any] = field(default_factory=dict)
    groups: tuple[dict[str, Any], ...] | None = None
    scores: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object: a line of ``interpretations.jsonl``."""
        return {
            "query": self.query.to_json(),
            "helpful": [influence.to_json() for influence in self.helpful],
            "harmful": [influence.to_json() for influence in self.harmful],
            **({} if self.scores is None else {"scores": self.scores}),
            **({} if self.groups is None else {"groups": list(self.groups)}),
            "diagnostics": self.diagnostics,
        }

    def _repr_html_(self) -> str:
        return interpretation_html.interpretation_html(self.to_json())
