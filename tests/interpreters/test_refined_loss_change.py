"""What refined loss changes are given for, and how; their values are those of `newton_step`."""

from __future__ import annotations

import copy
import logging
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.interpreters import (
    InfluenceInterpreter,
    InterpreterError,
    moved_parameters,
    refined_loss_change,
)
from hessinf.registry import ConfigError
from hessinf.testing import (
    Problem,
    Tolerance,
    logistic_regression,
    multilayer_perceptron,
    references,
)

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


class TestLists:
    def test_lists_hold_what_the_matrix_holds(self) -> None:
        problem = multilayer_perceptron()
        found = make("ggn", problem, refinement="newton-step", query_batch_size=2)
        matrix = found.loss_changes(problem.queries, refinement="newton-step")
        results = list(found.interpret(problem.queries, k=4))
        assert len(results) == len(matrix)
        for row, result in zip(matrix, results, strict=True):
            for one in (*result.helpful, *result.harmful):
                assert one.loss_change_refined is not None
                np.testing.assert_allclose(
                    one.loss_change_refined, row[one.index], atol=1e-10 * abs(row).max()
                )
                written = one.to_json()
                assert written["loss_change_refined"] == one.loss_change_refined
                keys = list(written)
                assert keys.index("loss_change_refined") == keys.index("loss_change_if_removed") + 1
            assert result.diagnostics["refinement"] == "newton-step"
            assert result.diagnostics["not_refined"] == []

    def test_nothing_is_said_where_nothing_was_asked(self) -> None:
        problem = logistic_regression()
        result = next(make("ggn", problem).interpret(problem.queries))
        assert [one.loss_change_refined for one in result.helpful] == [None] * 10
        assert "loss_change_refined" not in result.helpful[0].to_json()
        assert "refinement" not in result.diagnostics

    def test_first_order_stays_first_order(self) -> None:
        """The argument is about lists; the matrix says itself what it is."""
        problem = logistic_regression()
        plain, refining = make("ggn", problem), make("ggn", problem, refinement="newton-step")
        expected = plain.loss_changes(problem.queries)
        np.testing.assert_array_equal(refining.loss_changes(problem.queries), expected)
        result = next(refining.interpret(problem.queries))
        for one in result.helpful:
            np.testing.assert_allclose(one.loss_change_if_removed, expected[0, one.index])

    def test_saved_factors_serve_with_and_without(self, tmp_path: Any) -> None:
        problem = logistic_regression()
        make("kfac", problem).fit().save(tmp_path / "factors")
        refining = make("kfac", problem, refinement="newton-step").restore(tmp_path / "factors")
        expected = make("kfac", problem).loss_changes(problem.queries, refinement="newton-step")
        result = next(refining.interpret(problem.queries, k=1))
        index = result.helpful[0].index
        np.testing.assert_allclose(result.helpful[0].loss_change_refined, expected[0, index])

    def test_another_damping_is_another_step(self) -> None:
        problem = logistic_regression()
        for name in ("exact", "kfac"):
            changed = make(name, problem).fit()
            before = changed.loss_changes(problem.queries, refinement="newton-step")
            changed.change_damping(0.5)
            found = changed.loss_changes(problem.queries, refinement="newton-step")
            expected = make(name, problem, damping=0.5).loss_changes(
                problem.queries, refinement="newton-step"
            )
            check(found, expected)
            assert np.linalg.norm(found - before) > 0.1 * np.linalg.norm(before)


