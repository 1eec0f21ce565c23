"""``conjugate-gradient`` against dense float64 references."""

from __future__ import annotations

import functools
import logging
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.gradients import Gradients
from hessinf.interpreters import ConjugateGradient, InfluenceInterpreter
from hessinf.solvers import NegativeCurvatureError, SolverError
from hessinf.testing import (
    Problem,
    logistic_regression,
    multilayer_perceptron,
    references,
    ridge_regression,
)

PRECONDITIONERS: list[Any] = [
    None,
    "jacobi",
    {"type": "nystroem", "rank": 20},
    "kfac",
    "ekfac",
]

DENSE: dict[str, Any] = {"ggn": references.gauss_newton, "hessian": references.hessian}


def make(problem: Problem, **given: Any) -> ConjugateGradient:
    given = {"weight_decay": problem.weight_decay, "objective": problem.objective, **given}
    return ConjugateGradient(
        given.pop("model", None) or problem.module(), given.pop("train", problem.train), **given
    )


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("damping", [1e-6, 1e-3, 1e-1])
@pytest.mark.parametrize("curvature", ["ggn", "hessian"])
@pytest.mark.parametrize("method", ["cg", "block"])
@pytest.mark.parametrize("problem", [logistic_regression, ridge_regression, multilayer_perceptron])
def test_converged_it_is_the_dense_inverse(
    problem: Any, method: str, curvature: str, damping: float
) -> None:
    made = problem()
    expected = references.damped_scores(made, DENSE[curvature](made), damping)
    for preconditioner in PRECONDITIONERS:
        found = make(
            made,
            damping=damping,
            curvature=curvature,
            method=method,
            preconditioner=preconditioner,
            tolerance=1e-11,
        ).scores(made.queries)
        assert relative_error(found, expected) <= 1e-8, preconditioner


@pytest.mark.parametrize("damping", [1e-6, 1e-3])
@pytest.mark.parametrize("method", ["cg", "block"])
def test_without_weight_decay(method: str, damping: float) -> None:
    """Damping alone keeps the Gauss-Newton matrix, which is singular here, from singularity."""
    problem = logistic_regression()
    curvature = references.gauss_newton(problem) - problem.weight_decay * np.eye(12)
    assert np.linalg.eigvalsh(curvature)[0] < 1e-12
    expected = references.damped_scores(problem, curvature, damping)
    found = make(problem, weight_decay=0.0, damping=damping, method=method, tolerance=1e-12).scores(
        problem.queries
    )
    assert relative_error(found, expected) <= 1e-8


class TestShortLastBatches:
    """Batches count by their examples: 22 in batches of 15, 21 and 22 are the same."""

    @pytest.mark.parametrize("batch_size", [15, 21, 22])
    @pytest.mark.parametrize("curvature", ["ggn", "hessian"])
    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("conjugate-gradient", {"tolerance": 1e-12}),
            ("conjugate-gradient", {"tolerance": 1e-12, "method": "block"}),
            ("arnoldi", {"rank": 1000}),
            ("nystroem", {"rank": 1000}),
        ],
    )
    def test_they_are_weighted(
        self, name: str, arguments: dict[str, Any], curvature: str, batch_size: int
    ) -> None:
        problem = logistic_regression()
        fewer = Problem(
            name="fewer",
            trained=problem.trained,
            train=(problem.train[0][:22], problem.train[1][:22]),
            queries=problem.queries,
            objective=problem.objective,
            weight_decay=problem.weight_decay,
            losses=problem.losses,
            output_hessians=problem.output_hessians,
        )
        expected = references.damped_scores(fewer, DENSE[curvature](fewer), 1e-3)
        found = InfluenceInterpreter.by_name(name)(
            fewer.module(),
            fewer.train,
            weight_decay=fewer.weight_decay,
            damping=1e-3,
            curvature=curvature,
            batch_size=batch_size,
            **arguments,
        ).scores(fewer.queries)
        assert relative_error(found, expected) <= 1e-9


