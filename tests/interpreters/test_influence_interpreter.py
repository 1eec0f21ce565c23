from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.errors import HessinfError
from hessinf.gradients import Gradients
from hessinf.interpreters import Exact, InfluenceInterpreter, InterpreterError
from hessinf.models import LogisticRegression
from hessinf.registry import ConfigError
from hessinf.testing import logistic_regression, multilayer_perceptron, references, ridge_regression


class Plain(InfluenceInterpreter):
    """A method author's shortest method: the identity."""

    def precondition(self, gradients: Gradients) -> Gradients:
        return gradients


class Cosine(InfluenceInterpreter):
    """A method that is no preconditioner."""

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        sizes = query_gradients.flatten().norm(dim=1)[:, None]  # [Q, 1]
        others = train_gradients.flatten().norm(dim=1)  # [B]
        return query_gradients.dot(train_gradients) / sizes / others


class Halved(Plain):
    """A method with both."""

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        return query_gradients.dot(train_gradients) / 2


class Neither(InfluenceInterpreter):
    """A method without a method."""


def make(cls: type[InfluenceInterpreter], **arguments: Any) -> InfluenceInterpreter:
    problem = logistic_regression()
    return cls(problem.module(), problem.train, **arguments)


def products() -> np.ndarray:
    problem = logistic_regression()
    queries = references.gradients(problem, problem.queries)
    return np.asarray(queries @ references.gradients(problem, problem.train).T)


class TestMethodsOfAuthors:
    def test_a_preconditioner(self) -> None:
        found = make(Plain).scores(logistic_regression().queries)
        np.testing.assert_allclose(found, products(), rtol=1e-10, atol=1e-14)

    def test_a_score(self) -> None:
        problem = logistic_regression()
        interpreter = make(Cosine)
        sizes = np.linalg.norm(references.gradients(problem, problem.queries), axis=1)
        others = np.linalg.norm(references.gradients(problem, problem.train), axis=1)
        expected = products() / sizes[:, None] / others
        np.testing.assert_allclose(interpreter.scores(problem.queries), expected, rtol=1e-9)
        np.testing.assert_allclose(interpreter.self_influence(), 1.0, rtol=1e-12)

    def test_both(self) -> None:
        found = make(Halved).scores(logistic_regression().queries)
        np.testing.assert_allclose(found, products() / 2, rtol=1e-10, atol=1e-14)

    def test_neither(self) -> None:
        message = "Neither defines neither precondition() nor score(): a method needs one"
        with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
            make(Neither).scores(logistic_regression().queries)

    def test_a_score_of_the_wrong_shape(self) -> None:
        class Turned(Cosine):
            def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
                return super().score(query_gradients, train_gradients).T

        message = (
            "Turned.score() returned shape [41, 6], expected [6, 41]: queries × training examples"
        )
        with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
            make(Turned).scores(logistic_regression().queries)

    def test_fit_returns_the_interpreter_and_runs_in_evaluation_mode(self) -> None:
        modes = []

        class Looking(Plain):
            def fit(self) -> None:
                modes.append([part.training for part in self.model.module.modules()])

        interpreter = make(Looking)
        assert not interpreter.fitted
        assert interpreter.fit() is interpreter
        assert interpreter.fitted
        assert not any(modes[0])

    def test_factors_that_are_not_finite(self) -> None:
        class Broken(Plain):
            def precondition(self, gradients: Gradients) -> Gradients:
                flat = gradients.flatten().clone()
                flat[2, 0] = float("inf")
                return gradients.like(flat)

        message = (
            "the influence factors of query 2 among queries 0 to 5 are not finite; is damping too "
            "small, or the curvature singular?"
        )
        with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
            make(Broken).scores(logistic_regression().queries)

    def test_scores_that_are_not_finite(self) -> None:
        class Broken(Cosine):
            def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
                scores = super().score(query_gradients, train_gradients).clone()
                scores[1, 3] = float("nan")
                return scores

        for attempt in (
            lambda: make(Broken).scores(logistic_regression().queries),
            lambda: list(make(Broken).interpret(logistic_regression().queries)),
        ):
            with pytest.raises(HessinfError, match="score of training example 3 for query 1"):
                attempt()

    def test_sums_over_the_training_data(self) -> None:
        problem = logistic_regression()
        interpreter = make(Plain, batch_size=4)
        count, inputs = interpreter.sum_over_train(lambda batch: (batch.size, batch.inputs.sum(0)))
        assert count == problem.num_train
        torch.testing.assert_close(inputs, problem.train[0].sum(0))

    def test_operators(self) -> None:
        problem = multilayer_perceptron()
        interpreter = Plain(problem.module(), problem.train, weight_decay=problem.weight_decay)
        vector = torch.linspace(-1, 1, 40, dtype=torch.float64)
        with interpreter.model.evaluating():
            for operator, dense in (
                (interpreter.hessian, references.hessian(problem)),
                (interpreter.ggn, references.gauss_newton(problem)),
            ):
                np.testing.assert_allclose(operator @ vector, dense @ vector.numpy(), rtol=1e-9)


