"""Refusing a "retraining" that begins with a trained model.

Such models know every example that is left out, and their values look like a ground truth without
being one. Two signs give them away: other seeds give the same random-looking weights, and a model
that nobody has trained is already good at the training data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hessinf.evaluation import predictions
from hessinf.evaluation.errors import EvaluationError
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    from hessinf.data.batching import Batch
    from hessinf.evaluation.problem import Problem


def refuse_warm_starts(problem: Problem, what: str) -> float:
    """Refuse a ``make_module`` whose models are not untrained.

    Parameters
    ----------
    problem
        What would be retrained.
    what
        What needs untrained models, for messages.

    Returns
    -------
    float
        The mean training loss of a constant prediction: a model that ends above it has learnt
        nothing.

    Raises
    ------
    EvaluationError
        When two seeds give the same weights (constants, such as zeros, aside), or when untrained
        models are more than half of the way from a constant prediction to the trained model.
    """
    untrained = refuse_same_weights(problem, what)
    trained = problem.models[0].module
    final = _mean_loss(problem, trained)
    constant = _constant_loss(problem, trained)
    initial = max(_mean_loss(problem, module) for module in untrained)
    if constant > final and initial < (constant + final) / 2:
        raise EvaluationError(
            f"{what} trains models from new initial weights, and those of make_module are trained "
            f"already: before any training, their mean loss on the training data is {initial:.3g}, "
            f"where that of the trained model is {final:.3g}, and that of a constant prediction "
            f"{constant:.3g}. This is a warm start, which knows the examples that are left out; "
            "let make_module make an untrained network"
        )
    return constant


def refuse_same_weights(problem: Problem, what: str) -> list[torch.nn.Module]:
    """Refuse a ``make_module`` that gives the same weights for all seeds; trained ones need not be.

    Returns
    -------
    list of torch.nn.Module
        Two models that are untrained, as far as can be seen of them alone.

    Raises
    ------
    EvaluationError
        As :func:`refuse_warm_starts`, of which this is the first half.
    """
    seeds = [derive_seed(problem.seed, f"warm-starts/{number}") for number in range(2)]
    untrained = [problem.make_module(seed) for seed in seeds]
    if same_random_weights(*untrained):
        raise EvaluationError(
            f"{what} trains models from new initial weights, and make_module gives the same "
            f"weights for the seeds {seeds[0]} and {seeds[1]}: it must draw them from the seed, "
            "and not return a model that is trained already"
        )
    return untrained


def warn_of_warm_starts(problem: Problem) -> None:
    """Warn where models that a problem's recipe makes anew are not new.

    Metrics that retrain refuse such a recipe; others, and those of plugins, may go on.
    """
    if problem.trainer is None or problem.cannot_retrain:
        return
    try:
        refuse_warm_starts(problem, "evaluating by retraining")
    except EvaluationError as error:
        problem.warn(str(error))


def same_random_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    """Whether two models have the same weights, and these are no constants, such as zeros."""
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    if not all(torch.equal(one, other) for one, other in pairs):
        return False
    return any(bool((one != one.flatten()[0]).any()) for one, _ in pairs if one.numel())


def _mean_loss(problem: Problem, module: torch.nn.Module) -> float:
    found = predictions.losses(module, problem.train, problem.objective, problem.device)  # [N]
    return float(found.mean())


def _constant_loss(problem: Problem, module: torch.nn.Module) -> float:
    """Return the mean loss of a constant prediction.

    The trained model's mean output is one; a network that is sure of its predictions has mean
    outputs that are far too sure for all examples, so that halves of it, and 0, are tried too.
    """
    total, count = torch.zeros((), dtype=torch.float64), 0

    def add(_: Batch, outputs: torch.Tensor) -> torch.Tensor:
        nonlocal total, count
        rows = outputs.reshape(-1, outputs.shape[-1]) if outputs.ndim > 1 else outputs[:, None]
        total = total + rows.double().sum(dim=0).cpu()  # [C]
        count += len(rows)
        return torch.zeros(len(outputs))  # [B]

    predictions.over(module, problem.train, problem.device, add)
    mean = total / count  # [C]

    def loss_of(share: float) -> float:
        def losses(batch: Batch, outputs: torch.Tensor) -> torch.Tensor:
            constant = (share * mean).to(outputs).expand_as(outputs)  # [B, ..., C]
            return problem.objective.losses(constant, batch.targets).double()  # [B]

        return float(predictions.over(module, problem.train, problem.device, losses).mean())

    return min(loss_of(share) for share in (1.0, 0.5, 0.0))
