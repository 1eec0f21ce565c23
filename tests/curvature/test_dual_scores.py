"""Scores from the dual form itself, against those by influence factors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.curvature import (
    CurvatureError,
    EigenInversion,
    ExactInversion,
    Inversion,
    PseudoInversion,
    dual,
    dual_scores,
)
from hessinf.curvature.dual import DualInverse
from hessinf.curvature.dual_rows import DualRows
from hessinf.curvature.gauss_newton_rows import GaussNewtonRows
from hessinf.data import as_dataset
from hessinf.data.batching import Batch, batches
from hessinf.gradients import FactoredGradients, FunctionalModel, Gradients, PerExampleGradients
from hessinf.interpreters import GaussNewton
from hessinf.models import Objective
from hessinf.testing.problems import BY_NAME

INVERSIONS: dict[str, Inversion] = {
    "exact": ExactInversion(),
    "pseudo": PseudoInversion(threshold=1e-3),
    "eigen": EigenInversion(0.01),
}


class Prepared:
    """A problem's rows, and the gradients of its examples as factors."""

    def __init__(self, name: str) -> None:
        problem = BY_NAME[name]()
        objective: Objective = Objective.from_config(problem.objective)
        model = FunctionalModel(problem.module().eval())
        data: list[Batch] = list(batches(as_dataset(problem.train), 7, dtype=torch.float64))
        rows = GaussNewtonRows(model, objective)
        counts = torch.cat([rows.counts(batch) for batch in data])
        self.rows = DualRows(rows, data, counts, numbers_kept=10**9)
        queries = next(iter(batches(as_dataset(problem.queries), 100, dtype=torch.float64)))
        gradients = PerExampleGradients(model, objective.losses, "loss")
        self.train = [gradients(batch)[0] for batch in data]
        self.queries = gradients(queries)[0]


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("inversion", INVERSIONS)
@pytest.mark.parametrize("damping", [1e-1, 1e-4])
def test_equal_those_by_factors(name: str, inversion: str, damping: float) -> None:
    prepared = Prepared(name)
    rows, queries = prepared.rows, prepared.queries
    if not isinstance(queries, FactoredGradients):
        assert name == "unbatchable"  # computed one by one
        return
    inverse = DualInverse(
        INVERSIONS[inversion],
        weight_decay=0.01,
        size=rows.rows.model.layout.size,
        number=rows.number,
    )
    factors, _ = inverse.factorize(rows.gram("gram"), damping)
    pieces = rows.kept()
    assert pieces is not None
    assert dual_scores.holds(pieces[0].layout, queries)
    scores = dual_scores.DualScores(inverse, pieces, factors, queries)
    solved = inverse.solve(rows, factors, queries.flatten())
    for train in prepared.train:
        assert isinstance(train, FactoredGradients)
        expected = solved @ train.flatten().T
        found = scores(train)
        assert float((found - expected).norm()) <= 1e-9 * float(expected.norm())


