from __future__ import annotations

import copy
import functools
import logging
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.curvature import CurvatureError, EigenInversion
from hessinf.data import Digits
from hessinf.interpreters import Exact
from hessinf.testing import Problem, logistic_regression, references
from hessinf.testing.problems import minimize

WEIGHT_DECAY = 1e-3
DAMPING = 1e-3


@functools.cache
def digits(count: int) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """The first training digits, and 20 test digits."""
    reader = Digits()
    train, test = reader.read("train"), reader.read("test")
    assert train.columns is not None
    assert test.columns is not None
    return (
        (train.columns.inputs[:count], train.columns.targets[:count]),
        (test.columns.inputs[:20], test.columns.targets[:20]),
    )


def perceptron(sizes: list[int]) -> nn.Sequential:
    """An MLP with smooth activations, initialized without touching the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.GELU()]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


@functools.cache
def trained(count: int, hidden: tuple[int, ...], epochs: int) -> nn.Sequential:
    module = perceptron([64, *hidden, 10])
    inputs, labels = digits(count)[0]
    optimizer = torch.optim.SGD(
        module.parameters(), lr=0.05, momentum=0.9, weight_decay=WEIGHT_DECAY
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for places in torch.randperm(count, generator=generator).split(32):
            optimizer.zero_grad()
            functional.cross_entropy(module(inputs[places]), labels[places]).backward()
            optimizer.step()
    return module


def independent_scores(module: nn.Sequential, count: int) -> np.ndarray:
    """Scores in float64 from a Hessian by double backward, example by example in the gradients."""
    module = copy.deepcopy(module).double()
    (inputs, labels), (query_inputs, query_labels) = digits(count)
    parameters = list(module.parameters())

    def example_gradients(examples: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        rows = []
        for example, target in zip(examples.double(), targets, strict=True):
            loss = functional.cross_entropy(module(example[None]), target[None])
            gradient = torch.autograd.grad(loss, parameters)
            rows.append(torch.cat([part.reshape(-1) for part in gradient]))
        return torch.stack(rows)

    total = functional.cross_entropy(module(inputs.double()), labels)
    slopes = torch.autograd.grad(total, parameters, create_graph=True)
    entries = torch.cat([slope.reshape(-1) for slope in slopes])  # [P]
    unit = torch.eye(len(entries), dtype=torch.float64)  # [P, P]
    rows = []
    for part in unit.split(256):
        products = torch.autograd.grad(
            entries, parameters, part, retain_graph=True, is_grads_batched=True
        )
        rows.append(torch.cat([product.flatten(1) for product in products], dim=1))
    hessian = torch.cat(rows) + (WEIGHT_DECAY + DAMPING) * unit  # [P, P]
    queries = example_gradients(query_inputs, query_labels).numpy()
    train = example_gradients(inputs, labels).numpy()
    return np.asarray(queries @ np.linalg.solve(hessian.numpy(), train.T))


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found.astype(np.float64) - expected) / np.linalg.norm(expected))


class TestAgainstAnIndependentComputation:
    """MLPs on digits, damping 1e-3: within 1e-6 in float64, within 1e-3 in float32."""

    def interpreter(self, count: int, module: nn.Module, **arguments: object) -> Exact:
        return Exact(
            module, digits(count)[0], weight_decay=WEIGHT_DECAY, damping=DAMPING, **arguments
        )

    def check(self, count: int, hidden: tuple[int, ...], epochs: int) -> None:
        module = trained(count, hidden, epochs)
        queries = digits(count)[1]
        expected = independent_scores(module, count)
        double = self.interpreter(count, module, dtype="float64").scores(queries)
        single = self.interpreter(count, module).scores(queries)
        model_only = self.interpreter(count, module, curvature_dtype="model").scores(queries)
        assert (double.dtype, single.dtype) == (np.float64, np.float32)
        errors = [relative_error(found, expected) for found in (double, single, model_only)]
        print(f"digits N={count}, hidden {hidden}: relative errors {errors}")
        assert errors[0] <= 1e-6
        assert errors[1] <= 1e-3
        assert errors[2] <= 1e-3

    def test_small(self) -> None:
        self.check(150, (8,), 20)

    @pytest.mark.slow
    def test_mlp_of_2778_parameters(self) -> None:
        self.check(400, (32, 16), 30)


class TestInversions:
    """On a network that was not trained, whose Hessian is indefinite."""

    @functools.cached_property
    def problem(self) -> Problem:
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
            weight_decay=2e-3,  # no eigenvalue is zero, whose sign would be that of rounding
            losses=problem.losses,
            output_hessians=problem.output_hessians,
        )

    @functools.cached_property
    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        return np.linalg.eigh(references.hessian(self.problem))

    def check(self, inverse: np.ndarray, inversion: object, damping: float) -> dict[str, object]:
        """Compare with an inverse that is given by its eigenvalues; return the diagnostics."""
        basis = self.spectrum[1]
        queries = references.gradients(self.problem, self.problem.queries)
        train = references.gradients(self.problem, self.problem.train)
        expected = (queries @ basis * inverse) @ (train @ basis).T
        interpreter = Exact(
            self.problem.module(),
            self.problem.train,
            weight_decay=self.problem.weight_decay,
            damping=damping,
            inversion=inversion,
        )
        found = interpreter.scores(self.problem.queries)
        assert relative_error(found, expected) < 1e-7
        return next(interpreter.interpret(self.problem.queries)).diagnostics

    def test_exact_counts_negative_eigenvalues(self, caplog: pytest.LogCaptureFixture) -> None:
        values = self.spectrum[0]
        damping = 1e-2
        negative = int((values + damping < 0).sum())
        assert 0 < negative < len(values)
        with caplog.at_level(logging.WARNING):
            diagnostics = self.check(1 / (values + damping), None, damping)
        assert diagnostics["negative_eigenvalues"] == negative
        assert diagnostics["damping"] == damping
        assert caplog.messages[0] == (
            f"the damped curvature is not positive definite: {negative} of {len(values)} "
            "eigenvalues are negative at damping 0.01, so the parameters are no minimum and scores "
            "may mean little; train longer, raise damping, or use a positive semidefinite curvature"
            " such as Gauss-Newton"
        )

    def test_enough_damping_makes_it_positive(self, caplog: pytest.LogCaptureFixture) -> None:
        values = self.spectrum[0]
        damping = float(-2 * values[0])
        assert self.check(1 / (values + damping), None, damping)["negative_eigenvalues"] == 0
        assert caplog.messages == []

    def test_pseudo(self) -> None:
        values = self.spectrum[0]
        damping, threshold = 1e-3, 0.05
        damped = values + damping
        kept = abs(damped) > threshold * abs(damped).max()
        assert 0 < kept.sum() < len(values)
        inverse = np.where(kept, 1 / np.where(kept, damped, 1), 0)
        config = {"type": "pseudo", "threshold": threshold}
        diagnostics = self.check(inverse, config, damping)
        assert diagnostics["rank"] == kept.sum()
        assert diagnostics["negative_eigenvalues"] == (damped[kept] < 0).sum()

    @pytest.mark.parametrize("negative", ["clamp", "flip", "keep"])
    @pytest.mark.parametrize("small", ["clamp", "drop"])
    @pytest.mark.parametrize("kind", ["absolute", "relative"])
    def test_eigen(self, negative: str, small: str, kind: str) -> None:
        values = self.spectrum[0]
        damping, threshold = 1e-2, 0.04
        mended = {"clamp": np.maximum(values, 0), "flip": abs(values), "keep": values}[negative]
        limit = threshold if kind == "absolute" else threshold * abs(mended).max()
        too_small = abs(mended) < limit
        assert 0 < too_small.sum() < len(values)
        raised = np.where(too_small, np.where(mended < 0, -limit, limit), mended)
        inverse = 1 / (raised + damping)
        if small == "drop":
            inverse = np.where(too_small, 0, 1 / (mended + damping))
        config = {
            "type": "eigen",
            "threshold": threshold,
            "kind": kind,
            "small": small,
            "negative": negative,
        }
        diagnostics = self.check(inverse, config, damping)
        assert diagnostics["negative_eigenvalues"] == (values < 0).sum()
        assert diagnostics["rank"] == (len(values) if small == "clamp" else (~too_small).sum())

    @pytest.mark.parametrize(
        "inversion",
        ["pseudo", {"type": "pseudo"}, {"type": "eigen", "threshold": 0.01}, EigenInversion()],
        ids=["name", "config", "arguments", "object"],
    )
    def test_saved_factors_are_found_again(self, inversion: object, tmp_path: Path) -> None:
        problem = logistic_regression()
        given: dict[str, Any] = {"inversion": inversion, "damping": {"relative": 0.1}}
        interpreter = Exact(problem.module(), problem.train, **given).fit()
        interpreter.save(tmp_path / "factors")
        loaded = Exact.load(tmp_path / "factors", problem.module(), problem.train)
        found, expected = (one.scores(problem.queries) for one in (loaded, interpreter))
        assert relative_error(found, expected) < 1e-12


class TestDamping:
    def test_relative_damping_is_a_share_of_the_mean_eigenvalue(self) -> None:
        problem = logistic_regression()
        interpreter = Exact(
            problem.module(),
            problem.train,
            weight_decay=problem.weight_decay,
            damping={"relative": 0.1},
        )
        found = interpreter.scores(problem.queries)
        curvature = references.hessian(problem)
        damping = 0.1 * float(np.trace(curvature)) / len(curvature)
        expected = references.damped_scores(problem, curvature, damping)
        assert relative_error(found, expected) < 1e-10
        diagnostics = next(interpreter.interpret(problem.queries)).diagnostics
        np.testing.assert_allclose(diagnostics["damping"], damping, rtol=1e-12)

    @pytest.mark.parametrize("damping", [-1e-3, True, "1e-3", {"relativ": 0.1}])
    def test_what_is_no_damping_is_refused(self, damping: object) -> None:
        problem = logistic_regression()
        message = f'damping must be a number >= 0 or {{"relative": share}}, found {damping!r}'
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            Exact(problem.module(), problem.train, damping=damping)

    def test_a_singular_hessian_without_damping_is_refused(self) -> None:
        inputs = torch.zeros(6, 2, dtype=torch.float64)
        inputs[:, 0] = torch.arange(6)
        targets = torch.arange(6, dtype=torch.float64)
        module = nn.Linear(2, 1, bias=False, dtype=torch.float64)
        interpreter = Exact(module, (inputs, targets), objective="mean-squared-error", damping=0.0)
        message = (
            "the damped curvature (2 × 2, damping 0) is singular to working precision (pivots from "
            '0 to 0); raise damping, or use the inversion "pseudo"'
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"):
            interpreter.fit()
        pseudo = Exact(
            module,
            (inputs, targets),
            objective="mean-squared-error",
            damping=0.0,
            inversion="pseudo",
        )
        diagnostics = next(pseudo.interpret((inputs, targets))).diagnostics
        assert diagnostics["rank"] == 1


def test_a_matrix_that_does_not_fit_is_refused() -> None:
    module = nn.Linear(1000, 100)
    inputs = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    interpreter = Exact(module, (inputs, torch.arange(4)), memory_limit=0.5)
    message = (
        "a dense matrix of 100,100 × 100,100 parameters needs 168.0 GiB to form and factorise, "
        "memory_limit is 0.5 GiB, which is enough for 5,461 parameters; freeze some with "
        'params_to_freeze, raise memory_limit, or use "simple-influence", which forms no matrix'
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"):
        interpreter.fit()


def test_at_a_minimum_nothing_is_negative() -> None:
    problem = logistic_regression()
    module = problem.module()
    minimize(module, problem.losses, problem.train, problem.weight_decay, steps=1)
    interpreter = Exact(module, problem.train, weight_decay=problem.weight_decay)
    result = next(interpreter.interpret(problem.queries))
    assert result.diagnostics["negative_eigenvalues"] == 0
