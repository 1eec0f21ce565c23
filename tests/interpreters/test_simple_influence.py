from __future__ import annotations

import functools
import logging
import re
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from hessinf.data import BreastCancer, Dataset
from hessinf.gradients import CurvatureProducts, Gradients
from hessinf.interpreters import Exact, SimpleInfluence
from hessinf.models import LogisticRegression
from hessinf.solvers import DivergenceError
from hessinf.testing import logistic_regression, multilayer_perceptron, references
from hessinf.testing.problems import minimize

WEIGHT_DECAY = 1e-2
DAMPING = 1e-3


@functools.cache
def breast_cancer() -> tuple[torch.nn.Module, Dataset, Dataset]:
    """Logistic regression on 512 tumors, trained to its optimum; 20 queries."""
    reader = BreastCancer(dtype="float64")
    train, test = reader.read("train"), reader.read("test")
    module = LogisticRegression(in_features=30, out_features=2, dtype="float64").module
    assert train.columns is not None
    losses = functools.partial(torch.nn.functional.cross_entropy, reduction="none")
    minimize(module, losses, (train.columns.inputs, train.columns.targets), WEIGHT_DECAY)
    return module, train, test[:20]


def test_deep_enough_it_agrees_with_exact() -> None:
    module, train, queries = breast_cancer()
    given: dict[str, Any] = {"weight_decay": WEIGHT_DECAY, "damping": DAMPING}
    expected = Exact(module, train, **given).scores(queries)
    interpreter = SimpleInfluence(
        module, train, **given, lissa_batch_size=64, recursion_depth={"steps": 5000}
    )
    found = interpreter.scores(queries)
    residual = interpreter.reports["relative_residual"]
    ranks = [stats.spearmanr(*pair).statistic for pair in zip(found, expected, strict=True)]
    pooled = stats.spearmanr(found.ravel(), expected.ravel()).statistic
    ratio = float(np.linalg.norm(found) / np.linalg.norm(expected))
    print(
        f"breast cancer, batch 64: Spearman mean {np.mean(ranks):.5f} min {np.min(ranks):.5f} "
        f"pooled {pooled:.5f}, norm ratio {ratio:.4f}, largest residual {residual.max():.4f}"
    )
    assert np.mean(ranks) >= 0.99
    assert pooled >= 0.99
    assert abs(ratio - 1) <= 0.05
    assert bool(interpreter.reports["converged"].all())


@pytest.mark.parametrize("scale", [None, 1.0, 4.0])
@pytest.mark.parametrize(("curvature", "damping"), [("ggn", 1e-3), ("ggn", 0.3), ("hessian", 0.3)])
def test_the_fixed_point_has_the_damping_that_was_asked_for(
    scale: float | None, curvature: Any, damping: float
) -> None:
    problem = multilayer_perceptron()
    interpreter = SimpleInfluence(
        problem.module(),
        problem.train,
        weight_decay=problem.weight_decay,
        damping=damping,
        lissa_batch_size=1000,
        recursion_depth={"steps": 800},
        scale=scale,
        curvature=curvature,
        averaging="last",
    )
    found = interpreter.scores(problem.queries)
    dense = references.gauss_newton if curvature == "ggn" else references.hessian
    expected = references.damped_scores(problem, dense(problem), damping)
    error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    print(f"{curvature}, damping {damping}, scale {scale}: relative error {error:.2g}")
    assert error <= 1e-8
    assert next(interpreter.interpret(problem.queries)).diagnostics["damping"] == damping


