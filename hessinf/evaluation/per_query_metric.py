"""The base of metrics that are the mean of a number for each query."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hessinf.evaluation.baselines import GRADIENT_DOT, RANDOM
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.registry import AtLeast
from hessinf.runtime.finite_json import number_or_null
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import paired_comparisons, query_means, resampling
    from hessinf.evaluation.attribution import Attribution
    from hessinf.evaluation.problem import Problem, ScoreModel
else:
    np = lazy_import("numpy")
    resampling = lazy_import("hessinf.evaluation.resampling")
    paired_comparisons = lazy_import("hessinf.evaluation.paired_comparisons")
    query_means = lazy_import("hessinf.evaluation.query_means")


@dataclass(frozen=True, eq=False)
class QueryTruth:
    """What is true of queries.

    Parameters
    ----------
    kept
        Which queries are looked at for each model, ``[K, Q]``.
    chance
        What scores that know nothing would get for each query, ``[K, Q]``.
    drawn
        How often each query is drawn in each resample, ``[B, Q]``.
    facts
        What was found, as JSON.
    arrays
        What the metric compares scores with.
    models
        Further models that the metric looks at.
    """

    kept: np.ndarray
    chance: np.ndarray
    drawn: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    models: tuple[ScoreModel, ...] = ()


class PerQueryMetric(Metric):
    """The mean over queries of a number.

    Parameters
    ----------
    resamples
        How often queries are drawn anew for the 95 % intervals.
    """

    must_beat: ClassVar[tuple[str, ...]] = (RANDOM, GRADIENT_DOT)
    """Baselines that a method should do better than; others are shown, and not compared."""

    columns: ClassVar[tuple[tuple[str, str], ...]] = (("chance", "chance"), ("queries", "queries"))

    def __init__(self, *, resamples: Annotated[int, AtLeast(100)] = 1000) -> None:
        self.resamples = resamples

    @abstractmethod
    def prepare(self, problem: Problem) -> QueryTruth:
        """Find out which queries are looked at, and what is true of them."""

    def truth(
        self,
        problem: Problem,
        kept: np.ndarray,
        chance: np.ndarray,
        facts: dict[str, Any],
        **found: Any,
    ) -> QueryTruth:
        """Draw queries, and count those that are looked at.

        Parameters
        ----------
        problem
            Its seed decides the draws.
        kept, chance
            ``[K, Q]``, and what broadcasts to it.
        facts, found
            As for :class:`QueryTruth`.
        """
        seed = derive_seed(problem.seed, f"evaluation.{self.registered_name()}")
        used: np.ndarray = np.logical_or.reduce(kept, axis=0)  # [Q]
        return QueryTruth(
            kept=kept,
            chance=np.broadcast_to(chance, kept.shape),
            drawn=resampling.draw_counts(np.random.default_rng(seed), len(used), self.resamples),
            facts={"queries": int(used.sum()), "filtered": int((~used).sum()), **facts},
            **found,
        )

    @abstractmethod
    def query_values(
        self, attribution: Attribution, model: int, truth: QueryTruth, problem: Problem
    ) -> dict[str, np.ndarray] | None:
        """Return numbers for each query, ``[Q]``, by name; "value" is the one that counts.

        NaN where a query has none; None where the attribution has not what is looked at.
        """

    def describe(self, truth: QueryTruth) -> dict[str, Any]:
        """Say how many queries are looked at, and what chance would give."""
        chance = self._mean(truth.chance, truth, len(truth.kept)).value
        return {**truth.facts, "chance": number_or_null(chance)}

    def _mean(self, values: np.ndarray, truth: QueryTruth, models: int) -> query_means.QueryMean:
        return query_means.mean_over_queries(values, truth.kept[:models], truth.drawn)

    def measure(
        self, attribution: Attribution, truth: QueryTruth, problem: Problem
    ) -> Judgement | None:
        """Average the numbers of one attribution, for all its models."""
        if not attribution.has_scores:
            return None
        models = attribution.num_models
        found = []
        for model in range(models):
            numbers = self.query_values(attribution, model, truth, problem)
            if numbers is None:
                return None
            found.append(numbers)
        means = {
            name: self._mean(np.stack([numbers[name] for numbers in found]), truth, models)
            for name in found[0]
        }
        value = means.pop("value")
        chance = self._mean(truth.chance[:models], truth, models)
        summary: dict[str, Any] = {
            "value": number_or_null(value.value),
            "interval": value.interval,
            "missing": value.missing,
            "queries": value.queries,
            "models": models,
            "chance": number_or_null(chance.value),
        }
        for name, mean in means.items():
            summary |= {name: number_or_null(mean.value), f"{name}_interval": mean.interval}
        return Judgement(summary, {"resampled": value.resampled})

    def conclude(
        self, judgements: Mapping[str, Judgement], truth: QueryTruth, problem: Problem
    ) -> Conclusion:
        """Compare the best row with the others, and say which baselines no method beats."""
        left_out = set(self.baselines) - set(self.must_beat)
        comparisons = paired_comparisons.paired_comparisons(
            {row: found for row, found in judgements.items() if row not in left_out},
            higher_is_better=self.higher_is_better,
        )
        methods = [row for row in judgements if row not in self.baselines]
        notes = [
            *self.notes(judgements, truth),
            *paired_comparisons.verdict_notes(self.must_beat, methods, comparisons),
        ]
        best = comparisons[0].better if comparisons else None
        shown = tuple(pair.to_json() for pair in comparisons if pair.better == best)
        return Conclusion(shown, tuple(notes))

    def notes(self, judgements: Mapping[str, Judgement], truth: QueryTruth) -> list[str]:
        """Say what a person must know of these numbers, beside how rows compare."""
        if truth.facts["queries"]:
            return []
        return [
            f"no query is looked at ({truth.facts['filtered']} were left out): there is no number, "
            "which is not the same as 0."
        ]