class TestHowItIsComputed:
    def test_pieces_make_no_difference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        problem = multilayer_perceptron()
        expected = make("ggn", problem).loss_changes(problem.queries, refinement="newton-step")
        small = make("ggn", problem, batch_size=5, query_batch_size=2)
        monkeypatch.setattr(refined_loss_change, "COPIES_OF_JACOBIANS", 1e5)
        monkeypatch.setattr(moved_parameters, "COPIES", 1e5)
        check(small.loss_changes(problem.queries, refinement="newton-step"), expected, 1e-12)

    def test_a_solve_for_each_output_and_one_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        problem = logistic_regression()
        found = make("ggn", problem).fit()
        solved = []
        solve = type(found).solve_with_ridge

        def counting(self: Any, vectors: torch.Tensor, share: float) -> torch.Tensor:
            solved.append(len(vectors))
            return solve(self, vectors, share)

        monkeypatch.setattr(type(found), "solve_with_ridge", counting)
        found.loss_changes(problem.queries, refinement="newton-step")
        assert sum(solved) == 3 * problem.num_train + 1  # C for each example, and the mean gradient

    def test_single_precision_is_as_near_as_its_gradients(self) -> None:
        """Differences of losses are taken in float64: float32 would leave three digits of them."""
        problem = multilayer_perceptron()
        single = make("ggn", problem, model=problem.module().float())
        found = single.loss_changes(problem.queries, refinement="newton-step")
        assert found.dtype == np.float32
        double = make("ggn", problem).loss_changes(problem.queries, refinement="newton-step")
        check(found, double, 1e-5)

    def test_the_model_is_left_as_it_was(self) -> None:
        problem = multilayer_perceptron()
        module = problem.module()
        before = copy.deepcopy(module.state_dict())
        modes = [part.training for part in module.modules()]
        make("ggn", problem, model=module).loss_changes(problem.queries, refinement="newton-step")
        for name, value in module.state_dict().items():
            assert torch.equal(value, before[name])
        assert [part.training for part in module.modules()] == modes
        assert all(value.grad is None for value in module.parameters())

    def test_frozen_parameters_stay(self) -> None:
        problem = logistic_regression()
        found = make("exact", problem, params_to_freeze=["bias"])
        module = problem.module()
        module[0].bias.requires_grad_(False)
        expected = make("exact", problem, model=module)
        check(
            found.loss_changes(problem.queries, refinement="newton-step"),
            expected.loss_changes(problem.queries, refinement="newton-step"),
            1e-12,
        )


class TestRefusals:
    def refused(self, name: str, message: str, **changed: Any) -> None:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make(name, logistic_regression(), **changed)

    def test_methods_without_an_inverse(self) -> None:
        able = [
            name
            for name in InfluenceInterpreter.list_available()
            if InfluenceInterpreter.by_name(name).refinement_refusal() is None
        ]
        assert {"exact", "ggn", "block-ggn", "kfac", "ekfac"} <= set(able)
        others = [
            name
            for name in InfluenceInterpreter.list_available()
            if name not in able and name != "tracin"  # which needs checkpoints first
        ]
        assert {"simple-influence", "diagonal"} <= set(others)
        problem = logistic_regression()
        for name in others:
            cls = InfluenceInterpreter.by_name(name)
            message = (
                f'refinement "newton-step": {name} has no inverse from which the curvature of one '
                "example can be taken; methods that can: "
            )
            with pytest.raises(ValueError, match=f"^{re.escape(message)}.*kfac"):
                cls(problem.module(), problem.train, refinement="newton-step")
            unfitted = cls(problem.module(), problem.train)
            with pytest.raises(InterpreterError, match=f"^{re.escape(message)}.*kfac"):
                unfitted.loss_changes(problem.queries, refinement="newton-step")

    def test_another_word(self) -> None:
        self.refused(
            "ggn",
            'refinement must be "newton-step" or None, found "newton"',
            refinement="newton",
        )

    def test_another_measurement(self) -> None:
        message = (
            'refinement "newton-step" predicts changes of the loss, and the measurement is '
            '"margin"; leave one of them out'
        )
        self.refused("ggn", message, refinement="newton-step", measurement="margin")
        problem = logistic_regression()
        found = make("ggn", problem, measurement="margin")
        with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
            found.loss_changes(problem.queries, refinement="newton-step")

    def test_a_config_says_it(self) -> None:
        problem = logistic_regression()
        found = InfluenceInterpreter.from_config(
            {"type": "exact", "refinement": "newton-step"},
            model=problem.module(),
            train_data=problem.train,
        )
        assert found.refinement == "newton-step"
        with pytest.raises(ConfigError, match="refinement"):
            InfluenceInterpreter.from_config(
                {"type": "exact", "refinement": "newton"},
                model=problem.module(),
                train_data=problem.train,
            )

    def test_jacobians_that_do_not_fit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        problem = logistic_regression()
        found = make("ggn", problem, memory_limit=1.0).fit()
        monkeypatch.setattr(refined_loss_change, "COPIES_OF_JACOBIANS", 1e7)
        message = (
            'refinement "newton-step" needs the Jacobian of an example\'s 3 outputs in 12 '
            "parameters, 2.7 GiB to work with, and memory_limit is 1 GiB; raise memory_limit, "
            "freeze parameters with params_to_freeze, or leave the refinement out"
        )
        with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
            found.loss_changes(problem.queries, refinement="newton-step")


