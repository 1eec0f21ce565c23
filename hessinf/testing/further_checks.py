"""What else can be asked of a method agrees with its scores: groups, blocks, dampings, vectors."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.interpreters.inner_products import scores_are_inner_products
from hessinf.interpreters.method_hooks import overrides
from hessinf.interpreters.shown_curvature import dense_curvature
from hessinf.testing.problem import Columns, Problem
from hessinf.testing.problems import logistic_regression, multilayer_perceptron
from hessinf.testing.suite import ConformanceSuite

STEP = 1e-5
"""How far inputs are moved for finite differences."""

SLOPE_ERROR = 1e-6
"""The difference to finite differences that is allowed, beside the largest slope."""


class FurtherChecks(ConformanceSuite):
    """Groups, blocks of parameters, input features, dampings, vectors, factors, checkpoints."""

    def test_groups_are_sums_of_their_members(self) -> None:
        """The score of a group is the sum over its members; so is its loss change, of one."""
        problem = logistic_regression()
        interpreter = self.make(problem, batch_size=7, query_batch_size=4)
        groups = {"one": [3], "some": [40, 0, 6, 7], "many": range(2, 20)}
        found = interpreter.group_influence(problem.queries, groups)
        scores = interpreter.scores(problem.queries)  # [Q, N]
        sums = [scores[:, list(members)].sum(axis=1) for members in groups.values()]
        self.same(found.scores, np.stack(sums, axis=1), "scores of groups")
        if not interpreter.predicts_loss_changes:
            assert found.loss_changes is None
            return
        assert found.loss_changes is not None
        single = interpreter.loss_changes(problem.queries)[:, 3]  # [Q]
        self.same(found.loss_changes[:, 0], single, "the loss change of a group of one")

    def test_blocks_add_up_to_the_scores(self) -> None:
        """Scores by layer add up to the scores, or are refused by name."""
        problem = multilayer_perceptron()
        interpreter = self.make(problem)
        if not scores_are_inner_products(interpreter):
            with pytest.raises(InterpreterError, match="scores by block: the scores of"):
                interpreter.scores_by_block(problem.queries)
            return
        found = interpreter.scores_by_block(problem.queries)
        assert len(found) == 2, "two layers have parameters"
        total = np.sum(list(found.values()), axis=0)  # [Q, N]
        self.same(total, interpreter.scores(problem.queries), "the sum over blocks")

    def test_scores_by_damping_are_those_of_each_damping(self) -> None:
        """As if the interpreter were made with each; or refused by name."""
        problem = multilayer_perceptron()
        interpreter = self.make(problem)
        if not overrides(type(interpreter), "change_damping"):
            with pytest.raises(InterpreterError, match=r"cannot change its damping|has no damp"):
                interpreter.scores_by_damping(problem.queries, [0.1])
            return
        dampings: list[Any] = [1e-3, {"relative": 0.5}, 0.5]
        before = interpreter.scores(problem.queries)
        found = interpreter.scores_by_damping(problem.queries, dampings)  # [D, Q, N]
        for damping, scores in zip(dampings, found, strict=True):
            expected = self.make(problem, damping=damping).scores(problem.queries)
            self.same(scores, expected, f"the sweep's scores at damping {damping}")
        after = interpreter.scores(problem.queries)
        assert after.tobytes() == before.tobytes(), "the interpreter keeps its own damping"

    def test_inner_products_of_embeddings_are_scores(self) -> None:
        """Vectors of queries and training examples multiply to the scores; or are refused."""
        problem = logistic_regression()  # its curvature is positive: otherwise there are no vectors
        interpreter = self.make(problem)
        parts = interpreter.members or (interpreter,)
        if not all(overrides(type(part), "embedding") for part in parts):
            with pytest.raises(InterpreterError, match="has no vectors whose inner products"):
                interpreter.embed(problem.train)
            return
        products = interpreter.embed(problem.queries) @ interpreter.embed(problem.train).T  # [Q, N]
        self.same(products, interpreter.scores(problem.queries), "inner products of embeddings")

    def test_the_spectrum_is_that_of_the_curvature(self) -> None:
        """All eigenvalues, where the method says so, and others between the least and largest."""
        problem = logistic_regression()
        interpreter = self.make(problem).fit()
        spectrum = interpreter.curvature_spectrum()
        if spectrum is None:
            return
        found = torch.cat([block.eigenvalues.flatten() for block in spectrum.blocks])  # [K]
        sizes = sum(block.size for block in spectrum.blocks)
        assert sizes == interpreter.model.layout.size
        assert len(found) <= sizes
        if spectrum.complete and interpreter.shows_curvature:
            expected = torch.linalg.eigvalsh(dense_curvature(interpreter))  # [P]
            actual = found.double().sort().values.cpu().numpy()
            self.same(actual, expected.cpu().numpy(), "eigenvalues of the curvature")

    def test_influence_factors_score_other_training_sets(self) -> None:
        """The factors give the interpreter's scores for its own training set, and for parts."""
        problem = multilayer_perceptron()
        interpreter = self.make(problem)
        if not scores_are_inner_products(interpreter):
            with pytest.raises(InterpreterError, match="influence factors: the scores of"):
                interpreter.influence_factors(problem.queries)
            return
        factors = interpreter.influence_factors(problem.queries)
        scores = interpreter.scores(problem.queries)  # [Q, N]
        self.same(factors.scores(problem.train), scores, "scores from influence factors")
        some = tuple(column[5:9] for column in problem.train)
        self.same(factors.scores(some), scores[:, 5:9], "scores of some training examples")

    def test_perturbation_influence_is_the_slope_of_scores(self) -> None:
        """Beside finite differences, while the curvature stays what it was."""
        problem = multilayer_perceptron()
        interpreter = self.make(problem)
        chosen = [4, 11]
        found = interpreter.perturbation_influence(problem.queries, chosen)
        assert isinstance(found, np.ndarray)
        assert found.shape == (len(problem.queries[1]), 2, problem.train[0].shape[1])
        if scores_are_inner_products(interpreter):
            score = interpreter.influence_factors(problem.queries).scores
        elif overrides(type(interpreter), "fit"):
            return  # what was learnt cannot be held
        else:
            score = functools.partial(self._scores_of, problem)
        slopes = np.zeros_like(found)
        for feature in range(found.shape[2]):
            moved = [problem.train[0].clone() for _ in range(2)]
            moved[0][:, feature] += STEP
            moved[1][:, feature] -= STEP
            high, low = (score((inputs, problem.train[1])) for inputs in moved)  # [Q, N]
            slopes[:, :, feature] = (high - low)[:, chosen] / (2 * STEP)
        error = np.abs(found - slopes).max()
        largest = np.abs(slopes).max()
        assert error <= SLOPE_ERROR * largest, f"off by {error:.3g}, the largest is {largest:.3g}"

    def _scores_of(self, problem: Problem, train_data: Columns) -> np.ndarray:
        return self.make(problem, train_data=train_data).scores(problem.queries)

    def test_scores_of_checkpoints_are_their_mean(self, tmp_path: Path) -> None:
        """Each with its own curvature and gradients; saved and loaded, the same bytes."""
        problem = logistic_regression()  # away from the optimum, networks have negative curvature
        if "checkpoints" in self.arguments_for(problem):
            pytest.skip("the method always takes checkpoints, and may weigh them")
        modules = [problem.module(), _moved(problem.module())]
        paths = []
        for place, module in enumerate(modules):
            paths.append(str(tmp_path / f"{place}.pt"))
            torch.save(module.state_dict(), paths[-1])
        singles = [self.make(problem, model=module) for module in modules]
        together = self.make(problem, checkpoints=paths)
        scores = together.scores(problem.queries)  # [Q, N]
        expected = np.mean([single.scores(problem.queries) for single in singles], axis=0)
        self.same(scores, expected, "scores of checkpoints")
        own = np.mean([single.self_influence() for single in singles], axis=0)
        self.same(together.self_influence(), own, "self-influence of checkpoints")
        together.save(tmp_path / "factors")
        loaded = InfluenceInterpreter.load(tmp_path / "factors", problem.module(), problem.train)
        assert loaded.scores(problem.queries).tobytes() == scores.tobytes()


def _moved(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for value in module.parameters():
            value.mul_(1.25)
    return module
