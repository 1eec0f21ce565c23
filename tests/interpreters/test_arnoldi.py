"""``arnoldi`` and ``nystroem``: indefinite curvature, and training gradients as coordinates."""

from __future__ import annotations

import functools
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.solvers import NegativeCurvatureError, SolverError
from hessinf.testing import Problem, logistic_regression, multilayer_perceptron, references


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


class TestDropped:
    """Training gradients are kept as coordinates, and computed once."""

    def interpreter(self, **given: Any) -> Any:
        return make(
            "arnoldi", wide(), rank=12, complement="drop", damping=0.01, batch_size=10, **given
        )

    def test_gradients_are_computed_once_and_never_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        problem = wide()
        interpreter = self.interpreter(query_batch_size=2).fit()
        counts: list[int] = []
        per_example = interpreter._per_example

        def counting(batch: Any) -> Any:
            counts.append(batch.size)
            return per_example(batch)

        monkeypatch.setattr(interpreter, "_per_example", counting)
        first = interpreter.scores(problem.queries)  # three blocks of queries
        assert counts == [10, 10, 10, 7]
        assert not interpreter.kept_pass.parts
        assert interpreter._coordinates[1].shape == (37, 12)
        assert interpreter.scores(problem.queries).tobytes() == first.tobytes()
        own = interpreter.self_influence()
        assert counts == [10, 10, 10, 7]
        among_all = interpreter.scores(problem.train)
        assert relative_error(own, among_all.diagonal()) <= 1e-10

    def test_whoever_asks_gets_the_gradients(self) -> None:
        problem = wide()
        interpreter = self.interpreter().fit()
        expected = references.gradients(problem, problem.train)
        for _ in range(2):  # as they come, and computed anew
            with interpreter.model.evaluating():
                found = [gradients for gradients, _ in interpreter.train_pass("test")]
                flat = torch.cat([one.flatten() for one in found])
                some = found[1].select(slice(2, 5))
                assert relative_error(some.flatten().numpy(), expected[12:15]) <= 1e-12
                assert relative_error(found[0]["2.bias"].numpy(), expected[:10, -3:]) <= 1e-12
                assert list(found[0]) == ["0.weight", "0.bias", "2.weight", "2.bias"]
                assert [one.count for one in found] == [10, 10, 10, 7]
                assert len(found[0]) == 4
            assert relative_error(flat.numpy(), expected) <= 1e-12

    def test_another_fit_forgets_the_coordinates(self, tmp_path: Path) -> None:
        problem = wide()
        interpreter = self.interpreter().fit()
        expected = interpreter.scores(problem.queries)
        interpreter.save(tmp_path / "factors")
        other = self.interpreter().fit()
        other.eigenvectors_ = other.eigenvectors_.flip(0)
        assert relative_error(other.scores(problem.queries), expected) > 0.1
        other.restore(tmp_path / "factors")
        assert relative_error(other.scores(problem.queries), expected) <= 1e-12

    def test_directions_without_curvature_are_dropped_too(self) -> None:
        """Which of them Lanczos meets is chance: with λ alone, they would outweigh all others."""
        problem = wide()
        interpreter = make("arnoldi", problem, rank=120, complement="drop", damping=1e-6)
        found = interpreter.scores(problem.queries)
        values, basis = np.linalg.eigh(references.gauss_newton(problem) - 1e-3 * np.eye(171))
        curved = values > 1e-12
        assert interpreter.reports["rank"] == curved.sum()
        inverse = basis[:, curved] / (values[curved] + 1e-3 + 1e-6) @ basis[:, curved].T
        queries = references.gradients(problem, problem.queries)
        train = references.gradients(problem, problem.train)
        assert relative_error(found, queries @ inverse @ train.T) <= 1e-9

    def test_scores_by_block_add_up(self) -> None:
        problem = wide()
        interpreter = self.interpreter()
        blocks = interpreter.scores_by_block(problem.queries)
        total = np.sum(list(blocks.values()), axis=0)
        assert relative_error(total, interpreter.scores(problem.queries)) <= 1e-10


@functools.cache
def untrained() -> Problem:
    """A network at no minimum: its Hessian is indefinite."""
    module = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return replace(logistic_regression(), name="untrained", trained=module, weight_decay=2e-3)


