from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch

from hessinf.data import Dataset
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.warm_starts import refuse_warm_starts
from hessinf.training import Trainer
from tests.evaluation.problems import problem_of, small_network_problem, small_problem


def test_untrained_models_are_accepted_and_a_constant_prediction_knows_nothing(
    tmp_path: Path,
) -> None:
    constant = refuse_warm_starts(small_network_problem(tmp_path), "the test")
    assert 0.9 < constant < 1.1  # three classes of about the same size: ln 3


def test_trained_models_are_refused_even_when_they_differ(tmp_path: Path) -> None:
    problem = small_network_problem(tmp_path, models=2)
    trained = [model.module for model in problem.models]

    def make_module(seed: int) -> torch.nn.Module:
        return copy.deepcopy(trained[seed % 2])

    for seed in range(20):  # until the two seeds take the two models
        changed = small_network_problem(
            tmp_path, epochs=0, seed=seed, make_module=make_module, models=1
        )
        changed = type(changed)(**{**vars(changed), "models": problem.models})
        with pytest.raises(EvaluationError) as caught:
            refuse_warm_starts(changed, "the test")
        if "the same weights" not in str(caught.value):
            break
    assert re.fullmatch(
        "the test trains models from new initial weights, and those of make_module are trained "
        r"already: before any training, their mean loss on the training data is 0\.\d+, where that "
        r"of the trained model is 0\.\d+, and that of a constant prediction 1\.\d+\. This is a "
        "warm start, which knows the examples that are left out; let make_module make an "
        "untrained network",
        str(caught.value),
    )


def test_one_trained_model_for_all_seeds_is_refused(tmp_path: Path) -> None:
    problem = small_network_problem(tmp_path)
    module = problem.models[0].module
    warm = type(problem)(**{**vars(problem), "make_module": lambda seed: copy.deepcopy(module)})
    with pytest.raises(EvaluationError) as caught:
        refuse_warm_starts(warm, "the test")
    assert re.fullmatch(
        "the test trains models from new initial weights, and make_module gives the same weights "
        r"for the seeds \d+ and \d+: it must draw them from the seed, and not return a model that "
        "is trained already",
        str(caught.value),
    )


def test_zeros_are_no_trained_model(tmp_path: Path) -> None:
    problem = small_problem(tmp_path)

    def zeros(seed: int) -> torch.nn.Module:
        module = copy.deepcopy(problem.models[0].module)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
        return module

    assert refuse_warm_starts(type(problem)(**{**vars(problem), "make_module": zeros}), "x") > 0


def test_weak_regressions_are_no_warm_start(tmp_path: Path) -> None:
    # Targets are noise for the most part: the trained model is little better than a constant.
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(205, 3, generator=generator)
    targets = 0.3 * inputs[:, :1] + torch.randn(205, 1, generator=generator)
    data = Dataset.from_columns(inputs, targets)
    problem = problem_of(
        data[:200],
        data[200:],
        {"type": "linear-regression"},
        Trainer(epochs=20),
        folder=tmp_path,
        objective="mean-squared-error",
    )
    refuse_warm_starts(problem, "the test")


def test_sure_models_do_not_make_a_constant_prediction_look_bad(tmp_path: Path) -> None:
    # Their mean outputs are far too sure for all examples; the best constant is ln 3.
    problem = small_network_problem(tmp_path)
    sure = copy.deepcopy(problem.models[0].module)
    with torch.no_grad():
        *_, weight, bias = sure.parameters()
        weight.mul_(40)
        bias.mul_(40).add_(torch.tensor([30.0, 0, 0]))
    models = (type(problem.models[0])(sure, {}, 0),)
    assert refuse_warm_starts(type(problem)(**{**vars(problem), "models": models}), "x") < 1.11
