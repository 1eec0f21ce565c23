"""What all methods with dense matrices do beyond scores: another λ, less ridge, vectors, files."""

from __future__ import annotations

import functools
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.curvature import CurvatureError
from hessinf.gradients import Gradients
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.dense_blocks import DenseBlocks
from hessinf.testing import Problem, logistic_regression, multilayer_perceptron, references

CURVATURES: dict[str, tuple[str, dict[str, Any], str, str | None]] = {
    "exact": ("exact", {}, "hessian", None),
    "ggn, primal": ("ggn", {"form": "primal"}, "ggn", None),
    "ggn, dual": ("ggn", {"form": "dual"}, "ggn", None),
    "block-hessian": ("block-hessian", {}, "hessian", "layer"),
    "block-ggn": ("block-ggn", {}, "ggn", "layer"),
    "block-ggn by parameter": ("block-ggn", {"blocks": "parameter"}, "ggn", "parameter"),
}
INVERSIONS: list[Any] = ["exact", "pseudo", {"type": "eigen", "threshold": 0.005}]


def make(case: str, problem: Problem, **arguments: Any) -> DenseBlocks:
    name, given, _, _ = CURVATURES[case]
    made = InfluenceInterpreter.by_name(name)(
        problem.module(),
        problem.train,
        **{
            "objective": problem.objective,
            "weight_decay": problem.weight_decay,
            **given,
            **arguments,
        },
    )
    assert isinstance(made, DenseBlocks)
    return made


@functools.cache
def dense(case: str, problem: Problem) -> tuple[np.ndarray, list[np.ndarray]]:
    """The matrix before damping, without weight decay, and the places of each block."""
    _, _, curvature, by = CURVATURES[case]
    whole = {"hessian": references.hessian, "ggn": references.gauss_newton}[curvature](problem)
    size = len(whole)
    blocks = [np.arange(size)]
    if by is not None:
        blocks = list(references.parameter_blocks(problem, (), by).values())
    matrix = references.block_diagonal(whole, blocks)
    return matrix - problem.weight_decay * np.eye(size), blocks


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("case", CURVATURES)
class TestRelativeDamping:
    def test_is_a_share_of_each_blocks_mean_eigenvalue(self, case: str) -> None:
        problem = multilayer_perceptron()
        interpreter = make(case, problem, damping={"relative": 0.1})
        found = interpreter.scores(problem.queries)
        matrix, blocks = dense(case, problem)
        matrix = matrix + problem.weight_decay * np.eye(len(matrix))
        damping = np.zeros(len(matrix))
        for places in blocks:
            damping[places] = 0.1 * np.trace(matrix[np.ix_(places, places)]) / len(places)
        expected = references.damped_scores(problem, matrix + np.diag(damping), 0.0)
        assert relative_error(found, expected) < 1e-10
        recorded = interpreter.damping_
        if isinstance(recorded, dict):
            assert list(recorded) == list(interpreter.parameter_blocks)
            assert len(blocks) > 1
        used = list(recorded.values()) if isinstance(recorded, dict) else [recorded]
        np.testing.assert_allclose(used, [damping[places[0]] for places in blocks], rtol=1e-10)

    def test_an_absolute_one_is_one_number(self, case: str) -> None:
        problem = multilayer_perceptron()
        interpreter = make(case, problem, damping=0.25).fit()
        assert interpreter.damping_ == 0.25


