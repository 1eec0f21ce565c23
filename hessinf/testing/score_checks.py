"""Scores are right: in size, in sign, in what damping, weight decay and freezing do to them."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from hessinf.errors import HessinfError
from hessinf.registry import ConfigError
from hessinf.testing import references
from hessinf.testing.problems import (
    BY_NAME,
    Problem,
    convolutional_network,
    logistic_regression,
    multilayer_perceptron,
    ridge_regression,
)
from hessinf.testing.suite import ConformanceSuite
from hessinf.testing.tolerance import mean_spearman


class ScoreChecks(ConformanceSuite):
    """Scores beside dense float64 references and beside true retraining."""

    @pytest.fixture
    def problem(self, problem_maker: Callable[[], Problem]) -> Problem:
        """Give each problem in turn that the method can take."""
        return problem_maker()

    def test_scores_equal_the_dense_reference(self, problem: Problem, device: str) -> None:
        """Scores are ``∇ℓ_qᵀ (C + λI)⁻¹ ∇ℓ_i``, in size too, at λ far below the eigenvalues."""
        found = self.make(problem, device=device).scores(problem.queries)
        self.compare(found, problem, self.reference_damping, problem.name)

    def test_damping_is_what_it_says(self, problem: Problem) -> None:
        """λ as large as the eigenvalues, and smaller, changes scores as the formula says."""
        if self.larger_damping is None:
            with pytest.raises((TypeError, ConfigError), match="damping"):
                self.make(problem, damping=0.5)
            return
        for damping in (*self.further_dampings, self.larger_damping):
            found = self.make(problem, damping=damping).scores(problem.queries)
            self.compare(found, problem, damping, f"{problem.name}, damping {damping}")

    def test_params_to_freeze_leaves_parameters_out(self, problem: Problem) -> None:
        """Frozen parameters take no part: neither in gradients nor in curvature."""
        found = self.make(problem, params_to_freeze=problem.frozen).scores(problem.queries)
        what = f"{problem.name} without {' and '.join(problem.frozen)}"
        self.compare(found, problem, self.reference_damping, what, problem.frozen)

    def test_requires_grad_false_leaves_parameters_out(self, problem: Problem) -> None:
        """``requires_grad=False`` freezes as ``params_to_freeze`` does, in other batches too."""
        module = problem.module()
        for name, value in module.named_parameters():
            if any(re.search(pattern, name) for pattern in problem.frozen):
                value.requires_grad_(False)
        by_flag = self.make_damped(problem, model=module, batch_size=4, query_batch_size=2)
        by_name = self.make_damped(problem, params_to_freeze=problem.frozen)
        found, expected = by_flag.scores(problem.queries), by_name.scores(problem.queries)
        self.same(found, expected, "requires_grad=False beside params_to_freeze")

    def test_problems_it_cannot_take_are_refused(self) -> None:
        """What a method cannot do is an error that says so, before any score is given."""
        assert set(self.refused_problems) <= set(BY_NAME), "refused_problems names no problem"
        if not self.refused_problems:
            pytest.skip("it takes all problems")
        for make in map(BY_NAME.__getitem__, self.refused_problems):
            problem, refusal = make(), self.refused(make)
            assert refusal is not None
            with refusal:
                self.make(problem).scores(problem.queries)

    @pytest.mark.parametrize("make", [logistic_regression, ridge_regression])
    def test_retraining_agrees_in_sign_and_scale(self, make: Callable[[], Problem]) -> None:
        """``loss_changes`` predicts what retraining without each example does.

        Of methods whose scores only rank, the scores go with it, each query's mean taken away.
        """
        problem, refusal = make(), self.refused(make)
        if refusal is not None:
            with refusal:
                self.make(problem).loss_changes(problem.queries)
            return
        interpreter = self.make(problem)
        if interpreter.predicts_loss_changes:
            predicted = interpreter.loss_changes(problem.queries)  # [Q, N]
        else:
            predicted = interpreter.scores(problem.queries)  # [Q, N]
            predicted = predicted - predicted.mean(axis=1, keepdims=True)
        actual = references.loss_changes_by_retraining(problem)  # [Q, N]
        pearson = float(np.corrcoef(predicted.ravel(), actual.ravel())[0, 1])
        assert pearson >= self.retraining_correlation, (
            f"{problem.name}: Pearson {pearson:.4f} between predicted and true loss changes"
        )
        if self.retraining_slope is not None and interpreter.predicts_loss_changes:
            slope, _ = np.polyfit(predicted.ravel(), actual.ravel(), 1)
            low, high = self.retraining_slope
            assert low <= slope <= high, f"{problem.name}: slope {slope:.4f} of true on predicted"

    @pytest.mark.parametrize("measurement", ["log-probability", "margin"])
    def test_measurements_where_more_is_better_keep_the_sign(self, measurement: str) -> None:
        """A positive score stays helpful when a measurement grows with success."""
        problem = logistic_regression()
        of_loss = self.make(problem).scores(problem.queries)  # [Q, N]
        found = self.make(problem, measurement=measurement).scores(problem.queries)  # [Q, N]
        if measurement == "log-probability":
            self.same(found, of_loss, "log-probability beside the loss")
        else:
            # ∇margin = -∇ℓ / (1 - p), so each query's ranking is that of its loss.
            assert mean_spearman(found, of_loss) > 0.99

    @pytest.mark.parametrize(
        "make", [logistic_regression, multilayer_perceptron, convolutional_network]
    )
    def test_self_influence_is_the_diagonal(self, make: Callable[[], Problem], device: str) -> None:
        """``self_influence()`` is the diagonal of what the training data score for themselves."""
        problem = make()
        own = self.make(problem, device=device).self_influence()  # [N]
        among_all = self.make(problem, device=device).scores(problem.train)  # [N, N]
        self.same(own, among_all.diagonal(), f"self-influence of {problem.name}")

    @pytest.mark.parametrize("reduction", ["mean", "sum", "mean-fixed"])
    def test_loss_changes_follow_the_formula(self, reduction: str) -> None:
        """``(s − mean s) / (N − 1)`` for a renormalised mean, ``s / N`` otherwise.

        Methods whose scores only rank refuse to predict.
        """
        make = ridge_regression if self.refused(ridge_regression) is None else logistic_regression
        problem = make()
        interpreter = self.make(problem, training_reduction=reduction)
        if not interpreter.predicts_loss_changes:
            with pytest.raises(HessinfError, match="for methods whose scores have a scale"):
                interpreter.loss_changes(problem.queries)
            return
        scores = interpreter.scores(problem.queries)  # [Q, N]
        expected = scores / problem.num_train
        if reduction == "mean":
            centred = scores - scores.mean(axis=1, keepdims=True)
            expected = centred / (problem.num_train - 1)
        self.same(interpreter.loss_changes(problem.queries), expected, reduction)

    def test_a_loss_function_equals_the_objective(self) -> None:
        """A user's own function does what the registered objective does, or is refused by name."""
        problem = logistic_regression()

        def my_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(outputs, targets, reduction="none")

        if not self.callable_objective:
            with pytest.raises(HessinfError, match="my_loss"):
                self.make(problem, objective=my_loss).scores(problem.queries)
            return
        found = self.make(problem, objective=my_loss).scores(problem.queries)
        self.same(found, self.make(problem).scores(problem.queries), "a loss function")
