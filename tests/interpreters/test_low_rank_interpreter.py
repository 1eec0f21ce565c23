"""What ``arnoldi`` and ``nystroem`` share, against dense float64 references."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.interpreters.low_rank_interpreter import require_memory
from hessinf.solvers import SolverError
from hessinf.testing import (
    Problem,
    logistic_regression,
    multilayer_perceptron,
    references,
    ridge_regression,
)
from hessinf.testing.tolerance import mean_spearman

NAMES = ["arnoldi", "nystroem"]
COMPLEMENTS = ["mean-curvature", "damping", "drop"]
DENSE: dict[str, Any] = {"ggn": references.gauss_newton, "hessian": references.hessian}


def make(name: str, problem: Problem, **given: Any) -> Any:
    given = {"weight_decay": problem.weight_decay, "objective": problem.objective, **given}
    return InfluenceInterpreter.by_name(name)(problem.module(), problem.train, **given)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@functools.cache
def wide() -> Problem:
    """More parameters than the training data can curve: P = 171, 2·37 directions with curvature."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        module = nn.Sequential(nn.Linear(4, 21), nn.Tanh(), nn.Linear(21, 3)).double()
    made = replace(multilayer_perceptron(), name="wide", trained=module, weight_decay=1e-3)
    assert sum(value.numel() for value in module.parameters()) == 171
    return made


class TestFullRank:
    @pytest.mark.parametrize("damping", [1e-6, 1e-3, 1e-1])
    @pytest.mark.parametrize("complement", COMPLEMENTS)
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize(
        "problem", [logistic_regression, ridge_regression, multilayer_perceptron, wide]
    )
    def test_it_is_the_dense_gauss_newton_matrix(
        self, problem: Any, name: str, complement: str, damping: float
    ) -> None:
        made = problem()
        expected = references.damped_scores(made, references.gauss_newton(made), damping)
        interpreter = make(name, made, rank=1000, complement=complement, damping=damping)
        assert relative_error(interpreter.scores(made.queries), expected) <= 1e-9
        size = interpreter.model.layout.size
        assert interpreter.reports["rank"] == size
        assert interpreter.reports["largest_eigenvalue_left_out"] == 0.0

    @pytest.mark.parametrize("damping", [1e-6, 1e-3, 1e-1])
    @pytest.mark.parametrize("name", NAMES)
    def test_without_weight_decay(self, name: str, damping: float) -> None:
        """Directions without curvature count with λ alone; there are four of them here."""
        problem = logistic_regression()
        curvature = references.gauss_newton(problem) - problem.weight_decay * np.eye(12)
        expected = references.damped_scores(problem, curvature, damping)
        for complement in COMPLEMENTS:
            found = make(
                name,
                problem,
                weight_decay=0.0,
                rank=12,
                damping=damping,
                complement=complement,
            ).scores(problem.queries)
            assert relative_error(found, expected) <= 1e-6

    @pytest.mark.parametrize("block_size", [1, 3, 8])
    def test_blocks_of_vectors(self, block_size: int) -> None:
        problem = wide()
        expected = references.damped_scores(problem, references.hessian(problem), 0.5)
        found = make(
            "arnoldi",
            problem,
            rank=1000,
            damping=0.5,
            curvature="hessian",
            block_size=block_size,
        ).scores(problem.queries)
        assert relative_error(found, expected) <= 1e-9