@pytest.mark.parametrize("case", CURVATURES)
@pytest.mark.parametrize("inversion", INVERSIONS, ids=["exact", "pseudo", "eigen"])
class TestAnotherDamping:
    @pytest.mark.parametrize("damping", [1e-6, 0.3, {"relative": 0.2}])
    def test_without_the_data(
        self, case: str, inversion: Any, damping: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        problem = multilayer_perceptron()
        interpreter = make(case, problem, inversion=inversion, damping=1e-2).fit()
        expected = make(case, problem, inversion=inversion, damping=damping)
        scores = expected.scores(problem.queries)
        with monkeypatch.context() as patched:
            patched.setattr(interpreter, "train_data", None)
            interpreter.change_damping(damping)
        found = interpreter.scores(problem.queries)
        assert relative_error(found, scores) < 1e-10
        assert interpreter.damping_ == pytest.approx(expected.damping_, rel=1e-10)
        one, other = (
            next(each.interpret(problem.queries)).diagnostics for each in (interpreter, expected)
        )
        assert one == {**other, "damping": pytest.approx(other["damping"], rel=1e-10)}

    @pytest.mark.parametrize("share", [1.0, 0.9, 0.5])
    def test_less_ridge(self, case: str, inversion: Any, share: float) -> None:
        """``(C_data + share·(wd + λ)I)⁻¹``, for the refined loss change."""
        problem = multilayer_perceptron()
        damping = 1e-2
        interpreter = make(case, problem, inversion=inversion, damping=damping).fit()
        vectors = references.gradients(problem, problem.queries)
        found = interpreter.solve_with_ridge(torch.as_tensor(vectors), share).numpy()
        matrix, _ = dense(case, problem)
        ridge = share * (problem.weight_decay + damping)
        values, basis = np.linalg.eigh(matrix + problem.weight_decay * np.eye(len(matrix)))
        if isinstance(inversion, dict):
            assert (values > inversion["threshold"]).all(), "nothing is mended here"
        damped = values + ridge - problem.weight_decay
        expected = (vectors @ basis / damped) @ basis.T
        assert relative_error(found, expected) < 1e-9
        again = interpreter.solve_with_ridge(torch.as_tensor(vectors), share).numpy()
        assert again.tobytes() == found.tobytes()
        scores = interpreter.scores(problem.queries)
        fresh = make(case, problem, inversion=inversion, damping=damping).scores(problem.queries)
        assert scores.tobytes() == fresh.tobytes(), "the method's own inverse has changed"

    def test_less_ridge_follows_the_damping(self, case: str, inversion: Any) -> None:
        """What is kept for a share is not used at another λ, nor after another fit."""
        problem = multilayer_perceptron()
        interpreter = make(case, problem, inversion=inversion, damping=1e-2).fit()
        vectors = torch.as_tensor(references.gradients(problem, problem.queries))
        interpreter.solve_with_ridge(vectors, 0.9)
        interpreter.change_damping(0.3)
        found = interpreter.solve_with_ridge(vectors, 0.9).numpy()
        fresh = make(case, problem, inversion=inversion, damping=0.3).fit()
        expected = fresh.solve_with_ridge(vectors, 0.9).numpy()
        assert relative_error(found, expected) < 1e-10

    def test_vectors_whose_inner_products_are_scores(self, case: str, inversion: Any) -> None:
        problem = multilayer_perceptron()
        interpreter = make(case, problem, inversion=inversion, damping=1e-2)
        scores = interpreter.scores(problem.queries)
        queries, train = (
            interpreter.embedding(
                Gradients.from_flat(
                    torch.as_tensor(references.gradients(problem, data)), interpreter.model.layout
                )
            )
            for data in (problem.queries, problem.train)
        )
        assert relative_error((queries @ train.T).numpy(), scores) < 1e-9

    def test_files(self, case: str, inversion: Any, tmp_path: Path) -> None:
        """What was read from a file does all of that too, with other batches."""
        problem = multilayer_perceptron()
        interpreter = make(case, problem, inversion=inversion, damping={"relative": 0.1}).fit()
        interpreter.save(tmp_path / "factors")
        other = make(
            case, problem, inversion=inversion, damping={"relative": 0.1}, batch_size=5
        ).restore(tmp_path / "factors")
        assert isinstance(other, DenseBlocks)
        assert other.damping_ == interpreter.damping_
        vectors = torch.as_tensor(references.gradients(problem, problem.queries))
        for one in (interpreter, other):
            one.change_damping({"relative": 0.05})
        found, expected = (
            one.solve_with_ridge(vectors, 0.9).numpy() for one in (other, interpreter)
        )
        assert relative_error(found, expected) < 1e-10
        found, expected = (one.scores(problem.queries) for one in (other, interpreter))
        assert relative_error(found, expected) < 1e-10


class TestRefusals:
    def test_a_damping_that_cannot_be_leaves_everything_as_it_was(self) -> None:
        problem = logistic_regression()
        interpreter = make("exact", problem, weight_decay=0.0, damping=0.1).fit()
        scores = interpreter.scores(problem.queries)
        with pytest.raises(CurvatureError, match="is singular to working precision"):
            interpreter.change_damping(0.0)
        assert (
            interpreter.damping == interpreter.damping_ == interpreter.arguments["damping"] == 0.1
        )
        assert interpreter.scores(problem.queries).tobytes() == scores.tobytes()

    def test_an_indefinite_hessian_has_no_vectors(self, caplog: pytest.LogCaptureFixture) -> None:
        problem = multilayer_perceptron()
        module = problem.module()
        with torch.no_grad():
            for value in module.parameters():
                value.mul_(-3.0)
        interpreter = DenseBlocks.by_name("exact")(
            module, problem.train, weight_decay=0.0, damping=1e-4
        )
        with caplog.at_level(logging.ERROR):
            message = "the damped curvature has negative eigenvalues, so that scores are no inner"
            with pytest.raises(CurvatureError, match=f"^{message}"):
                interpreter.embed(problem.train)

    def test_half_precision_matrices(self) -> None:
        problem = logistic_regression()
        text = (
            'curvature_dtype "model" needs a model in float32 or float64, found bfloat16, in which '
            'a curvature matrix is lost among rounding errors; use "float64"'
        )
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            DenseBlocks.by_name("exact")(
                problem.module().to(torch.bfloat16), problem.train, curvature_dtype="model"
            )

    def test_unknown_precision(self) -> None:
        problem = logistic_regression()
        text = 'curvature_dtype must be "float64" or "model", found \'float32\''
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            DenseBlocks.by_name("ggn")(problem.module(), problem.train, curvature_dtype="float32")
