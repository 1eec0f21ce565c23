"""Block-diagonal curvature: blocks of any kind, tied weights, loss functions, memory."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.curvature import CurvatureError
from hessinf.gradients import HessianProducts
from hessinf.interpreters import BlockGaussNewton, BlockHessian, InfluenceInterpreter
from hessinf.registry import ConfigError
from hessinf.testing import language_model, multilayer_perceptron, references
from hessinf.testing.problems import Problem


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def make(name: str, problem: Problem, **arguments: Any) -> Any:
    given = {"objective": problem.objective, "weight_decay": problem.weight_decay, **arguments}
    return InfluenceInterpreter.by_name(name)(problem.module(), problem.train, **given)


@pytest.mark.parametrize("name", ["block-hessian", "block-ggn"])
class TestBlocks:
    def dense(self, name: str, problem: Problem) -> np.ndarray:
        function = references.hessian if name == "block-hessian" else references.gauss_newton
        return function(problem)

    def test_user_blocks_need_not_lie_side_by_side(self, name: str) -> None:
        problem = multilayer_perceptron()
        blocks = {"weights": ["weight"], "biases": ["bias"]}
        interpreter = make(name, problem, blocks=blocks, damping=1e-3)
        places = references.parameter_places(problem)
        weights = np.concatenate([places["0.weight"], places["4.weight"]])
        matrix = references.block_diagonal(self.dense(name, problem), [weights, places["0.bias"]])
        expected = references.damped_scores(problem, matrix, 1e-3)
        assert relative_error(interpreter.scores(problem.queries), expected) <= 1e-8
        assert interpreter.parameter_blocks == {
            "weights": ("0.weight", "4.weight"),
            "biases": ("0.bias",),
        }

    def test_one_block_is_the_whole_matrix(self, name: str) -> None:
        problem = multilayer_perceptron()
        found = make(name, problem, blocks={"all": ["."]}, damping=1e-3).scores(problem.queries)
        whole = {"block-hessian": "exact", "block-ggn": "ggn"}[name]
        expected = make(whole, problem, damping=1e-3).scores(problem.queries)
        assert relative_error(found, expected) <= 1e-10

    def test_tied_weights_belong_to_their_first_name(self, name: str) -> None:
        """The embedding's block has the derivatives of both of its uses."""
        problem = language_model()
        interpreter = make(name, problem, damping=1e-3).fit()
        assert interpreter.parameter_blocks == {
            "embedding": ("embedding.weight",),
            "mix": ("mix.weight", "mix.bias"),
            "decoder": ("decoder.bias",),
        }
        blocks = references.parameter_blocks(problem, (), "layer").values()
        matrix = references.block_diagonal(self.dense(name, problem), blocks)
        expected = references.damped_scores(problem, matrix, 1e-3)
        assert relative_error(interpreter.scores(problem.queries), expected) <= 1e-8

    def test_facts_are_those_of_all_blocks(self, name: str) -> None:
        problem = multilayer_perceptron()
        interpreter = make(name, problem, inversion={"type": "pseudo", "threshold": 0.3})
        diagnostics = next(interpreter.interpret(problem.queries)).diagnostics
        rank = 0
        for places in references.parameter_blocks(problem, (), "layer").values():
            values = np.linalg.eigvalsh(self.dense(name, problem)[np.ix_(places, places)]) + 1e-3
            rank += int((values > 0.3 * values.max()).sum())
        assert 0 < rank < 40
        assert diagnostics["rank"] == rank

    def test_blocks_of_a_config(self, name: str) -> None:
        problem = multilayer_perceptron()
        built = InfluenceInterpreter.from_config(
            {"type": name, "blocks": {"first": ["^0"], "last": ["^4"]}, "damping": 1e-3},
            model=problem.module(),
            train_data=problem.train,
            objective=problem.objective,
            weight_decay=problem.weight_decay,
        )
        expected = make(name, problem, damping=1e-3).scores(problem.queries)
        assert built.scores(problem.queries).tobytes() == expected.tobytes()
        with pytest.raises(ConfigError, match=re.escape("blocks.a.0")) as caught:
            InfluenceInterpreter.from_config(
                {"type": name, "blocks": {"a": ["("]}},
                model=problem.module(),
                train_data=problem.train,
            )
        assert "regular expression" in str(caught.value)

    def test_what_is_no_division_is_refused(self, name: str) -> None:
        text = (
            "blocks leave out 0.bias, 4.weight; every parameter belongs to one block: add them to "
            "one, or freeze them with params_to_freeze"
        )
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            make(name, multilayer_perceptron(), blocks={"first": [r"0\.weight"]})

    def test_blocks_that_do_not_fit_are_refused(self, name: str) -> None:
        module = nn.Sequential(nn.Linear(1000, 10), nn.Linear(10, 4))
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(4, 1000, generator=generator)
        interpreter = InfluenceInterpreter.by_name(name)(
            module, (inputs, torch.arange(4)), memory_limit=0.5
        )
        text = (
            "the dense matrices of 2 blocks need 1.7 GiB to form and factorise, memory_limit is 0.5"
            ' GiB; the largest, "0", has 10,010 parameters; make blocks smaller, freeze some with '
            'params_to_freeze, raise memory_limit, or use "simple-influence", which forms no matrix'
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
            interpreter.fit()


def focal(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs, targets, reduction="none") ** 2


class TestLossFunctions:
    def test_the_hessian_needs_derivatives_only(self) -> None:
        problem = multilayer_perceptron()
        focused = Problem(
            **{
                **vars(problem),
                "name": "focal loss",
                "losses": focal,
                "output_hessians": None,
            }
        )
        interpreter = make("block-hessian", problem, objective=focal, damping=0.5)
        blocks = references.parameter_blocks(problem, (), "layer").values()
        matrix = references.block_diagonal(references.hessian(focused), blocks)
        expected = references.damped_scores(focused, matrix, 0.5)
        assert relative_error(interpreter.scores(problem.queries), expected) <= 1e-8

    def test_the_gauss_newton_matrix_needs_more(self) -> None:
        text = (
            'the loss function "focal" has no square root of its output Hessian, which the '
            'Gauss-Newton matrix is made of; use "exact" or "block-hessian", which need derivatives'
            " of the loss only, or give the objective a method `hessian_square_root_blocks`"
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
            make("block-ggn", multilayer_perceptron(), objective=focal).fit()


def test_derivatives_are_those_in_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """No product is longer than the block that it is of, and nothing is P × P."""
    lengths = set()
    products = HessianProducts.products

    def watched(self: HessianProducts, vectors: torch.Tensor) -> torch.Tensor:
        lengths.add((tuple(self.model.parameters), vectors.shape[1]))
        return products(self, vectors)

    monkeypatch.setattr(HessianProducts, "products", watched)
    interpreter = make("block-hessian", multilayer_perceptron()).fit()
    assert lengths == {(("0.weight", "0.bias"), 25), (("4.weight",), 15)}
    assert {len(x["cholesky"]) for x in interpreter.factors_.values()} == {25, 15}


def test_frozen_parameters_are_in_no_block() -> None:
    problem = multilayer_perceptron()
    for cls in (BlockHessian, BlockGaussNewton):
        interpreter = cls(problem.module(), problem.train, params_to_freeze=["^0"])
        assert interpreter.parameter_blocks == {"4": ("4.weight",)}
