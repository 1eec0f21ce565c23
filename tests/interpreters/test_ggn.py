"""The exact Gauss-Newton matrix: both forms, objectives with options, what does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.curvature import CurvatureError
from hessinf.interpreters import GaussNewton
from hessinf.models import CrossEntropy, MeanSquaredError, Objective
from hessinf.testing import (
    Problem,
    convolutional_network,
    language_model,
    multilayer_perceptron,
    references,
    regression_network,
    transformer,
)

PROBLEMS = [
    multilayer_perceptron,
    regression_network,
    convolutional_network,
    transformer,
    language_model,
]


def make(problem: Problem, **arguments: Any) -> GaussNewton:
    given = {"objective": problem.objective, "weight_decay": problem.weight_decay, **arguments}
    return GaussNewton(problem.module(), problem.train, **given)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


class TestForms:
    @pytest.mark.parametrize("maker", PROBLEMS)
    @pytest.mark.parametrize("damping", [1e-6, 1e-3, 1e-1])
    def test_dual_equals_primal(self, maker: Callable[[], Problem], damping: float) -> None:
        problem = maker()
        primal = make(problem, form="primal", damping=damping)
        dual = make(problem, form="dual", damping=damping)
        found, expected = dual.scores(problem.queries), primal.scores(problem.queries)
        assert (primal.form_, dual.form_) == ("primal", "dual")
        assert relative_error(found, expected) <= 1e-8
        own, others = dual.self_influence(), primal.self_influence()
        assert relative_error(own, others) <= 1e-8

    @pytest.mark.parametrize("maker", PROBLEMS)
    @pytest.mark.parametrize("inversion", ["exact", "pseudo", "eigen"])
    def test_dual_is_as_exact_as_primal_without_weight_decay(
        self, maker: Callable[[], Problem], inversion: str
    ) -> None:
        """Eigenvalues differ by up to 6·10⁷: the formula alone leaves errors of 1.5e-8."""
        problem = maker()
        matrix = references.gauss_newton(problem)
        matrix -= problem.weight_decay * np.eye(len(matrix))
        expected = references.damped_scores(problem, matrix, 1e-6)
        dual = make(problem, weight_decay=0.0, form="dual", damping=1e-6, inversion=inversion)
        assert relative_error(dual.scores(problem.queries), expected) <= 3e-9

    @pytest.mark.parametrize("inversion", ["pseudo", {"type": "eigen", "threshold": 1e-3}])
    @pytest.mark.parametrize("damping", [0.0, 1e-2])
    def test_without_weight_decay_most_directions_have_no_curvature(
        self, inversion: Any, damping: float
    ) -> None:
        """207 parameters and 46 rows: what the inversion does to zeros, both forms do."""
        problem = convolutional_network()
        given = {"weight_decay": 0.0, "damping": damping, "inversion": inversion}
        primal, dual = make(problem, form="primal", **given), make(problem, form="dual", **given)
        found, expected = dual.scores(problem.queries), primal.scores(problem.queries)
        assert relative_error(found, expected) <= 1e-7
        one, other = (next(x.interpret(problem.queries)).diagnostics for x in (dual, primal))
        assert one == other
        assert one["rank"] == (46 if inversion == "pseudo" and damping == 0 else 207)

    def test_the_smaller_form_is_chosen(self) -> None:
        """By rows, not by examples: 37 examples of 2 rows beside 40 parameters, 23 beside 207."""
        assert make(multilayer_perceptron()).fit().form_ == "primal"
        interpreter = make(convolutional_network()).fit()
        assert interpreter.form_ == "dual"
        assert interpreter.row_counts_.tolist() == [2] * 23

    def test_masked_positions_have_no_rows(self) -> None:
        problem = transformer()
        interpreter = make(problem).fit()
        assert interpreter.form_ == "dual"
        real = (problem.train[1] != -100).sum(dim=1)
        assert torch.equal(interpreter.row_counts_, real * 5)  # of 6 tokens

    def test_an_unknown_form(self) -> None:
        text = 'form must be "auto", "primal" or "dual", found \'Dual\''
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            make(multilayer_perceptron(), form="Dual")

    def test_a_float32_model(self) -> None:
        problem = convolutional_network()
        inputs, targets = problem.train
        queries = (problem.queries[0].float(), problem.queries[1])
        for form in ("primal", "dual"):
            for curvature_dtype in ("float64", "model"):
                interpreter = GaussNewton(
                    problem.module().float(),
                    (inputs.float(), targets),
                    form=form,
                    curvature_dtype=curvature_dtype,
                    weight_decay=problem.weight_decay,
                    damping=0.05,
                )
                found = interpreter.scores(queries)
                expected = make(problem, damping=0.05).scores(problem.queries)
                assert found.dtype == np.float32
                assert relative_error(found, expected) < 2e-5


class Positions(nn.Module):
    """Outputs at each of three positions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(torch.tanh(self.first(inputs)))
        return found


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
WEIGHT = [0.3, 2.0, 0.0, 1.1]


