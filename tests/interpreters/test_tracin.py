"""TracIn: inner products over checkpoints, weighted by learning rates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.interpreters import GradientDot, InfluenceInterpreter, InterpreterError, TracIn
from hessinf.registry import ConfigError
from hessinf.testing import multilayer_perceptron, references
from hessinf.testing.problems import Problem


def checkpoints(problem: Problem, folder: Path) -> tuple[list[str], list[np.ndarray]]:
    """Save two checkpoints; the inner products ``[Q, N]`` at each, by explicit loops."""
    paths, products = [], []
    for place, factor in enumerate((0.5, -1.5)):
        module = problem.module()
        with torch.no_grad():
            for value in module.parameters():
                value.mul_(factor)
        paths.append(str(folder / f"{place}.pt"))
        torch.save(module.state_dict(), paths[-1])
        there = Problem(**{**vars(problem), "trained": module})
        queries = references.gradients(there, there.queries)
        products.append(queries @ references.gradients(there, there.train).T)
    return paths, products


def make(paths: Any, **given: Any) -> TracIn:
    problem = multilayer_perceptron()
    return TracIn(problem.module(), problem.train, checkpoints=paths, **given)


def test_weights_are_learning_rates(tmp_path: Path) -> None:
    problem = multilayer_perceptron()
    paths, (first, second) = checkpoints(problem, tmp_path)
    found = make(paths, learning_rates=[0.1, 0.02], batch_size=5, query_batch_size=2)
    expected = 0.1 * first + 0.02 * second
    np.testing.assert_allclose(found.scores(problem.queries), expected, rtol=1e-9, atol=1e-13)
    assert all(type(member) is GradientDot for member in found.members)


def test_without_learning_rates_it_is_the_mean(tmp_path: Path) -> None:
    problem = multilayer_perceptron()
    paths, (first, second) = checkpoints(problem, tmp_path)
    found = make(paths).scores(problem.queries)
    np.testing.assert_allclose(found, (first + second) / 2, rtol=1e-9, atol=1e-13)
    of_dots = GradientDot(problem.module(), problem.train, checkpoints=paths)
    np.testing.assert_array_equal(found, of_dots.scores(problem.queries))


def test_everything_else_is_weighted_too(tmp_path: Path) -> None:
    problem = multilayer_perceptron()
    paths, (first, second) = checkpoints(problem, tmp_path)
    expected = 0.1 * first + 0.02 * second
    found = make(paths, learning_rates=[0.1, 0.02])
    labels = problem.train[1].numpy()
    groups = found.group_influence(problem.queries, "label")
    for column, label in enumerate(sorted(set(labels.tolist()))):
        of_label = expected[:, labels == label].sum(axis=1)
        np.testing.assert_allclose(groups.scores[:, column], of_label, rtol=1e-9)
    assert groups.loss_changes is None
    products = found.embed(problem.queries) @ found.embed(problem.train).T
    np.testing.assert_allclose(products, expected, rtol=1e-9, atol=1e-13)
    own = make(paths, learning_rates=[0.1, 0.02]).self_influence()
    among_all = found.scores(problem.train).diagonal()
    np.testing.assert_allclose(own, among_all, rtol=1e-9)


def test_saved_and_loaded(tmp_path: Path) -> None:
    problem = multilayer_perceptron()
    paths, _ = checkpoints(problem, tmp_path)
    found = make(paths, learning_rates=[0.1, 0.02]).fit()
    found.save(tmp_path / "factors")
    loaded = InfluenceInterpreter.load(tmp_path / "factors", problem.module(), problem.train)
    assert isinstance(loaded, TracIn)
    assert loaded.learning_rates == (0.1, 0.02)
    np.testing.assert_array_equal(loaded.scores(problem.queries), found.scores(problem.queries))


def test_no_loss_changes_are_predicted(tmp_path: Path) -> None:
    problem = multilayer_perceptron()
    paths, _ = checkpoints(problem, tmp_path)
    with pytest.raises(InterpreterError, match="found tracin with the measurement loss"):
        make(paths).loss_changes(problem.queries)


class TestRefusals:
    @pytest.mark.parametrize(
        ("rates", "message"),
        [
            (
                [0.1],
                "learning_rates has to name one for each checkpoint, found 1 for 2 checkpoints",
            ),
            ([0.1, 0.0], "learning_rates must be > 0, found [0.1, 0.0]"),
            ([0.1, float("nan")], "learning_rates must be > 0, found [0.1, nan]"),
        ],
    )
    def test_learning_rates(self, rates: Any, message: str, tmp_path: Path) -> None:
        paths, _ = checkpoints(multilayer_perceptron(), tmp_path)
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make(paths, learning_rates=rates)

    def test_no_checkpoints(self) -> None:
        with pytest.raises(ValueError, match=r"^tracin needs at least one checkpoint, found"):
            make([])
        problem = multilayer_perceptron()
        with pytest.raises(
            ConfigError, match=r'checkpoints +missing required argument of "tracin"'
        ):
            InfluenceInterpreter.from_config(
                "tracin", model=problem.module(), train_data=problem.train
            )
