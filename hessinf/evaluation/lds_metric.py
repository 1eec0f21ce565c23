"""The metric "lds": how well scores predict what models trained on subsets do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hessinf.curvature.damping import Damping
from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.evaluation.subset_retraining import Alphas, SubsetRetraining
from hessinf.registry import AtLeast, Between
from hessinf.registry.plan import as_json
from hessinf.runtime.finite_json import number_or_null
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import lds, lds_conclusion, lds_judgement, noise_ceiling, subset_sums
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    lds = lazy_import("hessinf.evaluation.lds")
    lds_conclusion = lazy_import("hessinf.evaluation.lds_conclusion")
    lds_judgement = lazy_import("hessinf.evaluation.lds_judgement")
    noise_ceiling = lazy_import("hessinf.evaluation.noise_ceiling")
    subset_sums = lazy_import("hessinf.evaluation.subset_sums")

Truths = Mapping[float, "lds_judgement.LdsTruth"]
"""By alpha; the first one is the headline."""


@Metric.register("lds")
class LinearDatamodelingScore(Metric):
    """The linear datamodeling score: rank correlation of predicted and true effects of subsets.

    Registered as a `Metric` with name "lds".

    New models are trained on random subsets of the training data. For each query, the sum of the
    scores of a subset's members is what an attribution predicts for that subset; Spearman's
    correlation with the truth over subsets, averaged over queries, is the LDS. 1 is perfect, 0 is
    chance; noise of retraining keeps it below the attainable ceiling, which is shown.

    The interval is a two-way bootstrap over queries and subsets (95 %); rows are compared with the
    same resamples. Where a grid of dampings is given, each method's damping is chosen on a part of
    the queries, and all rows are reported on the others.

    Parameters
    ----------
    alphas
        The shares of training examples in a subset; the first one gives the value of the table.
        [0.5] where null.
    subsets
        How many subsets; 100 where null.
    repeats
        How many models are trained on each subset; 1 where null. 3 to 5 show the noise of
        retraining, and average it.
    ground_truth
        Where the truth comes from, instead of the three arguments above.
    dampings
        The dampings to choose from for every method that has one: numbers, or {"relative": share}.
        Every method keeps its own damping where null.
    tune_share
        The share of queries that dampings are chosen on; the others are reported. All queries are
        reported where there is no grid.
    resamples
        How often queries and subsets are drawn again for intervals.
    """

    columns: ClassVar[tuple[tuple[str, str], ...]] = (
        ("damping", "damping"),
        ("ensemble_value", "ensemble"),
    )

    def __init__(
        self,
        *,
        alphas: Alphas | None = None,
        subsets: Annotated[int, AtLeast(3)] | None = None,
        repeats: Annotated[int, AtLeast(1)] | None = None,
        ground_truth: SubsetRetraining | None = None,
        dampings: tuple[Damping, ...] | None = None,
        tune_share: Annotated[float, Between(0, 1)] = 0.5,
        resamples: Annotated[int, AtLeast(100)] = 1000,
    ) -> None:
        given = {"alphas": alphas, "subsets": subsets, "repeats": repeats}
        chosen: dict[str, Any] = {name: x for name, x in given.items() if x is not None}
        if ground_truth is not None and chosen:
            raise ValueError(
                f"{', '.join(chosen)} and ground_truth are both given; give them inside "
                "ground_truth"
            )
        if dampings is not None and not dampings:
            raise ValueError("dampings is empty; give some, or null to keep each method's own")
        if dampings and not 0 < tune_share < 1:
            raise ValueError(
                f"tune_share {tune_share:g} with dampings would choose each method's damping on "
                "the queries that are reported, or on none; give a share between 0 and 1"
            )
        self.alphas = alphas
        self.subsets = subsets
        self.repeats = repeats
        self.ground_truth = ground_truth
        self.dampings = dampings
        self.tune_share = tune_share
        self.resamples = resamples
        self._source = ground_truth or SubsetRetraining(**chosen)

    def check(self, problem: Problem) -> None:
        """Refuse problems that cannot be retrained, and too few queries to divide.

        Raises
        ------
        EvaluationError
            Which says what is missing.
        """
        self._divide(problem)
        self._source.check(problem)

    def check_models(self, problem: Problem) -> None:
        """Refuse what the ground truth refuses of trained models."""
        self._source.check_models(problem)

    def _divide(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Return the queries to choose dampings on, and those to report."""
        queries = len(problem.queries)
        if not self.dampings:
            return np.arange(0), np.arange(queries)
        tuned = round(self.tune_share * queries)
        if not 0 < tuned < queries:
            raise EvaluationError(
                f"tune_share {self.tune_share:g} of {queries} queries leaves {tuned} to choose "
                f"dampings on and {queries - tuned} to report on, expected one of each at least; "
                "take more queries, or give no dampings"
            )
        random = np.random.default_rng(derive_seed(problem.seed, "lds.tuning"))
        order = random.permutation(queries)  # [Q]
        return np.sort(order[:tuned]), np.sort(order[tuned:])

    def prepare(self, problem: Problem) -> Truths:
        """Retrain on subsets, or read what was kept; divide the queries.

        Raises
        ------
        EvaluationError
            When the ground truth is one of other data, or has no subsets.
        """
        tuning, reported = self._divide(problem)
        found: dict[float, lds_judgement.LdsTruth] = {}
        for truth in self._source.produce(problem):
            truth.require(examples=len(problem.train), queries=len(problem.queries))
            found[truth.alpha] = lds_judgement.prepare_truth(
                truth,
                tuning=tuning,
                reported=reported,
                resamples=self.resamples,
                seed=problem.seed,
            )
        return found

    def describe(self, truth: Truths) -> dict[str, Any]:
        """Say how many models were retrained on what, and how well they can be predicted."""
        first = next(iter(truth.values()))
        by_alpha = {}
        for alpha, one in truth.items():
            ceiling = one.ceiling
            by_alpha[str(alpha)] = {
                **one.subsets.facts(),
                "noise_ceiling": None if ceiling is None else ceiling.to_json(),
            }
        facts: dict[str, Any] = {
            "alpha": next(iter(truth)),
            "queries": len(first.reported),
            "queries_tuned_on": len(first.tuning),
            "reported_on": (
                "the queries that no damping was chosen on" if len(first.tuning) else "all queries"
            ),
            "resamples": self.resamples,
            "by_alpha": by_alpha,
        }
        if any(one.subsets.repeats == 1 for one in truth.values()):
            facts["noise"] = noise_ceiling.UNKNOWN
        return facts

    def measure(self, attribution: Attribution, truth: Truths, problem: Problem) -> Judgement:
        """Judge one attribution at every alpha."""
        tuned = self.dampings if self.dampings and attribution.has_damping else None
        predictions = self._predictions(attribution, truth, len(problem.queries), tuned)
        by_alpha: dict[str, Any] = {}
        arrays: dict[str, np.ndarray] = {}
        for alpha, one in truth.items():
            judged = lds_judgement.judge(predictions[alpha], one)
            ensemble = self._ensemble(attribution, predictions[alpha], one, tuned)
            by_alpha[str(alpha)] = {
                **lds_judgement.summary(judged),
                **self._damping(attribution, judged, tuned),
                "per_model": [
                    number_or_null(lds.mean_of_defined(row)) for row in judged.correlations
                ],
                "ensemble": ensemble,
                "ensemble_value": None if ensemble is None else ensemble["value"],
            }
            arrays[f"per_query/{alpha}"] = judged.per_query
            arrays[f"resampled/{alpha}"] = judged.resampled
        headline = by_alpha[str(next(iter(truth)))]
        return Judgement({**headline, "by_alpha": by_alpha}, arrays)

    def _predictions(
        self,
        attribution: Attribution,
        truth: Truths,
        queries: int,
        dampings: tuple[Damping, ...] | None,
    ) -> dict[float, np.ndarray]:
        """Add scores up over the subsets of every alpha, ``[K, D, Q, m]`` each."""
        found: dict[float, list[np.ndarray]] = {alpha: [] for alpha in truth}
        for model in range(attribution.num_models):
            scores = (
                attribution.scores(model)[None]
                if dampings is None
                else attribution.scores_by_damping(dampings, model)
            )  # [D, Q, N]
            for alpha, one in truth.items():
                sums = subset_sums.subset_sums(scores, one.subsets.masks, queries=queries)
                found[alpha].append(sums)  # [D, Q, m]
        return {alpha: np.stack(sums) for alpha, sums in found.items()}

    def _damping(
        self,
        attribution: Attribution,
        judged: lds_judgement.LdsJudgement,
        dampings: tuple[Damping, ...] | None,
    ) -> dict[str, Any]:
        """Say which damping was chosen, and among which; the row's own where none was."""
        if dampings is None or judged.curve is None:
            own = attribution.facts().get("damping")
            return {"damping": own, "damping_tuned": False, "damping_curve": None}
        return {
            "damping": as_json(dampings[judged.chosen]),
            "damping_tuned": True,
            "damping_curve": [
                {"damping": as_json(damping), "value": number_or_null(value)}
                for damping, value in zip(dampings, judged.curve, strict=True)
            ],
        }

    def _ensemble(
        self,
        attribution: Attribution,
        predictions: np.ndarray,
        truth: lds_judgement.LdsTruth,
        dampings: tuple[Damping, ...] | None,
    ) -> dict[str, Any] | None:
        """Judge the mean of the scores of all models; None where there is one model."""
        if len(predictions) < 2:
            return None
        judged = lds_judgement.judge(predictions.mean(axis=0, keepdims=True), truth)
        chosen = self._damping(attribution, judged, dampings)
        return {**lds_judgement.summary(judged), "damping": chosen["damping"]}

    def conclude(
        self, judgements: Mapping[str, Judgement], truth: Truths, problem: Problem
    ) -> Conclusion:
        """Compare all rows with each other, and say in words what must be seen."""
        return lds_conclusion.conclude(judgements, truth)
