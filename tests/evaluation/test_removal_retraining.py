from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hessinf.evaluation import removal_retraining
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.predictions import losses
from hessinf.evaluation.removal_retraining import Removal, repeat_seed, retrain_without
from hessinf.evaluation.retraining_parts import train_in_parts
from hessinf.evaluation.truth_store import TruthParts
from hessinf.models.measurement import Margin
from hessinf.training import Member, chunks_of
from tests.evaluation.problems import small_network_problem, small_problem

REMOVALS = [
    Removal([3, 1, 2], 0),
    Removal([1, 2, 3], 0),
    Removal([1, 2, 3], 1),
    Removal([], 0),
    Removal(np.arange(40), 0),
]


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return small_network_problem(tmp_path_factory.mktemp("problem"), epochs=5)


def retrained(problem, removals=REMOVALS):
    return retrain_without(problem, "a test", removals, problem.queries, stage="retraining")


def alone(problem, removal: Removal):
    """The same model, trained by itself."""
    left = [i for i in range(len(problem.train)) if i not in set(np.asarray(removal.removed))]
    seed = repeat_seed(problem.seed, removal.repeat)
    module = problem.make_module(seed)
    problem.trainer.fit(module, problem.train.subset(left), problem.objective, seed=seed)
    return module.eval()


def test_is_what_training_one_by_one_gives(problem):
    found = retrained(problem)
    inputs = torch.stack([instance.inputs for instance in problem.queries])
    targets = problem.queries.targets
    for place, removal in enumerate(REMOVALS):
        module = alone(problem, removal)
        with torch.no_grad():
            outputs = module(inputs)
        expected = losses(module, problem.queries, problem.objective, problem.device)
        margins = Margin().values(outputs, targets, problem.objective)
        np.testing.assert_allclose(found["losses"][place], expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found["margins"][place], margins, rtol=1e-3, atol=1e-3)
        assert found["classes"][place].tolist() == outputs.argmax(dim=1).tolist()
    assert found["losses"].dtype == found["margins"].dtype == np.float32


def test_the_order_of_what_is_removed_does_not_count(problem):
    found = retrained(problem)["losses"]
    assert (found[0] == found[1]).all()
    assert (found[1] != found[2]).any(), "another repeat begins with other weights"
    assert (found[1] != found[3]).any()


def test_models_begin_anew(problem, tmp_path):
    """A warm start would end nearer to the trained model; these do not depend on it at all."""
    found = retrained(problem)["losses"]
    spoilt = problem.make_module(7)
    for value in spoilt.parameters():
        value.data.fill_(100.0)
    other = replace(
        problem,
        models=(replace(problem.models[0], module=spoilt),),
        store=type(problem.store)(tmp_path),
    )
    assert (retrained(other)["losses"] == found).all()


def test_is_kept(problem, monkeypatch):
    before = retrained(problem)
    monkeypatch.setattr(removal_retraining, "train_in_parts", None)
    after = retrained(problem)
    assert all((before[name] == after[name]).all() for name in before)
    with pytest.raises(TypeError):
        retrained(problem, [Removal([1, 2], 0)])
    (file,) = Path(problem.store.directory).glob("removal-retraining-*.json")
    assert json.loads(file.read_text())["models"] == 4, "equal models are trained once"


@pytest.mark.parametrize("killed_after", [0, 1, 2])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, monkeypatch, killed_after):
    """Each model a chunk of its own, and the power cut when some of them are finished."""
    whole, cut = (
        small_network_problem(tmp_path / name, epochs=3, memory_limit=1e-9)
        for name in ("whole", "cut")
    )
    retrained(whole)
    trained = []

    def measure(members, problem, queries):
        if len(trained) == killed_after:
            raise KeyboardInterrupt
        trained.append(members.chunk)
        return original(members, problem, queries)

    original = removal_retraining._measure
    monkeypatch.setattr(removal_retraining, "_measure", measure)
    with pytest.raises(KeyboardInterrupt):
        retrained(cut)
    monkeypatch.undo()
    retrained(cut)
    first, second = (
        {path.name: path.read_bytes() for path in sorted(problem.store.directory.iterdir())}
        for problem in (whole, cut)
    )
    assert first == second
    assert trained == list(range(killed_after))


def test_parts_of_another_division_are_made_again(tmp_path):
    """The memory limit decides what is trained together, and may change between two starts."""
    problem = small_network_problem(tmp_path, epochs=1)
    members = [Member(range(place, 60), 1) for place in range(5)]
    arguments = (
        problem.trainer,
        problem.make_module,
        problem.train,
        problem.objective,
        members,
    )
    assert len(chunks_of(*arguments)) == 1
    parts = TruthParts(tmp_path / "parts")
    parts.add(0, {"places": np.array([0, 2]), "number": np.array([-1.0, -1.0])})
    found = train_in_parts(
        problem,
        "a test",
        members,
        lambda trained: {"number": np.array([float(len(m.indices)) for m in trained.members])},
        parts,
        stage="retraining",
    )
    assert found["number"].tolist() == [60, 59, 58, 57, 56]
    assert list(found) == ["number"]


def test_regressions_have_losses_alone(tmp_path):
    from tests.evaluation.counterfactuals import regression_problem

    problem = regression_problem(tmp_path)
    found = retrained(problem)
    assert list(found) == ["losses"]
    assert found["losses"].shape == (5, len(problem.queries))


def test_without_a_trainer(tmp_path):
    problem = replace(small_problem(tmp_path), trainer=None)
    with pytest.raises(
        EvaluationError, match=r"^a test trains models again, and the config has no"
    ):
        retrained(problem)


def test_divergence_is_named(tmp_path):
    problem = small_network_problem(tmp_path, epochs=1)
    members = [Member(range(50), 1)]
    text = (
        "a test: retrained model 0 (on 50 examples) has losses of nan: its training diverged; "
        "lower the learning rate"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        train_in_parts(
            problem,
            "a test",
            members,
            lambda _: {"losses": np.array([[0.0, np.nan]])},
            TruthParts(tmp_path / "parts"),
            stage="retraining",
        )
