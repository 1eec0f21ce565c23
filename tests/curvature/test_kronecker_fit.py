from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.curvature.kronecker import KroneckerCurvature
from hessinf.curvature.kronecker_blocks import KroneckerBlock
from hessinf.curvature.kronecker_fit import fit_kronecker
from hessinf.data import as_dataset
from hessinf.data.batching import batches
from hessinf.execution import Executor, LocalExecutor
from hessinf.gradients import FunctionalModel
from hessinf.models import as_objective
from hessinf.testing import Problem, kronecker_references, references
from hessinf.testing.layer_problems import deep_linear_network, texts, volumes, words
from hessinf.testing.optimum import draw_parameters, normal
from hessinf.testing.problems import PROBLEMS, multilayer_perceptron, transformer

ALL: tuple[Callable[[], Problem], ...] = (*PROBLEMS, texts, words, volumes, deep_linear_network)


def fit(
    problem: Problem, batch_size: int = 100, data: Any = None, **arguments: Any
) -> KroneckerCurvature:
    model = FunctionalModel(problem.module())
    dataset = as_dataset(problem.train if data is None else data)
    given = {"fisher": "type-2", "weight_decay": problem.weight_decay, **arguments}
    with model.evaluating():
        return fit_kronecker(
            model, as_objective(problem.objective), batches(dataset, batch_size), **given
        )


def relative_error(found: Any, expected: Any) -> float:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def block_of(matrix: np.ndarray, places: torch.Tensor) -> np.ndarray:
    where = places.flatten().numpy()
    return matrix[np.ix_(where, where)]


def basis_of(block: KroneckerBlock) -> np.ndarray:
    """The eigenvectors of a block, ``[O·I, O·I]``."""
    height, width = block.places.shape
    rows = np.eye(height) if block.row_basis is None else block.row_basis.numpy()
    columns = np.eye(width) if block.column_basis is None else block.column_basis.numpy()
    return np.kron(rows, columns)


def matrices(curvature: KroneckerCurvature) -> list[KroneckerBlock]:
    return [block for block in curvature.blocks if isinstance(block, KroneckerBlock)]


@pytest.fixture(params=ALL, ids=lambda make: make.__name__)
def problem(request: pytest.FixtureRequest) -> Problem:
    made: Problem = request.param()
    return made


class TestFactors:
    @pytest.mark.parametrize("weight_sharing", ["expand", "reduce"])
    def test_the_matrix_is_the_dense_reference(self, problem: Problem, weight_sharing: Any) -> None:
        found = fit(problem, weight_sharing=weight_sharing).dense()
        expected = kronecker_references.kfac(problem, weight_sharing=weight_sharing)
        assert relative_error(found, expected) <= 1e-12

    @pytest.mark.parametrize("damping", [1e-6, 1e-4, 1e-2, 1e-1])
    def test_the_inverse_is_the_dense_inverse(self, problem: Problem, damping: float) -> None:
        vectors = references.gradients(problem, problem.train)
        found = fit(problem).solve(torch.from_numpy(vectors.copy()), damping)
        reference = kronecker_references.kfac(problem)
        damped = reference + damping * np.eye(len(reference))
        assert relative_error(found, np.linalg.solve(damped, vectors.T).T) <= 1e-10

    def test_reduce_differs_from_expand_where_there_are_positions(self) -> None:
        one, other = (
            fit(transformer(), weight_sharing=kind).dense() for kind in ("expand", "reduce")
        )
        assert relative_error(one, other) > 0.1

    def test_a_deep_linear_network_with_squares_is_exact(self) -> None:
        problem = deep_linear_network()
        exact = references.gauss_newton(problem)
        for curvature in (fit(problem), fit(problem, corrected=True)):
            assert len(curvature.blocks) == 3
            for block in matrices(curvature):
                found = block_of(curvature.dense().numpy(), block.places)
                assert relative_error(found, block_of(exact, block.places)) <= 1e-12

    def test_ids_have_a_diagonal_factor(self) -> None:
        embedding = matrices(fit(texts()))[0]
        assert embedding.name == "embedding"
        assert embedding.row_basis is None
        np.testing.assert_allclose(
            embedding.row_eigenvalues.numpy(), np.array([0, 3, 3, 2, 3, 1, 1]) / 13, atol=1e-15
        )