class TestIndefinite:
    DAMPING = 1e-2

    @functools.cached_property
    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        curvature = references.hessian(untrained())
        return np.linalg.eigh(curvature - 2e-3 * np.eye(len(curvature)))

    @pytest.mark.parametrize("negative", ["keep", "flip", "drop"])
    def test_arnoldi_does_with_negative_eigenvalues_what_is_asked(
        self, negative: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        problem = untrained()
        values, basis = self.spectrum
        ridge = self.DAMPING + 2e-3
        inverse = {
            "keep": 1 / (values + ridge),
            "flip": 1 / (abs(values) + ridge),
            "drop": np.where(values < 0, 0, 1 / (values + ridge)),
        }[negative]
        queries = references.gradients(problem, problem.queries)
        train = references.gradients(problem, problem.train)
        expected = (queries @ basis * inverse) @ (train @ basis).T
        interpreter = make(
            "arnoldi",
            problem,
            curvature="hessian",
            rank=1000,
            negative=negative,
            complement="drop",
            damping=self.DAMPING,
        )
        with caplog.at_level(logging.WARNING):
            found = interpreter.scores(problem.queries)
        assert relative_error(found, expected) <= 1e-8
        count = int((values + ridge < 0).sum())
        assert count > 0
        assert interpreter.reports["negative_eigenvalues"] == (count if negative == "keep" else 0)
        warning = (
            f"the damped curvature is not positive: {count} of {len(values)} eigenvalues found are "
            "negative at damping 0.01, so the parameters are no minimum and scores may mean "
            'little; train longer, raise damping, or use curvature "ggn"'
        )
        assert caplog.messages == ([warning] if negative == "keep" else [])

    def test_without_real_vectors_there_is_no_embedding(self) -> None:
        problem = untrained()
        interpreter = make("arnoldi", problem, curvature="hessian", rank=1000, damping=0.01)
        count = int((self.spectrum[0] + 0.012 < 0).sum())
        message = (
            f"{count} damped eigenvalues are negative, so scores are no inner products of real "
            'vectors; use curvature "ggn", or raise damping'
        )
        with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
            interpreter.embed(problem.queries)

    def test_an_eigenvalue_that_damping_cancels_is_named(self) -> None:
        smallest = float(self.spectrum[0][0])
        interpreter = make(
            "arnoldi", untrained(), curvature="hessian", rank=1000, damping=-smallest - 2e-3
        )
        with pytest.raises(SolverError, match=r"^1 of 45 eigenvalues are zero to working precisio"):
            interpreter.fit()

    @pytest.mark.parametrize("rank", [1, 3, 8, 1000])
    def test_nystroem_refuses(self, rank: int) -> None:
        """Also where none of its random vectors has shown it."""
        message = (
            r"^the curvature is not positive semidefinite: (on the random vectors of the Nyström "
            r"approximation|less its low rank, which never exceeds a curvature that is,) it has "
            r"eigenvalues down to -[0-9.e-]+; use curvature \"ggn\", or \"arnoldi\", which takes "
            r"negative eigenvalues too$"
        )
        with pytest.raises(NegativeCurvatureError, match=message):
            make("nystroem", untrained(), curvature="hessian", rank=rank, oversampling=0).fit()

    def test_nystroem_finds_what_its_random_vectors_miss(self) -> None:
        """Two vectors show only positive curvature; the low rank then exceeds it somewhere."""
        message = (
            "^the curvature is not positive semidefinite: less its low rank, which never exceeds a "
            r"curvature that is, it has eigenvalues down to -[0-9.e-]+; use curvature"
        )
        problem = multilayer_perceptron()
        with pytest.raises(NegativeCurvatureError, match=message):
            make("nystroem", problem, curvature="hessian", rank=2, oversampling=0).fit()

    @pytest.mark.parametrize("rank", [10, 1000])
    def test_nystroem_takes_the_hessian_of_a_convex_loss(self, rank: int) -> None:
        problem = logistic_regression()
        expected = references.damped_scores(problem, references.hessian(problem), 1e-3)
        found = make("nystroem", problem, curvature="hessian", rank=rank).scores(problem.queries)
        assert relative_error(found, expected) <= 1e-8
