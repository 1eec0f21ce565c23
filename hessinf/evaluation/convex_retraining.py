"""What the ground truths of convex models share: retraining in parts that a killed run keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hessinf.registry.plan import as_json
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.progress import bar

if TYPE_CHECKING:
    import numpy as np
    import torch

    from hessinf import gradients
    from hessinf.evaluation import convexity, exact_retraining, stacked_objective
    from hessinf.evaluation.problem import Problem
    from hessinf.evaluation.truth_store import TruthParts
else:
    np = lazy_import("numpy")
    torch = lazy_import("torch")
    gradients = lazy_import("hessinf.gradients")
    convexity = lazy_import("hessinf.evaluation.convexity")
    exact_retraining = lazy_import("hessinf.evaluation.exact_retraining")
    stacked_objective = lazy_import("hessinf.evaluation.stacked_objective")

VERSION = 1
"""Raised when retraining gives other numbers than before."""

MODELS_IN_A_PART = 128
"""How many retrained models a killed run loses at most; a number that is always the same."""

FAR_FROM_OPTIMUM = 0.05
"""The difference between the losses of the attributed model and of the optimum, as a share of the
latter, from which on it is said."""


def check_convex(problem: Problem, what: str) -> None:
    """Refuse a problem whose model is not linear in its parameters, at no cost.

    Raises
    ------
    EvaluationError
        Which says what to use instead.
    """
    models = _models(problem)
    with models.model.evaluating():
        convexity.require_affine_outputs(models, problem.train, what)


def retrained_changes(
    problem: Problem,
    kind: str,
    identity: dict[str, Any],
    masks: Callable[[range], np.ndarray],
    names: Callable[[int], str],
    count: int,
    *,
    gradient_tolerance: float,
) -> dict[str, np.ndarray]:
    """Retrain on subsets, and measure queries before and after; or read what was kept.

    Parameters
    ----------
    problem
        Data, model and store.
    kind
        What the truth is called.
    identity
        What decides the subsets, as JSON.
    masks
        Gives the members of some of the subsets, bool ``[k, N]``.
    names
        What messages call a subset.
    count
        How many subsets there are, K.
    gradient_tolerance
        How small the gradient of each must be at the end.

    Returns
    -------
    dict of str to numpy.ndarray
        ``"changes"`` ``[K, Q]``, after minus before, less being better for the query; ``"before"``
        ``[Q]``. Float64.
    """

    def make(parts: TruthParts) -> dict[str, np.ndarray]:
        retraining = _retraining(problem, kind, gradient_tolerance)
        before = retraining.values(retraining.whole[None], problem.queries, problem.measurement)
        places = range(0, count, MODELS_IN_A_PART)
        with bar(stage=f"{kind} retraining", total=count, unit="models") as shown:
            for number, start in enumerate(places):
                some = range(start, min(start + MODELS_IN_A_PART, count))
                if number not in parts:
                    members = torch.from_numpy(masks(some))  # [k, N]
                    thetas = retraining.optima(members, [names(place) for place in some])
                    after = retraining.values(thetas, problem.queries, problem.measurement)
                    parts.add(number, {"changes": (after - before).cpu().numpy()})  # [k, Q]
                shown.update(len(some))
        changes = [part["changes"] for part in parts.all(len(places))]
        return {"changes": np.concatenate(changes), "before": before[0].cpu().numpy()}

    arrays = problem.store.produce(
        kind, {**_identity(problem), "tolerance": gradient_tolerance, **identity}, make
    )
    _warn_of_other_model(problem, arrays["before"])
    return arrays


def _identity(problem: Problem) -> dict[str, Any]:
    """Say what decides the optimum on a subset."""
    return {
        "version": VERSION,
        "recipe": problem.recipe,
        "train": problem.train.fingerprint(),
        "queries": problem.queries.fingerprint(),
        "measurement": as_json(problem.measurement),
        "weight_decay": problem.weight_decay,
        "training_reduction": problem.training_reduction,
        "frozen": _frozen(problem),
    }


def _frozen(problem: Problem) -> str | None:
    """Return a hash of the model where some of its parameters are not trained."""
    model = problem.models[0]
    trained = all(value.requires_grad for value in model.module.parameters())
    return None if trained and not any(True for _ in model.module.buffers()) else model.fingerprint


def _models(problem: Problem) -> stacked_objective.StackedModels:
    # Before training there is only one that could be trained.
    module = problem.models[0].module if problem.models else problem.make_module(problem.seed)
    model = gradients.FunctionalModel(module, device=problem.device, dtype=torch.float64)
    return stacked_objective.StackedModels(model, problem.objective, problem.memory_limit)


def _retraining(
    problem: Problem, kind: str, gradient_tolerance: float
) -> exact_retraining.ExactRetraining:
    return exact_retraining.ExactRetraining(
        problem.models[0].module,
        problem.train,
        problem.objective,
        weight_decay=problem.weight_decay,
        reduction=problem.training_reduction,
        gradient_tolerance=gradient_tolerance,
        device=problem.device,
        memory_limit=problem.memory_limit,
        what=f'"{kind}"',
    )


def _warn_of_other_model(problem: Problem, before: np.ndarray) -> None:
    """Say that the attributed model is not the one that was retrained, ``before`` being ``[Q]``."""
    models = _models(problem)
    theta = models.model.layout.flatten(models.model.parameters)[None]  # [1, P]
    with models.model.evaluating():
        own = models.values(theta, problem.queries, problem.measurement)[0].cpu().numpy()  # [Q]
    apart = float(np.sqrt(((own - before) ** 2).mean()))
    usual = float(np.sqrt((before**2).mean()))
    if apart > FAR_FROM_OPTIMUM * usual:
        problem.warn(
            "the attributed model is not at its optimum: what is measured of queries differs by "
            f"{apart:.2g} (root of the mean square; {usual:.2g} at the optimum), so that its scores"
            " are about another model than the one that is retrained here; train it with "
            '{"optimizer": "lbfgs", "gradient_tolerance": 1e-8}'
        )