@pytest.mark.parametrize("name", NAMES)
class TestRank:
    """The error decreases with rank; one number for the rest does better than λ, and than none."""

    RANKS = (5, 10, 20, 40, 74)

    @functools.cached_property
    def expected(self) -> np.ndarray:
        problem = wide()
        return references.damped_scores(problem, references.gauss_newton(problem), 1e-3)

    def errors(self, name: str, complement: str) -> list[float]:
        problem = wide()
        return [
            relative_error(
                make(
                    name,
                    problem,
                    rank=rank,
                    complement=complement,
                    damping=1e-3,
                    **({"krylov_dimension": 100} if name == "arnoldi" else {"oversampling": 20}),
                ).scores(problem.queries),
                self.expected,
            )
            for rank in self.RANKS
        ]

    def test_the_error_decreases(self, name: str) -> None:
        errors = {complement: self.errors(name, complement) for complement in COMPLEMENTS}
        print(f"{name}, ranks {self.RANKS}: {errors}")
        for complement, found in errors.items():
            assert found == sorted(found, reverse=True), complement
            assert found[-1] < 1e-2, complement
        for one, damping in zip(errors["mean-curvature"], errors["damping"], strict=True):
            assert one <= damping + 1e-9

    def test_all_of_the_curvature_is_all_of_the_scores(self, name: str) -> None:
        """Rank 74 of 171: nothing is left beside it."""
        problem = wide()
        found = make(name, problem, rank=80, complement="damping", damping=1e-3)
        assert relative_error(found.scores(problem.queries), self.expected) <= 1e-8
        assert found.reports["trace_captured"] == pytest.approx(1, abs=1e-8)

    def test_diagnostics_say_what_is_left_out(self, name: str) -> None:
        problem = wide()
        interpreter = make(name, problem, rank=20, damping=1e-3)
        result = next(interpreter.interpret(problem.queries))
        curvature = references.gauss_newton(problem) - 1e-3 * np.eye(171)
        values = np.linalg.eigvalsh(curvature)[::-1]
        said = result.diagnostics
        assert said["rank"] == 20
        vectors = interpreter.eigenvectors_.numpy()
        rest = curvature - vectors.T * interpreter.eigenvalues_.numpy() @ vectors
        largest = np.linalg.eigvalsh(rest)[-1]
        assert said["largest_eigenvalue_left_out"] == pytest.approx(largest, rel=0.02)
        captured = interpreter.eigenvalues_.sum() / values.sum()
        assert said["trace_captured"] == pytest.approx(float(captured), abs=0.01)
        weighted = np.square(rest).sum() / np.trace(rest)
        assert said["complement_curvature"] == pytest.approx(weighted, rel=0.35)
        assert said["complement_curvature"] <= said["largest_eigenvalue_left_out"]
        assert said["negative_eigenvalues"] == 0
        assert said["damping"] == 1e-3
        if name == "arnoldi":
            np.testing.assert_allclose(interpreter.eigenvalues_, values[:20], rtol=1e-6)
            assert said["largest_ritz_residual"] < 1e-4

    @pytest.mark.parametrize("complement", COMPLEMENTS)
    def test_scores_are_those_of_the_low_rank(self, name: str, complement: str) -> None:
        """In full, restated with the eigenpairs that were found."""
        problem = wide()
        interpreter = make(name, problem, rank=15, complement=complement, damping=0.01)
        found = interpreter.scores(problem.queries)
        vectors, values = interpreter.eigenvectors_.numpy(), interpreter.eigenvalues_.numpy()
        np.testing.assert_allclose(vectors @ vectors.T, np.eye(15), atol=1e-10)
        inverse = vectors.T / (values + 0.01 + 1e-3) @ vectors
        beside = {"mean-curvature": interpreter.beside_, "damping": 0.0, "drop": np.inf}
        inverse += (np.eye(171) - vectors.T @ vectors) / (0.01 + 1e-3 + beside[complement])
        queries = references.gradients(problem, problem.queries)
        train = references.gradients(problem, problem.train)
        assert relative_error(found, queries @ inverse @ train.T) <= 1e-9


