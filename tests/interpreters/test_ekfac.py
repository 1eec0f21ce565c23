from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.data import Digits
from hessinf.interpreters import InfluenceInterpreter
from hessinf.testing import kronecker_references, references
from hessinf.testing.layer_problems import deep_linear_network
from hessinf.testing.problems import PROBLEMS, multilayer_perceptron, ridge_regression
from hessinf.testing.tolerance import mean_spearman


def test_it_is_exact_where_the_block_has_two_factors() -> None:
    """A linear model with squared error: the Gauss-Newton matrix is a Kronecker product."""
    problem = ridge_regression()
    interpreter = InfluenceInterpreter.by_name("ekfac")(
        problem.module(),
        problem.train,
        objective=problem.objective,
        weight_decay=problem.weight_decay,
        damping=1e-4,
    )
    found = interpreter.scores(problem.queries)
    expected = references.damped_scores(problem, references.gauss_newton(problem), 1e-4)
    assert np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)


def test_every_block_is_at_least_as_near_as_that_of_kfac() -> None:
    """In the Frobenius norm, to the exact block of the Gauss-Newton matrix."""
    nearer = 0
    for make in (*PROBLEMS, deep_linear_network):
        problem = make()
        exact = references.gauss_newton(problem)
        matrices = [
            InfluenceInterpreter.by_name(name)(
                problem.module(),
                problem.train,
                objective=problem.objective,
                weight_decay=problem.weight_decay,
                fisher="type-2",
            )
            .fit()
            .curvature.dense()
            .numpy()
            for name in ("ekfac", "kfac")
        ]
        for unit in kronecker_references.units(problem)[0]:
            where = np.ix_(unit.places.flatten(), unit.places.flatten())
            near, far = (np.linalg.norm((matrix - exact)[where]) for matrix in matrices)
            assert near <= far + 1e-12 * np.linalg.norm(exact[where])
            nearer += near < 0.99 * far
    assert nearer >= 10


class TestHeuristicDamping:
    """The eigenvalues get what the damped factors of K-FAC have more than its plain ones."""

    @pytest.mark.parametrize("damping", [1e-6, 1e-3, 1e-1])
    def test_scores_are_those_of_the_dense_matrix(self, damping: float) -> None:
        problem = multilayer_perceptron()
        given = {
            "objective": problem.objective,
            "weight_decay": problem.weight_decay,
            "fisher": "type-2",
            "damping": damping,
        }
        make = InfluenceInterpreter.by_name("ekfac")
        interpreter = make(problem.module(), problem.train, heuristic_damping=True, **given)
        found = interpreter.scores(problem.queries)
        matrix = interpreter.curvature.dense().numpy()  # weight decay included
        root = np.sqrt(damping + problem.weight_decay)
        matrix += damping * np.eye(len(matrix))
        for unit in kronecker_references.units(problem)[0]:
            ((rows, columns),) = kronecker_references.factors(unit)
            pi = np.sqrt((np.trace(columns) / len(columns)) / (np.trace(rows) / len(rows)))
            places = unit.places.flatten()
            matrix[np.ix_(places, places)] += root * pi * np.kron(rows, np.eye(len(columns)))
            matrix[np.ix_(places, places)] += root / pi * np.kron(np.eye(len(rows)), columns)
        expected = references.damped_scores(problem, matrix, 0.0)
        assert np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)
        exact = make(problem.module(), problem.train, **given).scores(problem.queries)
        assert np.linalg.norm(found - exact) > 0.05 * np.linalg.norm(exact)

    def test_it_is_that_of_kfac_where_the_block_has_two_factors(self) -> None:
        problem = ridge_regression()
        found, expected = (
            InfluenceInterpreter.by_name(name)(
                problem.module(),
                problem.train,
                objective=problem.objective,
                weight_decay=problem.weight_decay,
                damping=1e-2,
                heuristic_damping=True,
            ).scores(problem.queries)
            for name in ("ekfac", "kfac")
        )
        assert np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)


class TestDigits:
    """Rank correlation with the scores of the exact damped Gauss-Newton matrix, 30 queries."""

    @functools.cached_property
    def module(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = nn.Sequential(
                nn.Flatten(), nn.Linear(64, 12), nn.GELU(), nn.Linear(12, 10), nn.GELU()
            )
            module.append(nn.Linear(10, 10))
        optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
        inputs, labels = self.train
        order = torch.Generator().manual_seed(0)
        for _ in range(20):
            for places in torch.randperm(len(labels), generator=order).split(32):
                optimizer.zero_grad()
                nn.functional.cross_entropy(module(inputs[places]), labels[places]).backward()
                optimizer.step()
        return module

    @functools.cached_property
    def train(self) -> tuple[torch.Tensor, torch.Tensor]:
        columns = Digits().read("train").columns
        assert columns is not None
        return columns.inputs[:500], columns.targets[:500]

    @functools.cached_property
    def queries(self) -> tuple[torch.Tensor, torch.Tensor]:
        columns = Digits().read("test").columns
        assert columns is not None
        return columns.inputs[:30], columns.targets[:30]

    def scores(self, name: str, **arguments: object) -> np.ndarray:
        interpreter = InfluenceInterpreter.by_name(name)(
            self.module, self.train, dtype="float64", **arguments
        )
        found: np.ndarray = interpreter.scores(self.queries)
        return found

    def test_both_are_far_above_the_diagonal_and_plain_gradients(self) -> None:
        damping = {"damping": {"relative": 0.1}}
        exact = self.scores("ggn", **damping)
        found = {
            name: mean_spearman(self.scores(name, **damping), exact)
            for name in ("kfac", "ekfac", "diagonal")
        }
        found["gradient-dot"] = mean_spearman(self.scores("gradient-dot"), exact)
        print(found)
        worst = min(found["kfac"], found["ekfac"])
        assert worst > max(found["diagonal"], found["gradient-dot"]) + 0.1