@pytest.mark.parametrize("curvature", ["ggn", "hessian"])
@pytest.mark.parametrize("num_samples", [1, 2])
def test_the_same_with_and_without_what_is_kept_of_the_training_data(
    curvature: Any, num_samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = multilayer_perceptron()

    def scores() -> tuple[np.ndarray, dict[str, Any]]:
        interpreter = SimpleInfluence(
            problem.module(),
            problem.train,
            weight_decay=problem.weight_decay,
            lissa_batch_size=16,
            recursion_depth={"steps": 40},
            damping=0.3,
            curvature=curvature,
            num_samples=num_samples,
        )
        found = interpreter.scores(problem.queries)
        return found, interpreter.reports

    kept, reports = scores()
    monkeypatch.setattr(CurvatureProducts, "linearized", None)
    other, others = scores()
    np.testing.assert_allclose(kept, other, rtol=1e-9, atol=1e-12)
    for name in ("relative_residual", "scale"):
        np.testing.assert_allclose(reports[name], others[name], rtol=1e-9)


def test_residuals_may_be_left_out() -> None:
    problem = multilayer_perceptron()
    given: dict[str, Any] = {"recursion_depth": {"steps": 20}, "damping": 0.3}
    with_them = SimpleInfluence(problem.module(), problem.train, **given)
    without = SimpleInfluence(problem.module(), problem.train, **given, residuals=False)
    np.testing.assert_array_equal(
        with_them.scores(problem.queries), without.scores(problem.queries)
    )
    assert {"relative_residual", "converged"} <= with_them.reports.keys()
    assert without.reports.keys() == {"steps", "scale"}
    diagnostics = next(without.interpret(problem.queries)).diagnostics
    assert "relative_residual" not in diagnostics
    assert diagnostics["steps"] == 20


@pytest.mark.parametrize("steps", [10, 100, 400])
@pytest.mark.parametrize("averaging", ["tail", "last"])
def test_residuals_are_honest(steps: int, averaging: Any) -> None:
    """What is reported of each query is ``‖(C + λI)x − v‖ / ‖v‖`` of its own solution."""
    problem = multilayer_perceptron()
    interpreter = SimpleInfluence(
        problem.module(),
        problem.train,
        weight_decay=problem.weight_decay,
        lissa_batch_size=16,
        recursion_depth={"steps": steps},
        damping=0.01,
        averaging=averaging,
    )
    interpreter.fit()
    results = list(interpreter.interpret(problem.queries))
    curvature = references.gauss_newton(problem)
    vectors = references.gradients(problem, problem.queries)  # [Q, P]
    flat = torch.from_numpy(vectors)
    with interpreter.model.evaluating():
        factors = interpreter.precondition(Gradients.from_flat(flat, interpreter.model.layout))
    solutions = factors.flatten().numpy()  # [Q, P]
    residuals = solutions @ curvature + 0.01 * solutions - vectors  # [Q, P]
    expected = np.linalg.norm(residuals, axis=1) / np.linalg.norm(vectors, axis=1)  # [Q]
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.diagnostics["relative_residual"], value, rtol=1e-6)
        assert result.diagnostics["converged"] == (value <= 0.1)
        assert result.diagnostics["steps"] == steps
    if steps == 10:
        assert not any(result.diagnostics["converged"] for result in results)