class TestDiagnostics:
    @pytest.mark.parametrize("method", ["cg", "block"])
    @pytest.mark.parametrize("steps", [1, 3, 100])
    def test_residuals_are_honest(self, steps: int, method: str) -> None:
        """What is reported of each query is ``‖(C + λI)x − v‖ / ‖v‖`` of its own solution."""
        problem = multilayer_perceptron()
        interpreter = make(problem, damping=0.01, steps=steps, tolerance=1e-8, method=method)
        interpreter.fit()
        results = list(interpreter.interpret(problem.queries))
        vectors = references.gradients(problem, problem.queries)  # [Q, P]
        flat = torch.from_numpy(vectors)
        with interpreter.model.evaluating():
            factors = interpreter.precondition(Gradients.from_flat(flat, interpreter.model.layout))
        solutions = factors.flatten().numpy()  # [Q, P]
        residuals = solutions @ references.gauss_newton(problem) + 0.01 * solutions - vectors
        expected = np.linalg.norm(residuals, axis=1) / np.linalg.norm(vectors, axis=1)  # [Q]
        for result, value in zip(results, expected, strict=True):
            diagnostics = result.diagnostics
            np.testing.assert_allclose(diagnostics["relative_residual"], value, rtol=1e-5)
            assert diagnostics["converged"] == (value <= 1e-8)
            assert diagnostics["converged"] == (steps == 100)
            assert diagnostics["steps"] == steps or steps == 100
            assert diagnostics["negative_curvature"] is False

    def test_stopping_early_is_warned_of(self, caplog: pytest.LogCaptureFixture) -> None:
        problem = multilayer_perceptron()
        with caplog.at_level(logging.WARNING):
            make(problem, steps=2).scores(problem.queries)
        assert re.fullmatch(
            r"conjugate gradients: 5 of 5 queries are not solved to the tolerance 1e-10 \(relative "
            r"residuals up to 0\.\d+ after up to 2 steps\); they are marked",
            caplog.messages[0],
        )

    def test_a_query_without_gradient(self) -> None:
        """Nothing explains a query whose measurement does not depend on θ: zero, solved."""
        problem = multilayer_perceptron()
        interpreter = make(problem).fit()
        vectors = torch.from_numpy(references.gradients(problem, problem.queries))
        vectors[2] = 0.0
        with interpreter.model.evaluating():
            factors = interpreter.precondition(
                Gradients.from_flat(vectors, interpreter.model.layout)
            )
        assert bool((factors.flatten()[2] == 0).all())
        assert bool(interpreter.reports["converged"].all())
        assert interpreter.reports["steps"].tolist()[2] == 0


@functools.cache
def untrained() -> Problem:
    """A network at no minimum: its Hessian is indefinite."""
    problem = logistic_regression()
    module = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return Problem(
        name="untrained",
        trained=module,
        train=problem.train,
        queries=problem.queries,
        objective=problem.objective,
        weight_decay=2e-3,
        losses=problem.losses,
        output_hessians=problem.output_hessians,
    )