def weights() -> torch.Tensor:
    return torch.tensor(WEIGHT, dtype=torch.float64)


OBJECTIVES: dict[str, tuple[Objective, Loss, bool]] = {
    "class weights": (
        CrossEntropy(weight=WEIGHT),
        lambda f, y: functional.cross_entropy(f, y, weight=weights(), reduction="sum"),
        False,
    ),
    "label smoothing": (
        CrossEntropy(label_smoothing=0.3),
        lambda f, y: functional.cross_entropy(f, y, label_smoothing=0.3, reduction="sum"),
        False,
    ),
    "both, and masked positions": (
        CrossEntropy(label_smoothing=0.3, weight=WEIGHT),
        lambda f, y: functional.cross_entropy(
            f, y, label_smoothing=0.3, weight=weights(), reduction="sum"
        ),
        True,
    ),
    "mean over positions that count": (
        CrossEntropy(example_reduction="mean"),
        lambda f, y: functional.cross_entropy(f, y, reduction="mean"),
        True,
    ),
    "squares of four values": (MeanSquaredError(), functional.mse_loss, False),
    "the sum of four squares": (
        MeanSquaredError(example_reduction="sum"),
        lambda f, y: functional.mse_loss(f, y, reduction="sum"),
        False,
    ),
}


def reference(module: nn.Module, loss: Loss, train: Any, queries: Any, ridge: float) -> np.ndarray:
    """Scores from ``1/N Σ Jᵀ (∂²ℓ/∂f²) J``, example by example, by plain autograd."""
    parameters = list(module.parameters())

    def flat(tensors: Any) -> torch.Tensor:
        return torch.cat([tensor.flatten() for tensor in tensors])

    def gradients(data: Any) -> torch.Tensor:
        return torch.stack(
            [
                flat(torch.autograd.grad(loss(module(one[None])[0], target), parameters))
                for one, target in zip(*data, strict=True)
            ]
        )

    total = ridge * torch.eye(sum(value.numel() for value in parameters), dtype=torch.float64)
    for one, target in zip(*train, strict=True):
        outputs = module(one[None])[0]
        rows = [
            flat(torch.autograd.grad(y, parameters, retain_graph=True)) for y in outputs.flatten()
        ]
        curvature = torch.autograd.functional.hessian(
            lambda f, y=target: loss(f, y), outputs.detach()
        )
        jacobian = torch.stack(rows)  # [n, P]
        curvature = curvature.reshape(len(rows), len(rows))
        total += jacobian.T @ curvature @ jacobian / len(train[1])
    solved = torch.linalg.solve(total, gradients(train).T)
    return np.asarray((gradients(queries) @ solved).detach().numpy())


@pytest.mark.parametrize("form", ["primal", "dual"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_options_of_objectives_count(name: str, form: str) -> None:
    """None of them is ignored: each gives the scores of its own Gauss-Newton matrix."""
    objective, loss, positions = OBJECTIVES[name]
    torch.manual_seed(0)
    shape = (3,) if positions else ()
    module = (
        Positions() if positions else nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 4))
    )
    module = module.double()

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = torch.randn(count, *shape, 2).double()
        if isinstance(objective, MeanSquaredError):
            return inputs, torch.randn(count, 4).double()
        targets = torch.randint(4, (count, *shape))
        if positions:
            targets[1, 1:] = -100
            targets[2, 0] = -100
        return inputs, targets

    train, queries = draw(11), draw(4)
    interpreter = GaussNewton(
        module, train, objective=objective, form=form, damping=1e-4, weight_decay=1e-2, batch_size=4
    )
    expected = reference(module, loss, train, queries, 1e-2 + 1e-4)
    assert relative_error(interpreter.scores(queries), expected) <= 1e-8


