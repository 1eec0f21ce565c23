"""K-FAC and EK-FAC without an example, beside those fitted to the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hessinf.interpreters import InfluenceInterpreter
from hessinf.testing import (
    Problem,
    Tolerance,
    convolutional_network,
    language_model,
    logistic_regression,
    multilayer_perceptron,
    ridge_regression,
    transformer,
)
from hessinf.testing.problem import select
from hessinf.testing.refined_references import refined_loss_changes

DAMPING = 0.03


def make(name: str, problem: Problem, **changed: Any) -> Any:
    given: dict[str, Any] = {
        "objective": problem.objective,
        "weight_decay": problem.weight_decay,
        "damping": DAMPING,
        **changed,
    }
    return InfluenceInterpreter.by_name(name)(
        given.pop("model", problem.module()), given.pop("train_data", problem.train), **given
    )


def check(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-9) -> None:
    Tolerance(relative=tolerance).check(found, expected, "refined loss changes")


@pytest.fixture(
    params=[
        logistic_regression,
        ridge_regression,
        multilayer_perceptron,
        convolutional_network,
        language_model,
    ],
    ids=lambda problem: problem.__name__,
)
def problem(request: pytest.FixtureRequest) -> Problem:
    return request.param()


class TestKroneckerFactors:
    """K-FAC without an example is K-FAC of the others, fitted anew."""

    def refitted_changes(
        self, name: str, problem: Problem, reduction: str = "mean", **changed: Any
    ) -> np.ndarray:
        others = []
        for index in range(problem.num_train):
            rest = select(problem.train, torch.arange(problem.num_train) != index)
            curvature = make(name, problem, train_data=rest, **changed).fit().curvature.dense()
            others.append(curvature.numpy() - problem.weight_decay * np.eye(len(curvature)))
        return refined_loss_changes(problem, others, DAMPING, reduction)

    @pytest.mark.parametrize("reduction", ["mean", "mean-fixed"])
    def test_kfac(self, problem: Problem, reduction: str) -> None:
        found = make("kfac", problem, training_reduction=reduction, fisher="type-2")
        check(
            found.loss_changes(problem.queries, refinement="newton-step"),
            self.refitted_changes("kfac", problem, reduction, fisher="type-2"),
        )

    @pytest.mark.parametrize(
        "changed", [{"weight_sharing": "reduce"}, {"fisher": "empirical"}], ids=str
    )
    def test_kinds_of_factors(self, changed: dict[str, Any]) -> None:
        for problem in (convolutional_network(), language_model()):
            found = make("kfac", problem, **changed)
            check(
                found.loss_changes(problem.queries, refinement="newton-step"),
                self.refitted_changes("kfac", problem, **changed),
            )

    @pytest.mark.slow
    def test_padding_masks_and_what_is_no_matrix(self) -> None:
        problem = transformer()
        found = make("kfac", problem)
        check(
            found.loss_changes(problem.queries, refinement="newton-step"),
            self.refitted_changes("kfac", problem),
        )

    def test_drawn_targets_stay_those_of_their_example(self) -> None:
        """Of the first of two examples nothing is left but the second's own part."""
        problem = multilayer_perceptron()
        labels = problem.train[1].tolist()
        other = next(place for place, label in enumerate(labels) if label != labels[0])
        two = select(problem.train, [0, other])
        found = make("kfac", problem, train_data=two, fisher="monte-carlo", samples=3)
        changes = found.loss_changes(problem.queries, refinement="newton-step")
        assert np.isfinite(changes).all()
        rest = found._without_example[1]
        first, second = found.train_batches(1)
        with found.model.evaluating():
            own = rest.through.of_batch(second, rest._statistic)["factors"]
            without = rest.without(first)
        assert len(own) == 2
        for block, sums in zip(without.blocks, own, strict=True):
            (module,) = sums.modules.values()
            expected = np.linalg.eigvalsh(module.gradients.numpy()) / 2  # C_data − C_i/N
            np.testing.assert_allclose(block.row_eigenvalues, expected.clip(0), atol=1e-12)

    def test_ekfac_is_near_a_new_fit(self, problem: Problem) -> None:
        """Its eigenvalues are brought from one basis to another: nearer than leaving them."""
        found = make("ekfac", problem, fisher="type-2")
        refined = found.loss_changes(problem.queries, refinement="newton-step")
        refitted = self.refitted_changes("ekfac", problem, fisher="type-2")
        error = np.linalg.norm(refined - refitted)
        before = np.linalg.norm(found.loss_changes(problem.queries) - refitted)
        print(problem.name, error / np.linalg.norm(refitted), before / np.linalg.norm(refitted))
        assert error < before / 3

    def test_heuristic_damping(self) -> None:
        """√λ is added to each of the rest's factors, too."""
        problem = logistic_regression()
        found = make("kfac", problem, heuristic_damping=True)
        changes = found.loss_changes(problem.queries, refinement="newton-step")
        plain = make("kfac", problem).loss_changes(problem.queries, refinement="newton-step")
        first = found.loss_changes(problem.queries)
        assert np.linalg.norm(changes - plain) > 1e-2 * np.linalg.norm(plain)
        assert np.corrcoef(changes.ravel(), first.ravel())[0, 1] > 0.95