@pytest.mark.parametrize("method", ["cg", "block"])
class TestNegativeCurvature:
    def test_it_is_an_error_with_advice(self, method: str) -> None:
        problem = untrained()
        smallest = float(np.linalg.eigvalsh(references.hessian(problem))[0])
        with pytest.raises(NegativeCurvatureError) as caught:
            make(problem, curvature="hessian", damping=1e-3, method=method).scores(problem.queries)
        match = re.fullmatch(
            r"the damped curvature is not positive: conjugate gradients met a direction with "
            r"vᵀ\(C \+ λI\)v / vᵀv = (-[0-9.e-]+) at damping 0\.001, for (\d) of 6 queries; the "
            r"parameters are no minimum of the training loss: use curvature \"ggn\", or raise "
            r"damping by more than ([0-9.e-]+), or choose negative_curvature \"stop\" to keep what "
            r"is found before",
            str(caught.value),
        )
        assert match is not None, str(caught.value)
        assert smallest + 1e-3 - 1e-6 <= float(match[1]) < 0
        assert float(match[3]) == -float(match[1])
        assert int(match[2]) >= 1

    def test_enough_damping_makes_it_positive(self, method: str) -> None:
        problem = untrained()
        damping = -2 * float(np.linalg.eigvalsh(references.hessian(problem))[0])
        found = make(
            problem, curvature="hessian", damping=damping, method=method, tolerance=1e-12
        ).scores(problem.queries)
        expected = references.damped_scores(problem, references.hessian(problem), damping)
        assert relative_error(found, expected) <= 1e-8

    def test_the_gauss_newton_matrix_has_none(self, method: str) -> None:
        problem = untrained()
        interpreter = make(problem, damping=1e-3, method=method, tolerance=1e-10)
        interpreter.scores(problem.queries)
        assert bool(interpreter.reports["converged"].all())

    def test_stopping_there_is_marked(self, method: str) -> None:
        problem = untrained()
        interpreter = make(
            problem, curvature="hessian", damping=1e-3, method=method, negative_curvature="stop"
        )
        diagnostics = [one.diagnostics for one in interpreter.interpret(problem.queries)]
        stopped = [one for one in diagnostics if one["negative_curvature"]]
        assert stopped
        for one in stopped:
            assert one["converged"] is False
            assert one["relative_residual"] <= 1 + 1e-12

    def test_a_singular_curvature_is_named(self, method: str) -> None:
        problem = logistic_regression()
        interpreter = make(problem, weight_decay=0.0, damping=0.0, method=method).fit()
        # Losses of examples lie in the range of their curvature; other measurements need not.
        vectors = torch.randn(3, 12, generator=torch.Generator().manual_seed(0)).double()
        gradients = Gradients.from_flat(vectors, interpreter.model.layout)
        message = (
            r"^the damped curvature is singular to working precision: conjugate gradients met a "
            r"direction with vᵀ\(C \+ λI\)v / vᵀv = -?[0-9.e-]+ beside others of [0-9.e-]+ at "
            r"damping 0, for 3 of 3 queries; raise damping$"
        )
        with (
            interpreter.model.evaluating(),
            pytest.raises(NegativeCurvatureError, match=message),
        ):
            interpreter.precondition(gradients)


class TestPrecision:
    def test_float32_models_are_solved_in_float64(self) -> None:
        problem = logistic_regression()
        inputs, targets = problem.train
        given = {"model": problem.module().float(), "train": (inputs.float(), targets)}
        queries = (problem.queries[0].float(), problem.queries[1])
        interpreter = make(problem, **given, damping=1e-3, tolerance=1e-12)
        found = interpreter.scores(queries)
        assert str(found.dtype) == "float32"
        assert bool(interpreter.reports["converged"].all())
        expected = references.damped_scores(problem, references.gauss_newton(problem), 1e-3)
        assert relative_error(found, expected) <= 1e-5

    def test_in_float32_what_can_be_reached_is_told(self) -> None:
        problem = logistic_regression()
        inputs, targets = problem.train
        given = {"model": problem.module().float(), "train": (inputs.float(), targets)}
        queries = (problem.queries[0].float(), problem.queries[1])
        interpreter = make(problem, **given, damping=1e-3, tolerance=1e-12, curvature_dtype="model")
        found = interpreter.scores(queries)
        assert not bool(interpreter.reports["converged"].any())
        assert float(interpreter.reports["relative_residual"].max()) < 1e-5
        expected = references.damped_scores(problem, references.gauss_newton(problem), 1e-3)
        assert relative_error(found, expected) <= 1e-4

    def test_half_precision_products_are_refused(self) -> None:
        problem = logistic_regression()
        inputs, targets = problem.train
        given = {"model": problem.module().bfloat16(), "train": (inputs.bfloat16(), targets)}
        message = (
            "conjugate gradients need products in float32 at least, the model is bfloat16; use "
            'curvature_dtype "float64"'
        )
        with pytest.raises(SolverError, match=f"^{re.escape(message)}$"):
            make(problem, **given, curvature_dtype="model").fit()
        make(problem, **given).scores((problem.queries[0].bfloat16(), problem.queries[1]))