class TestArguments:
    def test_a_model_of_the_registry(self) -> None:
        problem = logistic_regression()
        model = LogisticRegression(in_features=3, out_features=3, dtype="float64")
        model.module.load_state_dict(problem.trained.state_dict())
        found = Exact(model, problem.train).scores(problem.queries)
        expected = Exact(problem.module(), problem.train).scores(problem.queries)
        assert found.tobytes() == expected.tobytes()

    def test_reductions(self) -> None:
        message = 'training_reduction must be "mean", "sum" or "mean-fixed", found "average"'
        message = message.replace('"average"', "'average'")
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make(Plain, training_reduction="average")

    def test_weight_decay(self) -> None:
        with pytest.raises(ValueError, match=r"^weight_decay must be >= 0, found -0\.1$"):
            make(Plain, weight_decay=-0.1)

    def test_weight_decay_is_a_number(self) -> None:
        with pytest.raises(ValueError, match=r"^weight_decay must be >= 0, found nan$"):
            make(Plain, weight_decay=float("nan"))

    def test_one_expression_alone_is_no_list(self) -> None:
        message = 'params_to_freeze must be a list of regular expressions; write ["bias"]'
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make(Plain, params_to_freeze="bias")

    @pytest.mark.parametrize("found", [(0, 64), (8, 0)])
    def test_batches_of_none(self, found: tuple[int, int]) -> None:
        message = "batch_size and query_batch_size must be at least 1, found {} and {}".format(
            *found
        )
        with pytest.raises(ValueError, match=f"^{message}$"):
            make(Plain, batch_size=found[0], query_batch_size=found[1])

    def test_loss_changes_are_of_losses(self) -> None:
        interpreter = make(Exact, measurement="margin")
        message = (
            'loss changes are defined for the measurement "loss", and for methods whose scores '
            "have a scale; found exact with the measurement margin"
        )
        with pytest.raises(InterpreterError, match=f"^{message}$"):
            interpreter.loss_changes(logistic_regression().queries)
        result = next(interpreter.interpret(logistic_regression().queries, k=2))
        assert [one.loss_change_if_removed for one in result.helpful] == [None, None]

    def test_injected_arguments_are_not_the_configs(self) -> None:
        problem = logistic_regression()
        with pytest.raises(ConfigError, match="weight_decay"):
            InfluenceInterpreter.from_config(
                {"type": "exact", "weight_decay": 0.1},
                model=problem.module(),
                train_data=problem.train,
            )

    def test_a_typing_error_is_noticed(self) -> None:
        problem = logistic_regression()
        with pytest.raises(ConfigError, match='did you mean "damping"'):
            InfluenceInterpreter.from_config(
                {"type": "exact", "dampning": 0.1},
                model=problem.module(),
                train_data=problem.train,
            )

    def test_the_default_is_simple_influence(self) -> None:
        assert InfluenceInterpreter.list_available()[0] == "simple-influence"


class TestQueries:
    def test_none(self) -> None:
        inputs, targets = logistic_regression().queries
        with pytest.raises(HessinfError, match="found no examples, expected at least one"):
            make(Exact).scores((inputs[:0], targets[:0]))

    def test_k_of_nothing(self) -> None:
        interpreter = make(Exact)
        with pytest.raises(ValueError, match=r"^k must be at least 1, found 0$"):
            next(interpreter.interpret(logistic_regression().queries, k=0))
        assert not interpreter.fitted, "found out before a long fit"

    def test_losses_and_predictions(self) -> None:
        problem = logistic_regression()
        module = problem.module()
        with torch.no_grad():
            outputs = module(problem.queries[0])
        losses = problem.losses(outputs, problem.queries[1])
        results = list(make(Exact).interpret(problem.queries, k=3))
        for index, result in enumerate(results):
            assert result.query.id == str(index)
            assert result.query.prediction == int(outputs[index].argmax())
            assert result.query.target == int(problem.queries[1][index])
            np.testing.assert_allclose(result.query.loss, losses[index], rtol=1e-12)
            assert result.query.measurement == result.query.loss
        with torch.no_grad():
            train_losses = problem.losses(module(problem.train[0]), problem.train[1])
        for one in results[0].helpful:
            np.testing.assert_allclose(one.loss, train_losses[one.index], rtol=1e-12)
            assert one.target == int(problem.train[1][one.index])
        np.testing.assert_allclose(make(Exact).train_losses(), train_losses, rtol=1e-12)

    @pytest.mark.parametrize("reduction", ["mean", "sum", "mean-fixed"])
    def test_changes_of_the_ranking_are_those_of_the_matrix(self, reduction: str) -> None:
        problem = ridge_regression()
        interpreter = Exact(
            problem.module(),
            problem.train,
            objective="mean-squared-error",
            weight_decay=problem.weight_decay,
            training_reduction=reduction,
            batch_size=7,
        )
        changes = interpreter.loss_changes(problem.queries)
        for row, result in zip(changes, interpreter.interpret(problem.queries, k=5), strict=True):
            assert result.diagnostics["training_reduction"] == reduction
            for one in (*result.helpful, *result.harmful):
                np.testing.assert_allclose(one.loss_change_if_removed, row[one.index], rtol=1e-9)


def test_scores_of_a_bfloat16_model_are_float32() -> None:
    problem = logistic_regression()
    interpreter = Plain(problem.module().to(torch.bfloat16), problem.train)
    scores = interpreter.scores(problem.queries)
    assert scores.dtype == np.float32
    assert interpreter.self_influence().dtype == interpreter.train_losses().dtype == np.float32
    np.testing.assert_allclose(scores, products(), rtol=0.1, atol=0.02 * np.abs(products()).max())


def test_queries_of_classes_that_the_model_does_not_know_are_refused() -> None:
    interpreter = make(Plain)
    inputs = logistic_regression().queries[0][:2]
    with pytest.raises(HessinfError, match=r"example 1 \(id \"1\"\)"):
        interpreter.scores((inputs, torch.tensor([0, 7])))
