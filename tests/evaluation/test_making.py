from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hessinf.data import Dataset, DatasetReader
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.making import make_problem
from hessinf.training import Trainer

MLP = {"type": "mlp", "hidden_sizes": [4]}


def wine() -> tuple[Dataset, Dataset]:
    reader = DatasetReader.from_config({"type": "wine", "test_ratio": 0.2})
    return reader.read("train")[:40], reader.read("test")[:6]


def own(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Linear(13, 3)


def test_models_are_those_that_the_trainer_makes(tmp_path: Path) -> None:
    train, queries = wine()
    trainer = Trainer(epochs=3, weight_decay=0.01)
    problem = make_problem(train, queries, MLP, trainer, folder=tmp_path, models=3, seed=4)
    assert problem.weight_decay == 0.01
    assert problem.models[0].seed == 4
    assert len({model.fingerprint for model in problem.models}) == 3
    expected = problem.make_module(4)
    trainer.fit(expected, train, problem.objective, seed=4)
    for ours, theirs in zip(
        problem.models[0].module.parameters(), expected.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert problem.recipe["sizes"] == {
        "in_features": 13,
        "out_features": 3,
        "input_shape": [13],
    }


def test_a_module_that_is_trained_already(tmp_path: Path) -> None:
    train, queries = wine()
    module = own(3)
    problem = make_problem(
        train, queries, own, folder=tmp_path, module=module, weight_decay=0.5, measurement="margin"
    )
    assert problem.models[0].module is module
    assert not module.training
    assert problem.weight_decay == 0.5
    assert problem.recipe["model"] == f"{__name__}.own"
    assert problem.measurement.registered_name() == "margin"
    with pytest.raises(EvaluationError, match=r"^it trains models again, and the config has no "):
        problem.require_trainer("it")


def test_pairs_of_tensors_are_data(tmp_path: Path) -> None:
    train = (torch.randn(20, 13), torch.arange(20) % 3)
    problem = make_problem(
        train, (torch.randn(4, 13), torch.arange(4) % 3), own, Trainer(epochs=1), folder=tmp_path
    )
    assert (len(problem.train), len(problem.queries)) == (20, 4)


def test_somebody_has_to_train(tmp_path: Path) -> None:
    train, queries = wine()
    message = r"^make_problem needs a trainer, or one trained module \(models=1\)$"
    with pytest.raises(EvaluationError, match=message):
        make_problem(train, queries, MLP, folder=tmp_path)
    with pytest.raises(EvaluationError, match=message):
        make_problem(train, queries, own, folder=tmp_path, module=own(0), models=2)


def test_queries_that_are_training_examples(tmp_path: Path) -> None:
    train, queries = wine()
    with pytest.raises(EvaluationError, match=r"^all 5 queries are training examples \("):
        make_problem(train, train[:5], MLP, Trainer(epochs=1), folder=tmp_path)
    mixed = Dataset([train[0], *queries])
    problem = make_problem(train, mixed, MLP, Trainer(epochs=1), folder=tmp_path)
    (warning,) = problem.warnings
    assert warning.startswith("1 of 7 queries have the inputs of a training example (")