class TestDamping:
    def test_relative_damping_is_a_share_of_the_mean_eigenvalue(self) -> None:
        problem = multilayer_perceptron()
        interpreter = make(problem, damping={"relative": 0.1}).fit()
        mean = float(np.trace(references.gauss_newton(problem))) / 40
        assert abs(interpreter.damping_ / (0.1 * mean) - 1) < 0.1  # from 64 random vectors

    @pytest.mark.parametrize("damping", [0.3, {"relative": 0.5}])
    def test_it_can_be_changed(self, damping: Any) -> None:
        problem = multilayer_perceptron()
        changed = make(problem, damping=1e-3, tolerance=1e-11, preconditioner="ekfac").fit()
        changed.change_damping(damping)
        anew = make(problem, damping=damping, tolerance=1e-11, preconditioner="ekfac").fit()
        assert changed.damping_ == anew.damping_
        assert changed.scores(problem.queries).tobytes() == anew.scores(problem.queries).tobytes()


def test_queries_that_do_not_fit_together_are_solved_in_parts() -> None:
    problem = multilayer_perceptron()
    whole = make(problem, tolerance=1e-11)
    parts = make(problem, tolerance=1e-11)
    expected = whole.scores(problem.queries)
    parts.memory_plan  # noqa: B018  # planned with the usual limit
    parts.memory_limit = 2 * 2 * 8 * 40 * 8 / 2**30  # two queries at a time
    found = parts.scores(problem.queries)
    assert relative_error(found, expected) <= 1e-9
    assert parts.reports["steps"].shape == (5,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "pcg"}, "method must be one of ('cg', 'block'), found 'pcg'"),
        ({"curvature": "fisher"}, "curvature must be one of ('ggn', 'hessian'), found 'fisher'"),
        (
            {"negative_curvature": "ignore"},
            "negative_curvature must be one of ('error', 'stop'), found 'ignore'",
        ),
        (
            {"curvature_dtype": "float16"},
            "curvature_dtype must be one of ('float64', 'model'), found 'float16'",
        ),
        (
            {"steps": 0},
            "tolerance must be between 0 and 1 and steps at least 1, found 1e-10 and 0",
        ),
        (
            {"tolerance": -1.0},
            "tolerance must be between 0 and 1 and steps at least 1, found -1.0 and 1000",
        ),
    ],
)
def test_arguments_from_python_are_checked_too(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make(logistic_regression(), **arguments)


@pytest.mark.parametrize(
    ("dtype", "curvature_dtype", "tolerance"),
    [
        (torch.float64, "model", 1e-10),
        (torch.float32, "float64", 1e-10),
        (torch.float32, "model", 1e-6),
    ],
)
def test_the_tolerance_is_what_the_precision_can_give(
    dtype: torch.dtype, curvature_dtype: str, tolerance: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 4, generator=generator, dtype=dtype)
    data = (inputs, torch.randint(3, (40,), generator=generator))
    torch.manual_seed(0)
    method = InfluenceInterpreter.by_name("conjugate-gradient")
    interpreter = method(
        torch.nn.Linear(4, 3, dtype=dtype), data, damping=0.01, curvature_dtype=curvature_dtype
    )
    assert interpreter.tolerance == tolerance
    for result in interpreter.interpret((data[0][:3], data[1][:3])):
        assert result.diagnostics["converged"] is True
        assert result.diagnostics["relative_residual"] <= tolerance
