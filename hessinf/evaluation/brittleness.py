"""The metric "brittleness": how often removing what a prediction rests on changes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from hessinf.data.errors import listed
from hessinf.evaluation import classified_queries
from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.baselines import GRADIENT_DOT, RANDOM, SAME_CLASS_RANDOM
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import (
        flips,
        mean_bootstrap,
        paired_comparisons,
        predictions,
        query_removal,
        removal_sets,
        warm_starts,
    )
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    flips = lazy_import("hessinf.evaluation.flips")
    mean_bootstrap = lazy_import("hessinf.evaluation.mean_bootstrap")
    paired_comparisons = lazy_import("hessinf.evaluation.paired_comparisons")
    predictions = lazy_import("hessinf.evaluation.predictions")
    query_removal = lazy_import("hessinf.evaluation.query_removal")
    removal_sets = lazy_import("hessinf.evaluation.removal_sets")
    warm_starts = lazy_import("hessinf.evaluation.warm_starts")

NAME = "brittleness"

EMPTIED = 0.75
"""A class that loses more than this share of its examples flips by that alone."""

CONTROLS = (RANDOM, SAME_CLASS_RANDOM)


@Metric.register(NAME)
class Brittleness(Metric):
    """Removes what helps a query most, trains again, and counts the queries that flip.

    Registered as a `Metric` with name "brittleness".

    For some queries that the first attributed model predicts correctly, and for each number `k`,
    the `k` most helpful training examples are removed and `repeats` new models are trained. A query
    is flipped when most of them predict another class. The value is the share of flipped queries at
    the largest `k`, with its 95 % interval (Wilson). Rows that remove random examples, of all
    classes and of the query's own, are always there.

    Parameters
    ----------
    queries
        How many queries, drawn among those that are predicted correctly.
    removed
        The numbers of removed examples, ascending.
    repeats
        How many models are trained for each query and number.
    """

    baselines = (*CONTROLS, GRADIENT_DOT)

    def __init__(
        self,
        *,
        queries: Annotated[int, AtLeast(1)] = 24,
        removed: tuple[Annotated[int, AtLeast(1)], ...] = (20, 40, 80),
        repeats: Annotated[int, AtLeast(1)] = 3,
    ) -> None:
        if not removed or list(removed) != sorted(set(removed)):
            raise ValueError(
                f"removed is {list(removed)}, expected numbers of examples that ascend: [20, 80]"
            )
        self.queries = queries
        self.removed = tuple(removed)
        self.repeats = repeats

    def table_columns(self) -> tuple[tuple[str, str], ...]:
        """Return a column for each number of removed examples."""
        return tuple((f"flipped_{count}", f"without {count}") for count in self.removed)

    def check(self, problem: Problem) -> None:
        """Refuse regressions, removing everything, and recipes that train nothing.

        Raises
        ------
        EvaluationError
            Which says what is missing.
        """
        problem.require_trainer(f'"{NAME}"')
        if not predictions.has_classes(problem.queries):
            raise EvaluationError(
                f'"{NAME}" counts queries whose predicted class changes, and these have no class; '
                'use "query-loss-difference", which looks at their losses'
            )
        if self.removed[-1] >= len(problem.train):
            raise EvaluationError(
                f'"{NAME}": removed has {self.removed[-1]}, and there are {len(problem.train)} '
                "training examples; remove fewer"
            )
        warm_starts.refuse_same_weights(problem, f'"{NAME}"')

    def check_models(self, problem: Problem) -> None:
        """Refuse models that begin trained.

        Raises
        ------
        EvaluationError
            Which says why they are none to compare with.
        """
        warm_starts.refuse_warm_starts(problem, f'"{NAME}"')

    def prepare(self, problem: Problem) -> query_removal.ChosenQueries:
        """Draw the queries, and train models without removing anything."""
        right = classified_queries.correct_queries(problem)[0]  # [Q]
        return query_removal.choose_queries(problem, NAME, self.queries, right, self.repeats)

    def describe(self, truth: query_removal.ChosenQueries) -> dict[str, Any]:
        """Say which queries, and how many of them flip when nothing is removed."""
        (nothing,) = flips.brittleness_curve(
            self._flipped(truth, truth.kept["classes"].T[:, None]),
            np.zeros((len(truth.places), 1)),
            [0],
        )
        return {
            "queries": truth.places.tolist(),
            "models_per_query": self.repeats * len(self.removed),
            "nothing_removed": {name: nothing[name] for name in ("flipped", "share", "interval")},
        }

    def _flipped(self, truth: query_removal.ChosenQueries, classes: np.ndarray) -> np.ndarray:
        """Say which queries are no longer put into their class: ``[Q', K]`` of ``[Q', K, R]``."""
        labels = truth.queries.targets.numpy()  # [Q']; what was predicted: they are correct
        return flips.flipped(classes, np.repeat(labels[:, None], classes.shape[1], axis=1))

    def measure(
        self, attribution: Attribution, truth: query_removal.ChosenQueries, problem: Problem
    ) -> Judgement | None:
        """Remove what an attribution finds helpful, and train again."""
        if not attribution.has_scores:
            return None
        scores = attribution.scores()[truth.places]  # [Q', N]
        order = removal_sets.most_helpful(scores, self.removed[-1])  # [Q', k]
        found = query_removal.retrain_by_query(
            problem,
            NAME,
            [[places[:count] for count in self.removed] for places in order],
            truth,
            self.repeats,
            stage=f"retraining ({attribution.name})",
        )
        flipped = self._flipped(truth, found["classes"])  # [Q', K]
        before = truth.kept["margins"].mean(axis=0)[:, None]  # [Q', 1]
        curve = flips.brittleness_curve(
            flipped, found["margins"].mean(axis=-1) - before, self.removed
        )
        summary = {
            "value": curve[-1]["share"],
            "interval": curve[-1]["interval"],
            "missing": 0,
            "curve": curve,
            **{f"flipped_{point['removed']}": point["share"] for point in curve},
        }
        seed = derive_seed(problem.seed, f"evaluation.{NAME}.bootstrap")
        resampled = mean_bootstrap.resampled_means(flipped[:, -1][None], seed)  # [B]
        return Judgement(summary, {"resampled": resampled})

    def conclude(
        self,
        judgements: Mapping[str, Judgement],
        truth: query_removal.ChosenQueries,
        problem: Problem,
    ) -> Conclusion:
        """Compare the rows with random removal, and say how much of it is noise."""
        comparisons = paired_comparisons.paired_comparisons(judgements, against=CONTROLS)
        knowing = {
            pair.better for pair in comparisons if pair.sure and pair.worse == SAME_CLASS_RANDOM
        }
        number, total = self.describe(truth)["nothing_removed"]["flipped"], len(truth.places)
        notes = [
            f"{number} of {total} queries flip when models are trained again on everything: so "
            "many are due to the seeds of training alone"
        ]
        ignorant = [row for row in judgements if row not in CONTROLS and row not in knowing]
        if ignorant:
            notes.append(
                f"removing the {self.removed[-1]} most helpful examples flips no more queries than "
                f"removing as many random ones of the same class, as far as {total} queries can "
                f"tell: {listed(ignorant)}"
            )
        notes += self._emptied_classes(truth, problem)
        return Conclusion(tuple(pair.to_json() for pair in comparisons), tuple(notes))

    def _emptied_classes(
        self, truth: query_removal.ChosenQueries, problem: Problem
    ) -> Iterator[str]:
        """Say where removing examples of one class leaves hardly any of it."""
        sizes = np.bincount(problem.train.targets.numpy())  # [C]
        smallest = int(sizes[truth.queries.targets.numpy()].min())
        if self.removed[-1] > EMPTIED * smallest:
            yield (
                f"removing {self.removed[-1]} examples can take most of a class away (the smallest "
                f"has {smallest}), and then any prediction of it flips: look at fewer as well"
            )
