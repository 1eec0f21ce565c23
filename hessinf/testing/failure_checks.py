"""What cannot be right is refused, in words; it is never ranked."""

from __future__ import annotations

import pytest
import torch

from hessinf.errors import HessinfError
from hessinf.testing.problems import logistic_regression, multilayer_perceptron
from hessinf.testing.suite import ConformanceSuite

NOT_FINITE = r"(?i)\bnan\b|not finite|infinite"


class FailureChecks(ConformanceSuite):
    """NaN among data and weights, nothing left to differentiate."""

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_bad_training_data_are_refused(self, value: float) -> None:
        """The error says which example."""
        problem = logistic_regression()
        inputs = problem.train[0].clone()
        inputs[7, 1] = value
        with pytest.raises(HessinfError, match=r"example 7\b"):
            self.make(problem, train_data=(inputs, problem.train[1])).scores(problem.queries)

    def test_bad_queries_are_refused(self) -> None:
        """The error says which query."""
        problem = logistic_regression()
        inputs = problem.queries[0].clone()
        inputs[2, 0] = float("nan")
        with pytest.raises(HessinfError, match=r"(example|query) 2\b"):
            list(self.make(problem).interpret((inputs, problem.queries[1])))

    def test_bad_weights_are_refused(self) -> None:
        """A model whose training diverged gives an error, not a ranking."""
        problem = multilayer_perceptron()
        module = problem.module()
        with torch.no_grad():
            next(module.parameters())[0, 0] = float("nan")
        with pytest.raises(HessinfError, match=NOT_FINITE):
            list(self.make(problem, model=module).interpret(problem.queries))
        with pytest.raises(HessinfError, match=NOT_FINITE):
            self.make(problem, model=module).scores(problem.queries)
        with pytest.raises(HessinfError, match=NOT_FINITE):
            self.make(problem, model=module).self_influence()

    def test_nothing_left_is_refused(self) -> None:
        """Freezing all parameters is an error of its own."""
        problem = logistic_regression()
        with pytest.raises(HessinfError, match="no parameter is left"):
            self.make(problem, params_to_freeze=["."])

    def test_a_pattern_without_a_match_is_refused(self) -> None:
        """A typing error in ``params_to_freeze`` does not pass silently."""
        problem = logistic_regression()
        with pytest.raises(HessinfError, match=r'"embeding" matches no parameter'):
            self.make(problem, params_to_freeze=["embeding"])
