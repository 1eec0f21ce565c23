r"""The metric "five-gaps": where influence and retraining part, step by step.

Bae, Ng, Lo, Ghassemi & Grosse (2022) explain why influence does not predict what happens when a
network is trained again without an example: each question differs from the next in one thing.

=================  ================================================================================
stage              the loss change of a query
=================  ================================================================================
cold start         of a model trained again without i, from new initial weights
warm start         of one trained without i in the same way, but from the explained model θ_s
proximal           at the minimum of ``F_i(θ) + ½ δ ‖θ − θ_s‖²``
Bregman            at the proximal Bregman response, for which θ_s counts as converged
linear             of the linearised Bregman response: exact damped Gauss-Newton influence
method             that the method predicts, at the same damping δ
=================  ================================================================================

The formulae stand in :mod:`hessinf.evaluation.proximal_retraining`. Between these lie the warm
start, proximity, non-convergence, linearisation and solver gaps.

- For the cold start, changes are measured against models that are trained on everything with the
  same seed (which is θ_s for the first seed), and averaged over seeds.
- For a linear model with a quadratic loss at its optimum, the first three vanish with δ, and the
  linearisation gap is that of the curvature without i.
- For networks, the non-convergence gap has the curvature that the Gauss-Newton matrix leaves out in
  it, beside what further training would change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.leave_one_out_truth import Examples, check_distinct, chosen_examples
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.registry import Above, AtLeast
from hessinf.registry.plan import as_json
from hessinf.runtime.finite_json import number_or_null
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np
    import torch

    from hessinf import training
    from hessinf.evaluation import (
        change_agreement,
        gap_decomposition,
        loss_changes,
        proximal_retraining,
        stacked_lbfgs,
        warm_starts,
    )
    from hessinf.evaluation.problem import Problem
    from hessinf.evaluation.truth_store import TruthParts
else:
    np = lazy_import("numpy")
    torch = lazy_import("torch")
    training = lazy_import("hessinf.training")
    change_agreement = lazy_import("hessinf.evaluation.change_agreement")
    gap_decomposition = lazy_import("hessinf.evaluation.gap_decomposition")
    proximal_retraining = lazy_import("hessinf.evaluation.proximal_retraining")
    loss_changes = lazy_import("hessinf.evaluation.loss_changes")
    warm_starts = lazy_import("hessinf.evaluation.warm_starts")

KIND = "five-gaps"

WHAT = f'the metric "{KIND}"'


@dataclass(frozen=True, eq=False)
class Stages:
    """What the stages up to exact Gauss-Newton influence gave.

    Parameters
    ----------
    indices
        The examples that were left out, ``[n]``.
    changes
        By stage, ``[Q, n]``, float64.
    gradient_norms
        The largest gradient at the end of each minimisation.
    """

    indices: np.ndarray
    changes: dict[str, np.ndarray]
    gradient_norms: dict[str, float]


@Metric.register(KIND)
class FiveGaps(Metric):
    """Splits the difference between retraining and influence into five gaps, for any network.

    Registered as a `Metric` with name "five-gaps".

    The value is the solver gap: the mean absolute difference between the loss changes that a method
    predicts and those of exact Gauss-Newton influence at the same damping, as a share of the mean
    size of the latter (0: exact). The gaps before it are the same for all methods, and stand in
    "truth"; each row says what share of all is its own.

    Parameters
    ----------
    examples
        Which training examples are left out: so many drawn by the seed, or a list of their indices.
        Each is some trainings.
    damping
        δ, of the proximity term and of influence; methods that have a damping are asked at this.
    repeats
        How many seeds the cold start is averaged over.
    gradient_tolerance
        The 2-norm of the gradient at which the minimisations end.

    References
    ----------
    Bae, Ng, Lo, Ghassemi & Grosse, If Influence Functions are the Answer, Then What is the
    Question?, NeurIPS 2022.
    """

    version: ClassVar[int] = 1

    higher_is_better: ClassVar[bool] = False

    columns: ClassVar[tuple[tuple[str, str], ...]] = (
        ("solver_share", "share of all gaps"),
        ("pearson_linear", "r to exact GGN"),
        ("pearson_bregman", "r to PBRF"),
        ("pearson_cold_start", "r to retraining"),
    )

    def __init__(
        self,
        *,
        examples: Annotated[int, AtLeast(1)] | list[Annotated[int, AtLeast(0)]] = 20,
        damping: Annotated[float, AtLeast(0)] = 1e-3,
        repeats: Annotated[int, AtLeast(1)] = 1,
        gradient_tolerance: Annotated[float, Above(0)] = 1e-8,
    ) -> None:
        self.examples: Examples = check_distinct(examples)
        self.damping = damping
        self.repeats = repeats
        self.gradient_tolerance = gradient_tolerance

    def check(self, problem: Problem) -> None:
        """Refuse problems without a trainer, models that begin trained, and unknown indices.

        Raises
        ------
        EvaluationError
            Which says what is missing.
        """
        problem.require_trainer(WHAT)
        chosen_examples(self.examples, problem, KIND)
        warm_starts.refuse_same_weights(problem, WHAT)

    def check_models(self, problem: Problem) -> None:
        """Refuse models that begin trained.

        Raises
        ------
        EvaluationError
            Which says why they are none to compare with.
        """
        warm_starts.refuse_warm_starts(problem, WHAT)

    def prepare(self, problem: Problem) -> Stages:
        """Go through the stages, or read what was kept of them."""
        indices = chosen_examples(self.examples, problem, KIND)  # [n]
        identity = {
            "version": self.version,
            "recipe": problem.recipe,
            "model": problem.models[0].fingerprint,
            "model_seed": problem.models[0].seed,
            "train": problem.train.fingerprint(),
            "queries": problem.queries.fingerprint(),
            "measurement": as_json(problem.measurement),
            "weight_decay": problem.weight_decay,
            "training_reduction": problem.training_reduction,
            "seed": problem.seed,
            "examples": indices.tolist(),
            "damping": self.damping,
            "repeats": self.repeats,
            "tolerance": self.gradient_tolerance,
        }
        arrays = problem.store.produce(
            KIND, identity, lambda parts: self._stages(problem, indices, parts)
        )
        stages = [name for name in gap_decomposition.STAGES if name in arrays]
        norms = {name: float(arrays[f"{name}_norms"].max()) for name in ("proximal", "bregman")}
        if norms["proximal"] > self.gradient_tolerance:
            problem.warn(
                f"{WHAT}: the proximal models ended with gradients of up to {norms['proximal']:.2g}"
                f" (expected {self.gradient_tolerance:g}): the proximity and non-convergence gaps "
                "are uncertain; raise damping"
            )
        return Stages(indices, {name: arrays[name].T for name in stages}, norms)

    def _stages(
        self, problem: Problem, indices: np.ndarray, parts: TruthParts
    ) -> dict[str, np.ndarray]:
        """Compute the stages that no part has yet; loss changes are ``[n, Q]``."""
        retraining = proximal_retraining.ProximalRetraining(
            problem.models[0].module,
            problem.train,
            problem.queries,
            problem.objective,
            problem.measurement,
            torch.from_numpy(indices),
            weight_decay=problem.weight_decay,
            damping=self.damping,
            reduction=problem.training_reduction,
            gradient_tolerance=self.gradient_tolerance,
            device=problem.device,
            memory_limit=problem.memory_limit,
        )
        own = retraining.values(retraining.origin[None]).cpu().numpy()  # [1, Q]

        def minimum(name: str, minima: stacked_lbfgs.Minima) -> dict[str, np.ndarray]:
            changes = retraining.values(minima.thetas).cpu().numpy() - own  # [n, Q]
            return {name: changes, f"{name}_norms": minima.gradient_norms.cpu().numpy()}

        makers: tuple[Callable[[], dict[str, np.ndarray]], ...] = (
            lambda: {"cold_start": self._cold_start(problem, indices, own)},
            lambda: {"warm_start": self._warm_start(problem, indices) - own},
            lambda: minimum("proximal", retraining.proximal()),
            lambda: minimum("bregman", retraining.bregman()),
            lambda: {"linear": retraining.linear().cpu().numpy()},
        )
        for number, make in enumerate(makers):
            if number not in parts:
                parts.add(number, make())
        return {name: array for part in parts.all(len(makers)) for name, array in part.items()}

    def _cold_start(self, problem: Problem, indices: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Train from new weights, without each example and with all, for each seed: ``[n, Q]``."""
        first = problem.models[0].seed
        further = [
            derive_seed(problem.seed, f"evaluation.{KIND}/{repeat}")
            for repeat in range(1, self.repeats)
        ]
        everything = list(range(len(problem.train)))
        members = [
            training.Member(_without(everything, index), seed)
            for seed in (first, *further)
            for index in indices.tolist()
        ] + [training.Member(everything, seed) for seed in further]
        values = _trained_values(problem, members, problem.make_module, "cold starts")
        without = values[: self.repeats * len(indices)]  # [R · n, Q]
        whole = np.concatenate([own, values[len(without) :]])  # [R, Q]
        changes = without.reshape(self.repeats, len(indices), -1) - whole[:, None]  # [R, n, Q]
        mean: np.ndarray = changes.mean(axis=0)
        return mean

    def _warm_start(self, problem: Problem, indices: np.ndarray) -> np.ndarray:
        """Train from the explained model on, without each example: ``[n, Q]``."""
        model = problem.models[0]
        everything = list(range(len(problem.train)))
        members = [
            training.Member(_without(everything, index), model.seed) for index in indices.tolist()
        ]

        def explained(seed: int) -> torch.nn.Module:
            module = problem.make_module(seed)
            module.load_state_dict(model.module.state_dict())
            return module

        return _trained_values(problem, members, explained, "warm starts")

    def describe(self, truth: Stages) -> dict[str, Any]:
        """Say how large the stages and the gaps between them are."""
        return {
            "examples": len(truth.indices),
            "damping": self.damping,
            "repeats": self.repeats,
            "mean_absolute_changes": {
                name: float(np.abs(changes).mean()) for name, changes in truth.changes.items()
            },
            "gaps": _gaps(truth.changes),
            "specific_gaps": _gaps(_specific(truth.changes)),
            "largest_gradient_norms": truth.gradient_norms,
        }

    def measure(self, attribution: Attribution, truth: Stages, problem: Problem) -> Judgement:
        """Add the solver gap of a method."""
        if attribution.has_damping:
            scores = attribution.scores_by_damping([self.damping])[0]  # [Q, N]
        else:
            scores = attribution.scores()  # [Q, N]
        predicted = loss_changes.changes_from_scores(
            scores, truth.indices, problem.training_reduction
        )  # [Q, n]
        stages = {**truth.changes, "method": predicted}
        gaps = _gaps(stages)
        size = float(np.abs(truth.changes["linear"]).mean())
        solver = gaps["solver"]
        summary: dict[str, Any] = {
            "value": solver["mean_absolute"] / size if size > 0 else None,
            "solver_share": solver["share"],
            "gaps": gaps,
            "specific_gaps": _gaps(_specific(stages)),
        }
        for name in truth.changes:
            pearson = change_agreement.pearson(predicted.ravel(), truth.changes[name].ravel())
            summary[f"pearson_{name}"] = number_or_null(float(pearson))
        summary["missing"] = sum(summary[f"pearson_{name}"] is None for name in truth.changes)
        return Judgement(summary)

    def conclude(
        self, judgements: Mapping[str, Judgement], truth: Stages, problem: Problem
    ) -> Conclusion:
        """Name the largest of the gaps that no method can close."""
        gaps = _gaps(truth.changes)
        largest = max(gaps, key=lambda name: gaps[name]["mean_absolute"])
        return Conclusion(
            notes=(
                f"the largest gap before any method's own is {largest.replace('_', ' ')}: "
                f"{gaps[largest]['mean_absolute']:.3g} of loss on average, "
                f"{gaps[largest]['share']:.0%} of the gaps up to exact Gauss-Newton influence",
            )
        )


def _without(everything: list[int], index: int) -> list[int]:
    return everything[:index] + everything[index + 1 :]


def _trained_values(
    problem: Problem, members: list[Any], make_module: Any, what: str
) -> np.ndarray:
    """Train models as the explained one was trained, and measure queries: ``[M, Q]``."""
    sign = -1.0 if problem.measurement.higher_is_better else 1.0
    trained = training.train_members(
        problem.require_trainer(WHAT),
        make_module,
        problem.train,
        problem.objective,
        members,
        device=problem.device,
        memory_limit=problem.memory_limit,
        validation=problem.validation,
        stage=what,
    )
    values = [
        some.values(problem.queries, problem.objective, problem.measurement) for some in trained
    ]
    turned: np.ndarray = sign * np.concatenate(values)  # [M, Q]
    return turned


def _gaps(stages: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: asdict(gap) for name, gap in gap_decomposition.decompose(stages).items()}


def _specific(stages: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: gap_decomposition.specific(changes) for name, changes in stages.items()}