class TestExamplesThatCannotBeLeftOut:
    """Example 2 alone has the last feature: without it, and without a penalty, that is free."""

    def interpreter(self, name: str = "ggn", **changed: Any) -> Any:
        generator = torch.Generator().manual_seed(7)
        inputs = torch.randn(9, 3, generator=generator, dtype=torch.float64)
        inputs[:, 2] = 0.0
        inputs[2, 2] = 1.0
        targets = torch.randn(9, generator=generator, dtype=torch.float64)
        module = nn.Linear(3, 1, bias=False, dtype=torch.float64)
        given = {"objective": "mean-squared-error", "damping": 0.0, **changed}
        self.queries = (inputs[:4], targets[:4])
        return InfluenceInterpreter.by_name(name)(module, (inputs, targets), **given)

    MESSAGE = (
        "the curvature of ggn has no inverse of the same signs without training example 2 "
        "(leverage 1): by itself it makes up all of the curvature in some direction (leverage 1), "
        "or more than the method ascribes to all of them; raise damping, or use a method that is "
        "nearer to the exact curvature"
    )

    def test_the_matrix_is_refused(self) -> None:
        found = self.interpreter()
        with pytest.raises(InterpreterError, match=f"^{re.escape(self.MESSAGE)}$"):
            found.loss_changes(self.queries, refinement="newton-step")

    def test_lists_leave_it_out_and_say_so(self, caplog: pytest.LogCaptureFixture) -> None:
        found = self.interpreter(refinement="newton-step").fit()
        with caplog.at_level(logging.WARNING):
            results = list(found.interpret(self.queries, k=9))
        assert caplog.messages == [f"{self.MESSAGE}; their loss_change_refined is left out"]
        for result in results:
            assert result.diagnostics["not_refined"] == [2]
            for one in (*result.helpful, *result.harmful):
                assert (one.loss_change_refined is None) == (one.index == 2)
                assert ("loss_change_refined" in one.to_json()) == (one.index != 2)

    def test_a_penalty_makes_it_possible(self) -> None:
        found = self.interpreter(damping=0.01)
        changes = found.loss_changes(self.queries, refinement="newton-step")
        assert np.isfinite(changes).all()

    def test_more_than_the_method_ascribes_to_all(self) -> None:
        """A curvature that is too small somewhere has less than the example itself."""

        class TooFlat(InfluenceInterpreter):
            def precondition(self, gradients: Any) -> Any:
                return gradients * 50.0

            def solve_with_ridge(self, vectors: torch.Tensor, share: float) -> torch.Tensor:
                return vectors * 50.0

        problem = logistic_regression()
        count = problem.num_train
        own = [references.example_gauss_newton(problem, index) for index in range(count)]
        leverages = [50.0 / count * float(np.linalg.eigvalsh(matrix)[-1]) for matrix in own]
        expected = [index for index, leverage in enumerate(leverages) if leverage > 1]
        assert 5 < len(expected) < count
        found = TooFlat(problem.module(), problem.train, refinement="newton-step")
        shown = ", ".join(f"{index} (leverage {leverages[index]:.6g})" for index in expected[:5])
        message = (
            f"without training examples {shown} and {len(expected) - 5} more: by itself it makes up"
        )
        with pytest.raises(InterpreterError, match=re.escape(message)):
            found.loss_changes(problem.queries, refinement="newton-step")

    def test_kronecker_factors_without_an_inverse(self, caplog: pytest.LogCaptureFixture) -> None:
        """Example 2 alone has the last feature: A is singular without it."""
        found = self.interpreter(name="kfac", damping=1e-18, refinement="newton-step")
        with caplog.at_level(logging.WARNING):
            result = next(found.interpret(self.queries, k=9))
        assert result.diagnostics["not_refined"] == [2]
        assert caplog.messages[-1].startswith(
            "the curvature of kfac has no inverse of the same signs without training example 2 "
            "(leverage 1): "
        )

    def test_one_example_alone(self) -> None:
        module = nn.Linear(1, 1, dtype=torch.float64)
        data = (torch.ones(1, 1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
        found = InfluenceInterpreter.by_name("ggn")(module, data, objective="mean-squared-error")
        message = "the refined loss change leaves one training example out, and there is only one"
        with pytest.raises(InterpreterError, match=f"^{message}$"):
            found.loss_changes(data, refinement="newton-step")