def test_a_badly_conditioned_matrix_is_solved_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once is a coarse solution here: the second step finds what is missing."""
    prepared = Prepared("multilayer_perceptron")
    rows, queries = prepared.rows, prepared.queries
    size = rows.rows.model.layout.size
    inverse = DualInverse(Coarse(), weight_decay=0.0, size=size, number=rows.number)
    factors, _ = inverse.factorize(rows.gram("gram"), 1e-3)
    pieces = rows.kept()
    assert pieces is not None
    assert isinstance(queries, FactoredGradients)
    (train, *_) = prepared.train
    gram = rows.gram("gram")
    exact = DualInverse(ExactInversion(), weight_decay=0.0, size=size, number=rows.number)
    solved = exact.solve(rows, exact.factorize(gram, 1e-3)[0], queries.flatten())
    expected = solved @ train.flatten().T
    errors = []
    for limit in (0.0, 1e300):
        monkeypatch.setattr(dual, "WELL_CONDITIONED", limit)
        found = dual_scores.DualScores(inverse, pieces, factors, queries)(train)
        errors.append(float((found - expected).norm() / expected.norm()))
    assert errors[0] < 1e-5 * errors[1] < 1e-7


class Coarse(ExactInversion):
    def solve(self, factors: Any, vectors: torch.Tensor) -> torch.Tensor:
        return super().solve(factors, vectors) * (1 + 1e-7)


def test_factors_that_are_not_finite_are_refused() -> None:
    class Broken(ExactInversion):
        def solve(self, factors: Any, vectors: torch.Tensor) -> torch.Tensor:
            solved = super().solve(factors, vectors)
            solved[1] = torch.nan
            return solved

    prepared = Prepared("multilayer_perceptron")
    rows, queries = prepared.rows, prepared.queries
    inverse = DualInverse(Broken(), weight_decay=0.0, size=9, number=rows.number)
    factors, _ = inverse.factorize(rows.gram("gram"), 0.1)
    assert isinstance(queries, FactoredGradients)
    with pytest.raises(
        CurvatureError,
        match=r"^the influence factors of query 1 among \d+ are not finite; is damping too small, "
        r"or the curvature singular\?$",
    ):
        dual_scores.DualScores(inverse, rows.kept() or [], factors, queries)


class TestInterpreter:
    @pytest.fixture
    def used(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Collect for how many queries scores were taken from the dual form."""
        found: list[int] = []
        original = dual_scores.DualScores.__init__

        def spy(self: Any, inverse: Any, pieces: Any, factors: Any, queries: Gradients) -> None:
            found.append(queries.count)
            original(self, inverse, pieces, factors, queries)

        monkeypatch.setattr(dual_scores.DualScores, "__init__", spy)
        return found

    @staticmethod
    def wide() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
        generator = torch.Generator().manual_seed(0)
        module = nn.Sequential(nn.Linear(30, 40), nn.Tanh(), nn.Linear(40, 3)).double()
        with torch.no_grad():
            for value in module.parameters():
                value.copy_(torch.randn(value.shape, generator=generator).double() / 5)
        inputs = torch.randn(60, 30, generator=generator, dtype=torch.float64)
        return module, (inputs, torch.arange(60) % 3)

    def test_many_queries(self, used: list[int]) -> None:
        module, data = self.wide()
        interpreter = GaussNewton(module, data, damping=1e-3, query_batch_size=60)
        found = interpreter.scores(data)
        assert interpreter.form_ == "dual"
        assert used == [60]
        expected = GaussNewton(module, data, damping=1e-3, form="primal").scores(data)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
        results = list(interpreter.interpret(data))
        assert results[0].diagnostics["negative_eigenvalues"] == 0
        assert results[3].helpful[0].score == pytest.approx(float(expected[3].max()))

    def test_a_few_queries_go_by_factors(self, used: list[int]) -> None:
        module, (inputs, targets) = self.wide()
        interpreter = GaussNewton(module, (inputs, targets), damping=1e-3)
        found = interpreter.scores((inputs[:1], targets[:1]))
        assert used == []
        expected = GaussNewton(module, (inputs, targets), damping=1e-3, form="primal")
        np.testing.assert_allclose(found, expected.scores((inputs[:1], targets[:1])), rtol=1e-8)

    def test_another_damping(self, used: list[int]) -> None:
        module, data = self.wide()
        interpreter = GaussNewton(module, data, damping=1e-3, query_batch_size=60)
        interpreter.scores(data)
        interpreter.change_damping(0.3)
        found = interpreter.scores(data)
        assert used == [60, 60]
        expected = GaussNewton(module, data, damping=0.3, form="primal").scores(data)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())

    def test_rows_that_do_not_fit(self, used: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        """Computed anew for every batch of examples they would cost more than they save."""
        monkeypatch.setattr(DualRows, "kept", lambda self: None)
        module, data = self.wide()
        interpreter = GaussNewton(module, data, damping=1e-3, query_batch_size=60)
        found = interpreter.scores(data)
        assert used == []
        expected = GaussNewton(module, data, damping=1e-3, form="primal").scores(data)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())

    def test_training_gradients_that_come_as_tensors(
        self, used: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module, data = self.wide()
        interpreter = GaussNewton(module, data, damping=1e-3, query_batch_size=60)
        interpreter.fit()
        original = interpreter.train_pass

        def formed(stage: str, **how: Any) -> Any:
            for gradients, losses in original(stage, **how):
                yield Gradients(dict(gradients.items())), losses

        monkeypatch.setattr(interpreter, "train_pass", formed)
        found = interpreter.scores(data)
        assert used == [60]
        expected = GaussNewton(module, data, damping=1e-3, form="primal").scores(data)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())


def test_work_is_compared() -> None:
    prepared = Prepared("multilayer_perceptron")
    pieces = prepared.rows.kept()
    assert pieces is not None
    count = len(prepared.rows.row_counts)
    less = [dual_scores.is_less_work(prepared.rows.number, pieces, count, q) for q in (1, 100_000)]
    assert less == [False, prepared.rows.number < 3 * prepared.rows.rows.model.layout.size]
