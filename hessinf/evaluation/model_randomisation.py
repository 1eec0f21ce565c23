"""Random weights: scores that are of the model must change with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hessinf.errors import HessinfError
from hessinf.evaluation.baselines import GRADIENT_DOT
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.metric import Judgement, Metric
from hessinf.evaluation.per_query_metric import PerQueryMetric, QueryTruth
from hessinf.evaluation.problem import ScoreModel
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import rank_correlation
    from hessinf.evaluation.attribution import Attribution
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    rank_correlation = lazy_import("hessinf.evaluation.rank_correlation")


@Metric.register("model-randomisation")
class ModelRandomisation(PerQueryMetric):
    """Says how much scores stay the same when all weights of the model are drawn anew.

    Registered as a `Metric` with name "model-randomisation".

    The value is the mean over queries of Spearman's correlation of scores with those for models
    with new random weights (Adebayo et al. 2018; Hanawa et al. 2021). Low is good: scores that do
    not change say nothing of what the model has learnt. It does not say that they are right: random
    scores get 0.

    Parameters
    ----------
    seeds
        How many models with random weights each model is compared with.
    """

    higher_is_better = False
    must_beat = (GRADIENT_DOT,)  # random scores have nothing in common with any, right or wrong
    columns: ClassVar[tuple[tuple[str, str], ...]] = (
        ("absolute", "absolute"),
        *PerQueryMetric.columns,
    )

    def __init__(self, *, seeds: Annotated[int, AtLeast(1)] = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seeds = seeds

    def check(self, problem: Problem) -> None:
        """Refuse a recipe that does not make models with random weights."""
        if problem.cannot_retrain:
            raise EvaluationError(
                f"{self.registered_name()} makes models with random weights, and "
                f"{problem.cannot_retrain}"
            )

    def prepare(self, problem: Problem) -> QueryTruth:
        """Draw the weights of models."""
        seeds = [
            derive_seed(problem.seed, f"evaluation.model-randomisation/{place}")
            for place in range(self.seeds)
        ]
        models = tuple(ScoreModel(problem.make_module(seed).eval(), {}, seed) for seed in seeds)
        drawn = {model.fingerprint for model in models}
        known = drawn & {model.fingerprint for model in problem.models}
        if known or len(drawn) < self.seeds:
            which = "those of the run's model" if known else "the same for different seeds"
            raise EvaluationError(
                f"{self.registered_name()} makes models with random weights, and the weights made "
                f"are {which}; let the model's constructor draw its weights from PyTorch's "
                "generator"
            )
        kept = np.ones((len(problem.models), len(problem.queries)), dtype=bool)  # [K, Q]
        facts = {"random_models": self.seeds}
        return self.truth(problem, kept, np.zeros(()), facts, models=models)

    def query_values(
        self, attribution: Attribution, model: int, truth: QueryTruth, problem: Problem
    ) -> dict[str, np.ndarray] | None:
        """Correlate the scores for a model with those for models with random weights."""
        found = []
        scores = attribution.scores(model)  # [Q, N]
        for place, random in enumerate(truth.models):
            try:
                other = attribution.scores_for(random)  # [Q, N]
            except HessinfError as error:
                raise EvaluationError(
                    f'{self.registered_name()}: "{attribution.name}" cannot be computed for random '
                    f"model {place}: {error}"
                ) from error
            if other is None:
                return None
            found.append(rank_correlation.spearman(scores, other))  # [Q]
        correlations = np.stack(found)  # [seeds, Q]
        return {
            # One random model without a correlation leaves the query without: that is counted.
            "value": correlations.mean(axis=0),
            "absolute": np.abs(correlations).mean(axis=0),
        }

    def measure(
        self, attribution: Attribution, truth: QueryTruth, problem: Problem
    ) -> Judgement | None:
        """Average over queries; a row that cannot be computed anew is shown without a number."""
        judgement = super().measure(attribution, truth, problem)
        if judgement is None:
            return Judgement(
                {
                    "value": None,
                    "interval": None,
                    "missing": truth.facts["queries"],
                    "queries": truth.facts["queries"],
                }
            )
        return judgement

    def notes(self, judgements: Mapping[str, Judgement], truth: QueryTruth) -> list[str]:
        """Name the rows that do not depend on the model, and those where nobody can know."""
        notes = super().notes(judgements, truth)
        for row, judgement in judgements.items():
            value = judgement.summary["value"]
            if "models" not in judgement.summary:
                notes.append(
                    f'"{row}" cannot be computed for another model (its scores are from a file, or '
                    "tied to checkpoints): whether they depend on what the model has learnt is not "
                    "known."
                )
            elif value is not None and value >= 1 - ROUNDING:
                notes.append(
                    f'the scores of "{row}" are in the same order for models with random weights: '
                    "they say nothing of what this model has learnt."
                )
        return notes


ROUNDING = 1e-12
"""A mean of correlations that are all 1 may be off by so much."""