@pytest.mark.parametrize("name", NAMES)
class TestDamping:
    @pytest.mark.parametrize("complement", COMPLEMENTS)
    def test_it_can_be_changed_without_a_pass(
        self, name: str, complement: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        problem = wide()
        dampings: list[Any] = [1e-2, {"relative": 0.2}, 1.0]
        anew = [
            make(name, problem, rank=15, complement=complement, damping=damping).scores(
                problem.queries
            )
            for damping in dampings
        ]
        interpreter = make(name, problem, rank=15, complement=complement, damping=1e-3).fit()
        monkeypatch.setattr(interpreter, "curvature_products", None)
        for damping, expected in zip(dampings, anew, strict=True):
            interpreter.change_damping(damping)
            found = interpreter.scores(problem.queries)
            assert relative_error(found, expected) <= 1e-12
        together = interpreter.scores_by_damping(problem.queries, dampings)
        assert relative_error(together, np.stack(anew)) <= 1e-10

    @pytest.mark.parametrize("rank", [10, 40, 1000])
    def test_relative_damping_is_a_share_of_the_mean_eigenvalue(self, name: str, rank: int) -> None:
        problem = wide()
        interpreter = make(name, problem, rank=rank, damping={"relative": 0.1}).fit()
        mean = float(np.trace(references.gauss_newton(problem))) / 171
        precision = 1e-9 if rank == 1000 else 0.02
        assert interpreter.damping_ == pytest.approx(0.1 * mean, rel=precision)

    def test_nothing_to_invert_with(self, name: str) -> None:
        problem = wide()
        message = (
            "a low rank of 10 for 171 parameters can only be inverted with damping or weight decay "
            "above 0: beside the low rank there is nothing else; raise damping"
        )
        with pytest.raises(SolverError, match=f"^{re.escape(message)}$"):
            make(name, problem, rank=10, damping=0.0, weight_decay=0.0, complement="damping").fit()
        dropped = make(
            name, problem, rank=10, damping=0.0, weight_decay=0.0, complement="drop"
        ).fit()
        assert np.isfinite(dropped.scores(problem.queries)).all()


@pytest.mark.parametrize("name", NAMES)
class TestEmbedding:
    @pytest.mark.parametrize("rank", [12, 1000])
    @pytest.mark.parametrize("complement", COMPLEMENTS)
    def test_inner_products_are_the_scores(self, name: str, complement: str, rank: int) -> None:
        problem = wide()
        interpreter = make(name, problem, rank=rank, complement=complement, damping=0.01)
        scores = interpreter.scores(problem.queries)
        queries = interpreter.embed(problem.queries)
        train = interpreter.embed(problem.train, as_queries=False)
        assert relative_error(queries @ train.T, scores) <= 1e-9
        short = complement == "drop" and rank == 12
        assert queries.shape[1] == (12 if short else 171)


@pytest.mark.parametrize("name", NAMES)
class TestPrecision:
    @pytest.mark.parametrize("curvature_dtype", ["float64", "model"])
    def test_float32_models(self, name: str, curvature_dtype: str) -> None:
        problem = wide()
        inputs, targets = problem.train
        interpreter = InfluenceInterpreter.by_name(name)(
            problem.module().float(),
            (inputs.float(), targets),
            weight_decay=problem.weight_decay,
            damping=0.01,
            rank=1000,
            curvature_dtype=curvature_dtype,
        )
        found = interpreter.scores((problem.queries[0].float(), problem.queries[1]))
        assert str(found.dtype) == "float32"
        wanted = torch.float64 if curvature_dtype == "float64" else torch.float32
        assert interpreter.eigenvectors_.dtype == wanted
        expected = references.damped_scores(problem, references.gauss_newton(problem), 0.01)
        assert relative_error(found, expected) <= (1e-5 if wanted == torch.float64 else 1e-3)

    def test_half_precision_products_are_refused(self, name: str) -> None:
        problem = logistic_regression()
        inputs, targets = problem.train
        method = InfluenceInterpreter.by_name(name)
        data = (inputs.bfloat16(), targets)
        message = (
            f"{name} needs products in float32 at least, the model is bfloat16; use "
            'curvature_dtype "float64"'
        )
        with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
            method(problem.module().bfloat16(), data, curvature_dtype="model").fit()
        method(problem.module().bfloat16(), data).fit()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_better_than_no_curvature(name: str) -> None:
    problem = wide()
    expected = references.damped_scores(problem, references.gauss_newton(problem), 1e-3)
    low = make(name, problem, rank=20, damping=1e-3).scores(problem.queries)
    none = make("gradient-dot", problem).scores(problem.queries)
    ranks = {"low rank": mean_spearman(low, expected), "dot": mean_spearman(none, expected)}
    print(f"{name}, rank 20 of 171: Spearman {ranks}")
    assert ranks["low rank"] > 0.9 > ranks["dot"]


class TestMemory:
    def test_what_does_not_fit_is_refused(self) -> None:
        message = (
            "a low rank of 100 for 10,000,000 parameters needs 29.8 GiB for 400 vectors, "
            "memory_limit is 4 GiB, which is enough for a rank of about 13; lower rank, freeze "
            'parameters with params_to_freeze, or raise memory_limit; "conjugate-gradient" keeps '
            "no such vectors"
        )
        with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
            require_memory(400, 100, 10_000_000, 8, 4.0)

    @pytest.mark.parametrize("name", NAMES)
    def test_before_the_first_product(self, name: str) -> None:
        interpreter = make(name, wide(), memory_limit=1e-5, batch_size=1)
        with pytest.raises(InterpreterError, match=r"^a low rank of 100 for 171 parameters needs "):
            interpreter.fit()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "arnoldi",
            {"complement": "woodbury"},
            "complement must be one of ('mean-curvature', 'damping', 'drop'), found 'woodbury'",
        ),
        (
            "nystroem",
            {"curvature": "fisher"},
            "curvature must be one of ('ggn', 'hessian'), found 'fisher'",
        ),
        (
            "nystroem",
            {"curvature_dtype": "float32"},
            "curvature_dtype must be one of ('float64', 'model'), found 'float32'",
        ),
        (
            "arnoldi",
            {"negative": "clamp"},
            "negative must be one of ('keep', 'drop', 'flip'), found 'clamp'",
        ),
        (
            "arnoldi",
            {"rank": 0},
            "rank and block_size must be at least 1, found 0 and 1",
        ),
        (
            "arnoldi",
            {"rank": 9, "krylov_dimension": 8},
            "krylov_dimension must be at least rank, found 8 for a rank of 9",
        ),
        (
            "nystroem",
            {"rank": 0},
            "rank must be at least 1 and oversampling at least 0, found 0 and 10",
        ),
    ],
)
def test_arguments_from_python_are_checked_too(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make(name, logistic_regression(), **arguments)


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_draws_other_vectors(name: str) -> None:
    problem = wide()
    options = {"rank": 5, **({"krylov_dimension": 6} if name == "arnoldi" else {})}
    one, same, other = (
        make(name, problem, seed=seed, **options).scores(problem.queries) for seed in (0, 0, 1)
    )
    assert one.tobytes() == same.tobytes()
    assert relative_error(other, one) > 1e-6