class TestDivergence:
    MESSAGE = re.compile(
        r"^LiSSA ran away within (\d+) steps at scale 0\.1; try scale: ([0-9.e+-]+), or null to "
        r"have it chosen(.*)$"
    )

    def make(self, **arguments: Any) -> SimpleInfluence:
        problem = multilayer_perceptron()
        given = {
            "weight_decay": problem.weight_decay,
            "lissa_batch_size": 16,
            "recursion_depth": {"steps": 300},
            **arguments,
        }
        return SimpleInfluence(problem.module(), problem.train, **given)

    @pytest.mark.parametrize("curvature", ["ggn", "hessian"])
    def test_too_small_a_scale_is_an_error_with_advice(self, curvature: Any) -> None:
        problem = multilayer_perceptron()
        with pytest.raises(DivergenceError) as caught:
            self.make(scale=0.1, curvature=curvature).scores(problem.queries)
        match = self.MESSAGE.match(str(caught.value))
        assert match is not None, str(caught.value)
        advice = (
            ". The Hessian may have negative eigenvalues, which no scale helps against: try "
            'curvature: "ggn", or more damping'
        )
        assert match[3] == ("" if curvature == "ggn" else advice)
        followed = self.make(scale=float(match[2]))
        expected = references.damped_scores(problem, references.gauss_newton(problem), 3e-3)
        found = followed.scores(problem.queries)
        assert stats.spearmanr(found.ravel(), expected.ravel()).statistic > 0.95

    def test_an_automatic_scale_converges(self) -> None:
        problem = multilayer_perceptron()
        interpreter = self.make()
        for result in interpreter.interpret(problem.queries):
            assert result.diagnostics["converged"], result.diagnostics
        largest = float(np.linalg.eigvalsh(references.gauss_newton(problem))[-1])
        assert interpreter.scale_ > largest

    def test_an_automatic_scale_that_is_too_small_is_doubled(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        problem = multilayer_perceptron()
        interpreter = self.make().fit()
        good = interpreter.scale_
        interpreter.scale_ = good / 8
        with caplog.at_level(logging.WARNING):
            found = interpreter.scores(problem.queries)
        warnings = [item.message for item in caplog.records if item.levelno == logging.WARNING]
        assert re.match(
            r"^LiSSA ran away within \d+ steps at scale [0-9.]+; going on with [0-9.]+$",
            warnings[0],
        )
        expected = references.damped_scores(problem, references.gauss_newton(problem), 3e-3)
        assert stats.spearmanr(found.ravel(), expected.ravel()).statistic > 0.95

    def test_an_automatic_scale_is_not_doubled_for_ever(self) -> None:
        interpreter = self.make().fit()
        interpreter.scale_ = 1e-6
        with pytest.raises(DivergenceError, match=r"^LiSSA ran away within \d+ steps at scale"):
            interpreter.scores(multilayer_perceptron().queries)


class TestDamping:
    def test_relative_damping_is_a_share_of_the_mean_eigenvalue(self) -> None:
        problem = multilayer_perceptron()
        interpreter = SimpleInfluence(
            problem.module(),
            problem.train,
            weight_decay=problem.weight_decay,
            damping={"relative": 0.1},
        ).fit()
        curvature = references.gauss_newton(problem)
        mean = float(np.trace(curvature)) / len(curvature)
        # An estimate from 64 random vectors.
        assert abs(interpreter.damping_ / (0.1 * mean) - 1) < 0.1


def test_samples_are_averaged() -> None:
    problem = logistic_regression()

    def scores(samples: int, seed: int) -> np.ndarray:
        return SimpleInfluence(
            problem.module(),
            problem.train,
            weight_decay=problem.weight_decay,
            lissa_batch_size=4,
            recursion_depth={"steps": 40},
            averaging="last",
            num_samples=samples,
            seed=seed,
        ).scores(problem.queries)

    expected = references.damped_scores(problem, references.hessian(problem), 3e-3)
    errors = {
        samples: np.mean([np.linalg.norm(scores(samples, seed) - expected) for seed in range(4)])
        for samples in (1, 8)
    }
    print(f"mean error by number of samples: {errors}")
    assert errors[8] < 0.6 * errors[1]


def test_a_batch_larger_than_the_data_is_all_of_it() -> None:
    problem = logistic_regression()
    interpreter = SimpleInfluence(problem.module(), problem.train, lissa_batch_size=10**9)
    assert interpreter.lissa_batch_size == problem.num_train
    assert interpreter.steps == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"averaging": "mean"}, "averaging must be one of ('tail', 'last'), found 'mean'"),
        ({"curvature": "fisher"}, "curvature must be one of ('ggn', 'hessian'), found 'fisher'"),
        (
            {"compatibility": "allen"},
            "compatibility must be one of ('allennlp', None), found 'allen'",
        ),
        (
            {"num_samples": 0},
            "lissa_batch_size and num_samples must be at least 1, found 8 and 0",
        ),
        ({"scale": 0.0}, "scale must be > 0, or None to have it chosen, found 0.0"),
    ],
)
def test_arguments_from_python_are_checked_too(arguments: Any, message: str) -> None:
    problem = logistic_regression()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SimpleInfluence(problem.module(), problem.train, **arguments)
