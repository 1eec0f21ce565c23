"""An analysis as a whole: curvatures, their parts, what is found when it goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.evaluation.analysis import CurvatureAnalysis, curvature_analysis
from hessinf.evaluation.analysis_config import AnalysisConfig
from hessinf.evaluation.analysis_store import AnalysisStore
from hessinf.evaluation.curvature_metrics import (
    inverse_space_residual,
    off_block_energy_share,
    relative_residual,
)
from hessinf.evaluation.curvature_spectrum import cut
from hessinf.evaluation.errors import EvaluationError
from hessinf.interpreters import InfluenceInterpreter
from hessinf.registry import Lazy
from hessinf.testing import kronecker_references, references
from hessinf.testing.problems import multilayer_perceptron

METHODS = ("ggn", "block-ggn", "ekfac", "kfac", "diagonal")


def lazily(name: str, **arguments: Any) -> Lazy[InfluenceInterpreter]:
    return Lazy(InfluenceInterpreter.by_name(name), **arguments)


def prepared(**given: Any) -> CurvatureAnalysis:
    given.setdefault("approximations", {name: lazily(name) for name in METHODS})
    given.setdefault("top_k", 3)
    settings = AnalysisConfig(**given)
    problem = multilayer_perceptron()

    def make(method: Lazy[InfluenceInterpreter]) -> InfluenceInterpreter:
        return method.construct(
            model=problem.module(),
            train_data=problem.train,
            objective=problem.objective,
            weight_decay=problem.weight_decay,
            params_to_freeze=settings.params_to_freeze,
        )

    return curvature_analysis(settings, make, seed=0)


def run(folder: Path, **given: Any) -> dict[str, Any]:
    return prepared(**given).run(AnalysisStore(folder))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("dense"), keep_matrices=True)


@pytest.fixture
def matrices() -> dict[str, np.ndarray]:
    problem = multilayer_perceptron()
    gauss_newton = references.gauss_newton(problem)
    return {
        "reference": references.hessian(problem),
        "ggn": gauss_newton,
        "ekfac": kronecker_references.ekfac(problem),
        "kfac": kronecker_references.kfac(problem),
        "diagonal": np.diag(np.diag(gauss_newton)),
    }


class TestDense:
    """Beside matrices that are written down without the code that is tested."""

    def test_whole(self, found, matrices):
        assert found["mode"] == "dense"
        target = matrices.pop("reference")
        for name, matrix in matrices.items():
            whole = found["approximations"][name]["against_reference"]["whole"]
            assert whole["relative_residual"] == pytest.approx(
                relative_residual(target, matrix), rel=1e-8
            )
            expected = [
                inverse_space_residual(target, matrix, damping) for damping in found["dampings"]
            ]
            assert whole["inverse_space_residual"] == pytest.approx(expected, rel=1e-6)
            assert whole["top_k"] == 3
            assert whole["eigenbasis_overlap_of_random_subspaces"] == 3 / len(target)
            assert whole["eigenbasis_overlap_is_trivial"] is False

    def test_blocks(self, found, matrices):
        target = torch.from_numpy(matrices["reference"])
        for block, size in found["blocks"].items():
            start = found["block_starts"][block]
            places = slice(start, start + size)
            for name in ("ggn", "kfac"):
                own = found["approximations"][name]
                expected = relative_residual(
                    cut(target, places), cut(torch.from_numpy(matrices[name]), places)
                )
                assert own["against_reference"]["blocks"][block][
                    "relative_residual"
                ] == pytest.approx(expected, rel=1e-8)
                assert own["blocks"][block]["parameters"] == size

    def test_of_one_curvature(self, found, matrices):
        eigenvalues = np.linalg.eigvalsh(matrices["reference"])
        whole = found["reference"]["whole"]
        assert whole["frobenius_norm"] == pytest.approx(np.linalg.norm(eigenvalues))
        assert whole["trace"] == pytest.approx(eigenvalues.sum())
        assert whole["stability"]["smallest"] == pytest.approx(eigenvalues[0], rel=1e-7)
        blocks = {
            name: slice(found["block_starts"][name], found["block_starts"][name] + size)
            for name, size in found["blocks"].items()
        }
        assert whole["off_block_energy_share"] == pytest.approx(
            off_block_energy_share(matrices["reference"], blocks)
        )
        for damping, condition, negative in zip(
            found["dampings"],
            whole["condition_at_damping"],
            whole["negative_at_damping"],
            strict=True,
        ):
            magnitudes = np.abs(eigenvalues + damping)
            assert condition == pytest.approx(magnitudes.max() / magnitudes.min(), rel=1e-6)
            assert negative == (eigenvalues + damping < 0).sum()

    def test_each_with_each(self, found, matrices):
        pairs = found["pairwise_relative_residuals"]
        for one in matrices:
            for other in matrices:
                expected = relative_residual(matrices[one], matrices[other])
                assert pairs[one][other] == pytest.approx(expected, rel=1e-8, abs=1e-14)
        assert pairs["block-ggn"]["ekfac"] <= pairs["block-ggn"]["kfac"] + 1e-12

    def test_blocks_by_parameter_and_by_expression(self, tmp_path):
        by_parameter = run(tmp_path / "a", blocks="parameter", approximations={"d": "hessian"})
        assert list(by_parameter["blocks"]) == [
            name
            for name, value in multilayer_perceptron().module().named_parameters()
            if value.requires_grad
        ]
        mixed = run(
            tmp_path / "b",
            blocks={"weights": ["weight$"], "biases": ["bias$"]},
            approximations={"d": "hessian"},
        )
        assert list(mixed["blocks"]) == ["weights", "biases"]
        assert mixed["block_starts"]["weights"] is None
        assert (
            mixed["approximations"]["d"]["against_reference"]["blocks"]["biases"][
                "relative_residual"
            ]
            == 0
        )

    def test_other_curvatures(self, tmp_path):
        problem = multilayer_perceptron()
        found = run(
            tmp_path,
            approximations={
                "fisher": "empirical-fisher",
                "estimated": "hutchinson-hessian",
                "estimated-ggn": "hutchinson-ggn",
                "sampled": lazily("kfac", fisher="monte-carlo", samples=3),
            },
            diagonal_probes=400,
        )
        matrices = {
            name: AnalysisStore(tmp_path).matrix(name)
            for name in ("fisher", "estimated", "estimated-ggn")
        }
        gradients = references.gradients(problem, problem.train)
        expected = gradients.T @ gradients / len(gradients)
        expected += problem.weight_decay * np.eye(len(expected))
        np.testing.assert_allclose(matrices["fisher"], expected, atol=1e-12)
        for name, exact in (
            ("estimated", references.hessian(problem)),
            ("estimated-ggn", references.gauss_newton(problem)),
        ):
            own = found["approximations"][name]
            assert own["diagonal_probes"] == 400
            off = np.abs(np.diag(matrices[name]) - np.diag(exact)).max()
            assert 0 < off < 5 * own["largest_standard_error"]
        assert found["approximations"]["sampled"]["fisher"] == "monte-carlo"
        assert found["approximations"]["sampled"]["fisher_samples"] == 3


@pytest.fixture(scope="module")
def estimated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("estimated")
    return run(folder, mode="matrix-free", probes=60, lanczos_steps=60)


class TestMatrixFree:
    def near(self, estimate: dict[str, float], exact: float) -> bool:
        allowed = 4 * estimate["standard_error"] + 1e-9 * abs(exact)
        return bool(abs(estimate["value"] - exact) <= allowed)

    def test_estimates_lie_within_their_errors(self, estimated, found):
        assert estimated["mode"] == "matrix-free"
        for name in METHODS:
            ours, exact = (one["approximations"][name] for one in (estimated, found))
            for key in ("frobenius_norm", "trace", "off_block_energy_share"):
                assert self.near(ours["whole"][key], exact["whole"][key])
            assert self.near(
                ours["against_reference"]["whole"]["relative_residual"],
                exact["against_reference"]["whole"]["relative_residual"],
            )

    def test_what_lanczos_finds_is_the_same(self, estimated, found):
        for name in METHODS:
            ours, exact = (
                one["approximations"][name]["against_reference"]["whole"]
                for one in (estimated, found)
            )
            for key in ("eigenbasis_overlap", "eigenvalue_overlap_top_k"):
                assert ours[key] == pytest.approx(exact[key], rel=1e-6, abs=1e-9)
        whole, exact = (one["reference"]["whole"] for one in (estimated, found))
        assert whole["largest_eigenvalue_at_least"] == pytest.approx(
            exact["stability"]["largest"], rel=1e-8
        )
        assert whole["smallest_eigenvalue_at_most"] == pytest.approx(
            exact["stability"]["smallest"], rel=1e-6
        )

    def test_log_determinants(self, estimated, matrices):
        eigenvalues = np.linalg.eigvalsh(matrices["ggn"])
        estimates = estimated["approximations"]["ggn"]["whole"]["log_determinant_at_damping"]
        for damping, estimate in zip(estimated["dampings"], estimates, strict=True):
            assert self.near(estimate, float(np.log(eigenvalues + damping).sum()))

    def test_what_is_missing_is_said(self, estimated, found):
        assert found["not_computed"] == {}
        missing = estimated["not_computed"]
        assert set(missing) == {
            "inverse_space_residual",
            "eigenvalue_overlap",
            "condition",
            "inversion_errors",
            "blocks",
            "pairwise_relative_residuals",
        }
        whole = estimated["approximations"]["ggn"]["against_reference"]["whole"]
        assert not missing.keys() & whole.keys()

    def test_is_chosen_where_matrices_do_not_fit(self):
        assert prepared().dense
        assert not prepared(memory_limit=5e-5).dense
        assert not prepared(mode="matrix-free").dense


def as_bytes(found: dict[str, Any]) -> str:
    return json.dumps(found)


@pytest.mark.parametrize("mode", ["dense", "matrix-free"])
def test_stopped_and_gone_on_gives_the_same_bytes(mode, tmp_path, monkeypatch):
    small = {"mode": mode, "probes": 3, "lanczos_steps": 5}
    whole = run(tmp_path / "whole", **small)
    assert as_bytes(run(tmp_path / "again", **small)) == as_bytes(whole)
    add = AnalysisStore.add
    calls: list[str] = []

    def stopping(self: AnalysisStore, name: str, *rest: Any) -> None:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(name)
        add(self, name, *rest)

    monkeypatch.setattr(AnalysisStore, "add", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", **small)
    assert calls == ["reference", "ggn", "block-ggn"]
    monkeypatch.setattr(AnalysisStore, "add", counting(add, calls := []))
    assert as_bytes(run(tmp_path / "stopped", **small)) == as_bytes(whole)
    assert calls == ["ekfac", "kfac", "diagonal"]


def counting(add: Callable[..., None], calls: list[str]) -> Callable[..., None]:
    def counted(self: AnalysisStore, name: str, *rest: Any) -> None:
        calls.append(name)
        add(self, name, *rest)

    return counted


class TestRefusals:
    """Before anything is computed."""

    def refused(self, message: str, **given: Any) -> None:
        with pytest.raises(EvaluationError, match=re.escape(message)):
            prepared(**given)

    def test_a_method_without_curvature(self):
        self.refused(
            '"lissa": the method "simple-influence" has no curvature of its own to look at; it '
            "uses none, or products with the Hessian or the Gauss-Newton matrix, which are "
            '"hessian" and "ggn" here',
            approximations={"lissa": lazily("simple-influence")},
        )

    def test_blocks_that_leave_parameters_out(self):
        self.refused(
            "analysis.blocks leave out 0.bias, 4.weight; every parameter belongs to one "
            "block: add them to one, or freeze them with params_to_freeze",
            blocks={"first": ["^0.weight$"]},
        )

    def test_matrices_that_do_not_fit(self):
        size = prepared().size
        self.refused(
            f"a dense analysis of {size:,} parameters needs {8 * size**2 * 8 / 2**30:.3g} GiB for "
            "matrices and their "
            "eigenvectors, analysis.memory_limit is 1e-09 GiB; raise it, freeze some parameters "
            'with analysis.params_to_freeze, or set analysis.mode to "matrix-free"',
            mode="dense",
            memory_limit=1e-9,
        )

    def test_vectors_that_do_not_fit_are_found_before_anything_is_computed(self):
        size = prepared().size
        self.refused(
            f"an analysis of {size:,} parameters without matrices needs "
            f"{2 * 20 * size * 8 / 2**30:.3g} GiB for 20 Lanczos vectors, analysis.memory_limit is "
            "1e-09 GiB; raise it, or take fewer analysis.lanczos_steps",
            mode="matrix-free",
            lanczos_steps=20,
            memory_limit=1e-9,
        )

    def test_parts_that_somebody_has_removed(self, tmp_path):
        run(tmp_path)
        (tmp_path / "ggn" / "matrix.npy").unlink()
        message = (
            f'{tmp_path}/ggn/matrix.npy is missing: the analysis of "ggn" was changed by hand; '
            f"remove {tmp_path}/ggn, and it will be made again"
        )
        with pytest.raises(EvaluationError, match=re.escape(message)):
            run(tmp_path)


def test_frozen_parameters_are_left_out_of_all(tmp_path):
    found = run(tmp_path, params_to_freeze=["bias"])
    sizes = {
        name.removesuffix(".weight"): value.numel()
        for name, value in multilayer_perceptron().module().named_parameters()
        if name.endswith("weight") and value.requires_grad
    }
    assert found["blocks"] == sizes
    assert found["approximations"]["kfac"]["whole"]["parameters"] == sum(sizes.values())
