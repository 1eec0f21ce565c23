from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.curvature import fisher_blocks, fisher_pass
from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.kronecker import KroneckerCurvature
from hessinf.curvature.kronecker_blocks import KroneckerBlock
from hessinf.curvature.kronecker_fit import fit_kronecker
from hessinf.data import as_dataset
from hessinf.data.batching import batches
from hessinf.gradients import FunctionalModel
from hessinf.models import as_objective
from hessinf.testing import Problem, kronecker_references
from hessinf.testing.layer_problems import texts
from hessinf.testing.problem import Columns
from hessinf.testing.problems import multilayer_perceptron, transformer


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


def matrices(curvature: KroneckerCurvature) -> list[KroneckerBlock]:
    return [block for block in curvature.blocks if isinstance(block, KroneckerBlock)]


class TestOtherParameters:
    def test_they_have_dense_blocks_by_module(self) -> None:
        exact = kronecker_references.fisher(transformer())
        curvature = fit(transformer(), weight_decay=0.0)
        kinds = {block.name: block.kind for block in curvature.blocks}
        norms = [f"layers.layers.{layer}.norm{place}" for layer in (0, 1) for place in (1, 2)]
        for name in ("positions", *norms):
            assert kinds[name] == "dense"
        for block in curvature.blocks:
            if block.kind == "dense":
                found = block_of(curvature.dense().numpy(), block.places)
                assert relative_error(found, block_of(exact, block.places)) <= 1e-12
        assert curvature.facts == {"fisher": "type-2", "kronecker_share": 300 / 352}

    def test_large_ones_have_a_diagonal_and_it_is_said(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(fisher_blocks, "LARGEST_DENSE_BLOCK", 8)
        exact = kronecker_references.fisher(transformer())
        with caplog.at_level(logging.INFO):
            curvature = fit(transformer())
        blocks = {block.name: block for block in curvature.blocks}
        assert blocks["layers.layers.0.norm1"].kind == "dense"
        positions = blocks["positions"]
        assert (positions.kind, positions.size) == ("diagonal", 20)
        expected = np.diag(block_of(exact, positions.places))
        assert relative_error(positions.eigenvalues, expected) <= 1e-12
        assert curvature.facts["diagonal_parameters"] == "positions"
        assert "no matrices, diagonal blocks of the Fisher instead: positions" in caplog.messages

    def test_a_module_too_large_together_has_a_block_for_each_parameter(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fisher_blocks, "LARGEST_DENSE_BLOCK", 7)
        kinds = {block.name: block.kind for block in fit(transformer()).blocks}
        assert kinds["layers.layers.0.norm1.weight"] == "dense"
        assert kinds["layers.layers.0.norm1.bias"] == "dense"

    def test_a_parameter_that_nothing_uses_does_no_harm(self) -> None:
        problem = multilayer_perceptron()
        module = problem.module()
        module[2].register_module("unused", nn.Linear(2, 2, dtype=torch.float64))
        model = FunctionalModel(module)
        with model.evaluating():
            curvature = fit_kronecker(
                model, as_objective("cross-entropy"), batches(as_dataset(problem.train), 10)
            )
        unused = curvature.blocks[-1]
        assert (unused.name, unused.size) == ("2.unused", 6)
        assert not bool(unused.eigenvalues.any())
        expected = fit(problem, weight_decay=0.0).dense()
        used = torch.cat([block.places.flatten() for block in curvature.blocks[:-1]]).sort().values
        assert relative_error(curvature.dense()[used][:, used], expected) <= 1e-12


def test_blocks_follow_modules() -> None:
    limit = fisher_blocks.LARGEST_DENSE_BLOCK
    sizes = {
        "scale": 3,
        "shift": 3,
        "norm.weight": 4,
        "norm.bias": 4,
        "wide.weight": limit,
        "wide.bias": 1,
        "large": limit + 1,
    }
    small = {name: size for name, size in sizes.items() if name != "large"}
    described = [
        (block.name, block.parameters, block.size, block.dense)
        for block in fisher_blocks.parameter_blocks(small)
    ]
    assert described == [
        ("scale, shift", ("scale", "shift"), 6, True),
        ("norm", ("norm.weight", "norm.bias"), 8, True),
        ("wide.weight", ("wide.weight",), limit, True),
        ("wide.bias", ("wide.bias",), 1, True),
    ]
    blocks = {block.name: block.dense for block in fisher_blocks.parameter_blocks(sizes)}
    assert (blocks["large"], blocks["scale"]) == (False, True)


class TestTrouble:
    def test_factors_that_do_not_fit(self) -> None:
        problem = texts()
        message = (
            "the Kronecker factors need 0.0 GiB, memory_limit is 1e-07 GiB; 0.0 GiB of that are for"
            " the matrix \"out\", 3 × 5; freeze it (params_to_freeze: ['out.weight', 'out.bias']), "
            'raise memory_limit, or use what forms no factors: "diagonal" or "simple-influence", '
            '"jacobi" as a preconditioner'
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"):
            fit(problem, memory_limit=1e-7)

    def test_a_diagonal_factor_needs_little_memory(self) -> None:
        """A vocabulary of 50,000: its square would need 18 GiB."""
        module = nn.Sequential(nn.Embedding(50_000, 2), nn.Flatten(), nn.Linear(2, 2))
        tokens = torch.tensor([[3], [49_999], [3]])
        model = FunctionalModel(module)
        with model.evaluating():
            curvature = fit_kronecker(
                model,
                as_objective("cross-entropy"),
                batches(as_dataset((tokens, torch.tensor([0, 1, 1]))), 2),
                memory_limit=0.1,
                corrected=True,
            )
        assert curvature.blocks[0].eigenvalues.shape == (50_000, 2)

    @pytest.mark.parametrize(
        ("value", "what"),
        [
            (float("nan"), "the outputs of the model"),
            (float("inf"), 'the input of "0"'),  # its tanh is 1
        ],
    )
    def test_the_example_that_is_not_finite_is_named(self, value: float, what: str) -> None:
        problem = multilayer_perceptron()
        inputs = problem.train[0].clone()
        inputs[13, 2] = value
        message = (
            f"{what} is not finite at training example 13; likely causes: NaN or huge values among "
            "its inputs, or a model whose training diverged"
        ).replace("model is", "model are")
        with pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"):
            fit(problem, 10, (inputs, problem.train[1]))

    def test_gradients_that_are_not_finite(self) -> None:
        """The square root has no derivative at zero."""

        class Root(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.out = nn.Linear(1, 2, bias=False)

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                return self.out(inputs).abs().sqrt()

        inputs = torch.tensor([[1.0], [2.0], [3.0], [0.0], [2.0]])
        data = (inputs, torch.tensor([0, 1, 1, 0, 1]))
        model = FunctionalModel(Root())
        message = (
            'the gradient of "out" is not finite at training example 3; likely causes: NaN or huge '
            "values among its inputs, or a model whose training diverged"
        )
        with (
            model.evaluating(),
            pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"),
        ):
            fit_kronecker(model, as_objective("cross-entropy"), batches(as_dataset(data), 5))

    def test_factors_that_are_not_finite_are_found_before_they_are_decomposed(self) -> None:
        """Squares of inputs that single precision cannot hold."""
        module = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
        inputs = torch.tensor([[1e30, 0.0], [0.0, 1.0]])
        model = FunctionalModel(module)
        message = (
            'the column factor of "0" is not finite; likely causes: NaN or huge values in the '
            "training data, or a model whose training diverged"
        )
        with (
            model.evaluating(),
            pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"),
        ):
            fit_kronecker(
                model,
                as_objective("cross-entropy"),
                batches(as_dataset((inputs, torch.tensor([0, 1]))), 2),
            )

    def test_no_examples(self) -> None:
        model = FunctionalModel(nn.Linear(2, 2))
        nothing = batches(as_dataset((torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))), 1)
        nothing.dataset = nothing.dataset[:0]
        message = "curvature needs training examples, found none"
        with pytest.raises(CurvatureError, match=f"^{message}$"):
            fit_kronecker(model, as_objective("cross-entropy"), nothing, fisher="empirical")

    def test_a_layer_that_only_later_batches_use(
        self, late_layer: tuple[nn.Module, Columns], caplog: pytest.LogCaptureFixture
    ) -> None:
        module, data = late_layer
        model = FunctionalModel(module)
        with model.evaluating(), caplog.at_level(logging.INFO):
            one, other = (
                fit_kronecker(
                    model,
                    as_objective("cross-entropy"),
                    batches(as_dataset(data), batch_size),
                    fisher="type-2",
                )
                for batch_size in (2, 6)
            )
        assert caplog.messages == [
            "a later batch uses layers that earlier ones did not: starting anew"
        ]
        assert [block.name for block in one.blocks] == ["first", "late"]
        for found, expected in zip(matrices(one), matrices(other), strict=True):
            assert relative_error(found.row_eigenvalues, expected.row_eigenvalues) <= 1e-12
        assert relative_error(one.blocks[0].eigenvalues, other.blocks[0].eigenvalues) <= 1e-12

    def test_out_of_memory_halves_what_goes_together(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Of 15 examples with 30 columns each, 40 gradients at most go together."""
        expected = fit(transformer()).dense()
        original = fisher_pass.FisherPass._of_part
        tried = []

        def limited(self: Any, batch: Any, statistic: Any) -> Any:
            tried.append(batch.size)
            if self.pairs_at_once > 40:
                statistic.add = out_of_memory
            return original(self, batch, statistic)

        def out_of_memory(gradients: Any) -> None:
            raise torch.OutOfMemoryError("no memory left")

        monkeypatch.setattr(fisher_pass.FisherPass, "_of_part", limited)
        found = fit(transformer(), 15, columns_at_once=8).dense()
        assert relative_error(found, expected) <= 1e-12
        assert tried == [4, 2, *[1] * 15]
        assert caplog.messages == [
            "out of memory with 120 gradients at once: halving",
            "out of memory with 60 gradients at once: halving",
        ]

    def test_examples_with_many_columns_go_a_few_at_a_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Columns of one example are not torn apart, so that its inputs are worked on once."""
        original = fisher_pass.FisherPass._of_part
        sizes = []

        def watched(self: Any, batch: Any, statistic: Any) -> Any:
            sizes.append(batch.size)
            return original(self, batch, statistic)

        monkeypatch.setattr(fisher_pass.FisherPass, "_of_part", watched)
        fit(multilayer_perceptron(), 9, columns_at_once=1)  # two columns each
        assert sizes == [4, 4, 1] * 4 + [1]