class SharedWeight(nn.Module):
    """Two layers of their own with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False)
        self.second = nn.Linear(3, 3, bias=False)
        self.out = nn.Linear(3, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.first(inputs).tanh()
        return self.out(self.second(hidden).tanh())


def test_layers_that_share_a_weight_are_told_apart() -> None:
    """``Σ_u R_u ⊗ C_u``, diagonal in the basis of its partial traces, by plain hooks."""
    generator = torch.Generator().manual_seed(0)
    module = SharedWeight()
    draw_parameters(module, generator)
    module.second.weight = module.first.weight
    data = (normal(generator, 11, 3), normal(generator, 11, 2))
    kept: dict[str, list[torch.Tensor]] = {}
    layers = {"first": module.first, "second": module.second}
    handles = [
        layer.register_forward_hook(
            lambda _, inputs, output, name=name: kept.update({name: [inputs[0].detach(), output]})
        )
        for name, layer in layers.items()
    ]
    pairs = {name: [np.zeros((3, 3)), np.zeros((3, 3))] for name in layers}
    for example in data[0]:
        outputs = module(example[None])
        for output in outputs[0]:  # the Hessian of the mean of two squares is the identity
            slopes = torch.autograd.grad(
                output, [kept[name][1] for name in layers], retain_graph=True
            )
            for name, slope in zip(layers, slopes, strict=True):
                pairs[name][0] += np.outer(slope[0], slope[0]) / 11
        for name in layers:
            pairs[name][1] += np.outer(kept[name][0][0], kept[name][0][0]) / 11
    for handle in handles:
        handle.remove()
    rows = sum(row * np.trace(column) for row, column in pairs.values())
    columns = sum(column * np.trace(row) for row, column in pairs.values())
    basis = np.kron(np.linalg.eigh(rows)[1], np.linalg.eigh(columns)[1])
    whole = sum(np.kron(row, column) for row, column in pairs.values())
    expected = basis * np.diag(basis.T @ whole @ basis) @ basis.T

    model = FunctionalModel(module)
    with model.evaluating():
        curvature = fit_kronecker(
            model, as_objective("mean-squared-error"), batches(as_dataset(data), 4)
        )
    shared = matrices(curvature)[0]
    assert shared.size == 9
    found = block_of(curvature.dense().numpy(), shared.places)
    assert relative_error(found, expected) <= 1e-12
    assert relative_error(found, whole) > 1e-3


class TestCorrectedEigenvalues:
    @pytest.mark.parametrize("weight_sharing", ["expand", "reduce"])
    def test_they_are_the_diagonal_of_the_exact_block(
        self, problem: Problem, weight_sharing: Any
    ) -> None:
        """``diag(Qᵀ F Q)`` with the exact block F: the nearest that is diagonal in this basis."""
        exact = kronecker_references.fisher(problem)
        for block in matrices(fit(problem, corrected=True, weight_sharing=weight_sharing)):
            basis = basis_of(block)
            np.testing.assert_allclose(basis.T @ basis, np.eye(len(basis)), atol=1e-12)
            expected = np.diag(basis.T @ block_of(exact, block.places) @ basis)
            assert relative_error(block.eigenvalues.flatten(), expected) <= 1e-10

    @pytest.mark.parametrize("weight_sharing", ["expand", "reduce"])
    def test_the_basis_is_that_of_the_factors(self, problem: Problem, weight_sharing: Any) -> None:
        """It diagonalizes K-FAC's factors, or their partial traces where a weight is shared."""
        units, _ = kronecker_references.units(problem)
        places = {unit.places.tobytes(): unit for unit in units}
        found = matrices(fit(problem, corrected=True, weight_sharing=weight_sharing))
        assert len(found) == len(units)
        for block in found:
            pairs = kronecker_references.factors(
                places[block.places.numpy().tobytes()], weight_sharing
            )
            rows = sum(row * np.trace(column) for row, column in pairs)
            columns = sum(column * np.trace(row) for row, column in pairs)
            for side, basis in ((rows, block.row_basis), (columns, block.column_basis)):
                turned = side if basis is None else basis.numpy().T @ side @ basis.numpy()
                beside = turned - np.diag(np.diag(turned))
                assert np.linalg.norm(beside) <= 1e-12 * np.linalg.norm(turned)

    def test_no_other_diagonal_is_nearer(self, problem: Problem) -> None:
        exact = kronecker_references.fisher(problem)
        plain, corrected = fit(problem), fit(problem, corrected=True)
        for kfac, ekfac in zip(matrices(plain), matrices(corrected), strict=True):
            block = block_of(exact, kfac.places)
            basis = basis_of(ekfac)
            left, far = (
                np.linalg.norm(block - basis * one.eigenvalues.flatten().numpy() @ basis.T)
                for one in (ekfac, kfac)
            )
            assert left <= far + 1e-12 * np.linalg.norm(block)

    @pytest.mark.parametrize("limit", [1, 10_000_000])
    def test_pairs_of_positions_and_whole_gradients_agree(
        self, problem: Problem, limit: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A few gradients at a time, one at a time: the same sums."""
        module = "hessinf.curvature.kronecker_eigenvalues.NUMBERS_AT_ONCE"
        expected = fit(problem, corrected=True).dense()
        monkeypatch.setattr(module, limit)
        assert relative_error(fit(problem, corrected=True).dense(), expected) <= 1e-12


class TestInvariance:
    @pytest.mark.parametrize("corrected", [False, True])
    @pytest.mark.parametrize("weight_sharing", ["expand", "reduce"])
    def test_batches_and_padding_make_no_difference(
        self, problem: Problem, corrected: bool, weight_sharing: Any
    ) -> None:
        data = problem.train if problem.lengths is None else problem.instances(problem.train)
        expected = fit(problem, corrected=corrected, weight_sharing=weight_sharing).dense()
        for batch_size in (1, 4):  # the last batch is short
            found = fit(
                problem,
                batch_size,
                data,
                corrected=corrected,
                weight_sharing=weight_sharing,
                columns_at_once=5,
            ).dense()
            assert relative_error(found, expected) <= 1e-11

    def test_order_makes_no_difference(self) -> None:
        problem = multilayer_perceptron()
        order = torch.randperm(problem.num_train, generator=torch.Generator().manual_seed(3))
        shuffled = tuple(column[order] for column in problem.train)
        for corrected in (False, True):
            expected = fit(problem, corrected=corrected).dense()
            found = fit(problem, 10, shuffled, corrected=corrected).dense()
            assert relative_error(found, expected) <= 1e-12

    def test_an_executor_may_add_up_in_pieces(self) -> None:
        class Halves(Executor):
            """Adds up even and odd batches apart, then both."""

            def sum(self, function: Callable[[Any], Any], shards: Iterable[Any]) -> Any:
                own = list(shards)
                parts = [LocalExecutor().sum(function, own[first::2]) for first in (0, 1)]
                return LocalExecutor().sum(lambda part: part, parts)

        problem = transformer()
        expected = fit(problem, corrected=True).dense()
        found = fit(problem, 4, corrected=True, executor=Halves()).dense()
        assert relative_error(found, expected) <= 1e-12


class TestEmpirical:
    def test_corrected_eigenvalues_are_of_true_gradients(self, problem: Problem) -> None:
        """The diagonal, in the basis, of the outer products of the gradients themselves."""
        gradients = references.gradients(problem, problem.train)
        outer = gradients.T @ gradients / len(gradients)
        for block in matrices(fit(problem, corrected=True, fisher="empirical")):
            basis = basis_of(block)
            expected = np.diag(basis.T @ block_of(outer, block.places) @ basis)
            assert relative_error(block.eigenvalues.flatten(), expected) <= 1e-10

    def test_other_blocks_are_outer_products_of_true_gradients(self) -> None:
        problem = transformer()
        gradients = references.gradients(problem, problem.train)
        outer = gradients.T @ gradients / len(gradients)
        curvature = fit(problem, fisher="empirical", weight_decay=0.0)
        found = [block for block in curvature.blocks if block.kind == "dense"]
        assert len(found) == 5
        for block in found:
            own = block_of(curvature.dense().numpy(), block.places)
            assert relative_error(own, block_of(outer, block.places)) <= 1e-12


class TestMonteCarlo:
    @pytest.mark.parametrize("corrected", [False, True])
    def test_it_comes_to_type_2_as_one_over_the_root_of_samples(self, corrected: bool) -> None:
        problem = multilayer_perceptron()
        expected = fit(problem, corrected=corrected).dense()
        few, many = (
            relative_error(
                fit(problem, corrected=corrected, fisher="monte-carlo", samples=samples).dense(),
                expected,
            )
            for samples in (4, 256)
        )
        assert many < 0.05
        assert 3 < few / many < 24  # 64 times as many samples: 8 times as near

    def test_batches_make_no_difference(self) -> None:
        for problem in (multilayer_perceptron(), transformer()):
            data = problem.train if problem.lengths is None else problem.instances(problem.train)
            one, other = (
                fit(problem, size, data, fisher="monte-carlo", samples=3, corrected=True).dense()
                for size in (100, 4)
            )
            assert relative_error(one, other) <= 1e-11

    def test_the_seed_decides(self) -> None:
        problem = multilayer_perceptron()
        one, same, other = (
            fit(problem, fisher="monte-carlo", seed=seed).dense() for seed in (0, 0, 1)
        )
        assert torch.equal(one, same)
        assert relative_error(other, one) > 1e-3

    def test_the_spread_is_that_of_repeated_fits(self) -> None:
        """Of one layer, whose trace is that of the block: the standard deviation over seeds."""
        problem = deep_linear_network()
        fits = [fit(problem, fisher="monte-carlo", samples=4, seed=seed) for seed in range(60)]
        traces = np.array(
            [[float(block.row_eigenvalues.sum()) for block in one.blocks] for one in fits]
        )
        observed = (traces.std(axis=0, ddof=1) / traces.mean(axis=0)).max()
        reported = np.mean([one.facts["fisher_relative_standard_error"] for one in fits])
        assert 0.8 < reported / observed < 1.25
        assert fits[0].facts["fisher_samples"] == 4

    def test_the_spread_of_single_samples_is_no_less(self) -> None:
        problem = deep_linear_network()
        fits = [fit(problem, fisher="monte-carlo", seed=seed) for seed in range(60)]
        traces = np.array(
            [[float(block.row_eigenvalues.sum()) for block in one.blocks] for one in fits]
        )
        observed = (traces.std(axis=0, ddof=1) / traces.mean(axis=0)).max()
        reported = np.mean([one.facts["fisher_relative_standard_error"] for one in fits])
        assert 0.85 < reported / observed < 1.5