class TestMemory:
    @staticmethod
    def wide(examples: int, **arguments: Any) -> GaussNewton:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(examples, 1000, generator=generator)
        targets = torch.arange(examples) % 100
        return GaussNewton(nn.Linear(1000, 100), (inputs, targets), **arguments)

    def test_the_dual_form_fits_where_the_primal_does_not(self) -> None:
        interpreter = self.wide(3, memory_limit=0.5, damping=0.1, objective=CrossEntropy())
        queries = (interpreter.train_data.columns.inputs, torch.tensor([1, 0, 2]))  # type: ignore[union-attr]
        scores = interpreter.scores(queries)
        assert interpreter.form_ == "dual"
        assert scores.shape == (3, 3)

    def test_the_other_form_is_suggested(self) -> None:
        text = (
            "the Gauss-Newton matrix of 100,100 parameters needs 168.0 GiB to form and factorise, "
            "its dual form of 300 rows 0.0 GiB; memory_limit is 0.5 GiB, which is enough for 5,461 "
            'parameters or rows; use form "dual"'
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
            self.wide(3, memory_limit=0.5, form="primal").fit()

    def test_neither_fits(self) -> None:
        text = (
            "the Gauss-Newton matrix of 100,100 parameters needs 168.0 GiB to form and factorise, "
            "its dual form of 900 rows 0.0 GiB; memory_limit is 0.01 GiB, which is enough for 772 "
            "parameters or rows; freeze some parameters with params_to_freeze, explain with fewer "
            'training examples, raise memory_limit, or use "block-ggn", whose blocks are smaller, '
            'or "simple-influence", which forms no matrix'
        )
        for form in ("auto", "primal", "dual"):
            with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
                self.wide(9, memory_limit=0.01, form=form).fit()


@pytest.mark.parametrize("form", ["auto", "primal", "dual"])
def test_a_loss_function_is_refused(form: str) -> None:
    def focal(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(outputs, targets, reduction="none") ** 2

    problem = multilayer_perceptron()
    text = (
        'the loss function "focal" has no square root of its output Hessian, which the '
        'Gauss-Newton matrix is made of; use "exact" or "block-hessian", which need derivatives of '
        "the loss only, or give the objective a method `hessian_square_root_blocks`"
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        make(problem, form=form, objective=focal).fit()


def test_a_matrix_of_zeros_is_refused() -> None:
    problem = multilayer_perceptron()
    text = (
        "the Gauss-Newton matrix is zero: no training example has a loss that changes with the "
        "outputs; are all targets ignored, or the weights of their classes zero?"
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        make(problem, objective=CrossEntropy(weight=[0.0, 0.0, 0.0])).fit()


def test_no_ridge_is_refused_by_the_dual_form() -> None:
    problem = convolutional_network()
    text = (
        "the Gauss-Newton matrix of 46 rows and 207 parameters is singular, and weight_decay + "
        'damping is 0; raise damping, or use the inversion "pseudo"'
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        make(problem, weight_decay=0.0, damping=0.0).fit()


def test_the_matrix_is_what_the_reference_says_far_from_a_minimum() -> None:
    """Where the Hessian has negative eigenvalues, the Gauss-Newton matrix has none."""
    problem = multilayer_perceptron()
    module = problem.module()
    with torch.no_grad():
        for value in module.parameters():
            value.mul_(-2.0)
    moved = Problem(**{**vars(problem), "trained": module, "name": "moved"})
    assert np.linalg.eigvalsh(references.hessian(moved)).min() < -1e-3
    interpreter = make(moved, damping=1e-3)
    found = interpreter.scores(problem.queries)
    expected = references.damped_scores(moved, references.gauss_newton(moved), 1e-3)
    assert relative_error(found, expected) <= 1e-8
    assert next(interpreter.interpret(problem.queries)).diagnostics["negative_eigenvalues"] == 0
