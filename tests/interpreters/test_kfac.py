from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.curvature import CurvatureError
from hessinf.interpreters import Ekfac, InfluenceInterpreter, Kfac
from hessinf.interpreters.kronecker_influence import KroneckerInfluence
from hessinf.models import CrossEntropy
from hessinf.testing import Problem, kronecker_references, references
from hessinf.testing.layer_problems import deep_linear_network, texts
from hessinf.testing.problems import (
    convolutional_network,
    language_model,
    multilayer_perceptron,
    transformer,
)

BOTH = pytest.mark.parametrize("method", [Kfac, Ekfac])


def make(method: type[KroneckerInfluence], problem: Problem, **arguments: Any) -> Any:
    given = {
        "objective": problem.objective,
        "weight_decay": problem.weight_decay,
        "fisher": "type-2",
        **arguments,
    }
    return method(problem.module(), problem.train, **given)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


class CountsCalls(nn.Module):
    """Counts how often the model runs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.calls = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        outputs: torch.Tensor = self.module(inputs)
        return outputs


class TestDamping:
    @BOTH
    @pytest.mark.parametrize("damping", [1e-4, {"relative": 0.3}])
    def test_another_damping_is_that_of_another_interpreter(
        self, method: type[KroneckerInfluence], damping: Any
    ) -> None:
        problem = multilayer_perceptron()
        interpreter = make(method, problem, damping=0.7).fit()
        interpreter.change_damping(damping)
        anew = make(method, problem, damping=damping).fit()
        assert interpreter.damping_ == anew.damping_
        found, expected = (one.scores(problem.queries) for one in (interpreter, anew))
        assert found.tobytes() == expected.tobytes()

    def test_another_damping_takes_no_pass_over_the_data(self) -> None:
        problem = multilayer_perceptron()
        module = CountsCalls(problem.module())
        interpreter = Kfac(module, problem.train).fit()
        calls = module.calls
        interpreter.change_damping({"relative": 0.5})
        assert module.calls == calls

    def test_relative_damping_is_recorded_by_block(self) -> None:
        problem = convolutional_network()
        interpreter = make(Kfac, problem, damping={"relative": 0.1}).fit()
        expected = {}
        matrix = kronecker_references.kfac(problem)
        for block in interpreter.curvature.blocks:
            places = block.places.flatten().numpy()
            expected[block.name] = 0.1 * np.trace(matrix[np.ix_(places, places)]) / len(places)
        assert list(expected) == ["0", "3.weight[0:3]", "3.weight[3:6]", "6", "1"]
        assert interpreter.damping_ == pytest.approx(expected, rel=1e-10)
        result = next(interpreter.interpret(problem.queries))
        assert result.diagnostics["damping"] == interpreter.damping_

    def test_relative_damping_is_that_of_the_dense_blocks(self) -> None:
        problem = multilayer_perceptron()
        found = make(Kfac, problem, damping={"relative": 0.1}).scores(problem.queries)
        matrix = kronecker_references.kfac(problem)
        for unit in kronecker_references.units(problem)[0]:
            places = unit.places.flatten()
            block = matrix[np.ix_(places, places)]
            matrix[places, places] += 0.1 * np.trace(block) / len(places)
        assert relative_error(found, references.damped_scores(problem, matrix, 0.0)) <= 1e-10

    @pytest.mark.parametrize("damping", [1e-6, 1e-3, 1e-1])
    def test_heuristic_damping_is_added_to_the_factors(self, damping: float) -> None:
        problem = deep_linear_network()
        found = make(Kfac, problem, damping=damping, heuristic_damping=True).scores(problem.queries)
        root = np.sqrt(damping + problem.weight_decay)
        matrix = np.zeros_like(kronecker_references.kfac(problem))
        for unit in kronecker_references.units(problem)[0]:
            ((rows, columns),) = kronecker_references.factors(unit)
            pi = np.sqrt((np.trace(columns) / len(columns)) / (np.trace(rows) / len(rows)))
            rows = rows + root / pi * np.eye(len(rows))
            columns = columns + root * pi * np.eye(len(columns))
            places = unit.places.flatten()
            matrix[np.ix_(places, places)] = np.kron(rows, columns)
        assert relative_error(found, references.damped_scores(problem, matrix, 0.0)) <= 1e-10
        exact = make(Kfac, problem, damping=damping).scores(problem.queries)
        assert relative_error(found, exact) > 0.05

    def test_no_damping_where_factors_are_singular_is_refused(self) -> None:
        """Of three classes' gradients the sum is zero."""
        problem = multilayer_perceptron()
        interpreter = make(Kfac, problem, damping=0.0, weight_decay=0.0)
        message = r'^the curvature of the block "4" is singular to working precision at damping 0 '
        with pytest.raises(CurvatureError, match=message):
            interpreter.scores(problem.queries)


class TestEmbedding:
    @BOTH
    @pytest.mark.parametrize("damping", [1e-3, {"relative": 0.1}])
    def test_inner_products_are_the_scores(
        self, method: type[KroneckerInfluence], damping: Any
    ) -> None:
        for problem in (convolutional_network(), transformer(), texts()):
            interpreter = make(method, problem, damping=damping).fit()
            with interpreter.model.evaluating():
                queries, train = (
                    interpreter.embedding(
                        interpreter.gradients(next(iter(interpreter.train_batches(count))))
                    ).numpy()
                    for count in (2, problem.num_train)
                )
            first = tuple(problem.instances(problem.train)[:2])
            assert relative_error(queries @ train.T, interpreter.scores(first)) <= 1e-10


class TestSaved:
    @BOTH
    @pytest.mark.parametrize("make_problem", [transformer, texts, convolutional_network])
    def test_factors_of_all_layers_are_found_again(
        self, method: type[KroneckerInfluence], make_problem: Any, tmp_path: Path
    ) -> None:
        problem = make_problem()
        interpreter = make(method, problem, damping={"relative": 0.1}).fit()
        interpreter.save(tmp_path / "factors")
        loaded = InfluenceInterpreter.load(tmp_path / "factors", problem.module(), problem.train)
        assert loaded.scores(problem.queries).tobytes() == (
            interpreter.scores(problem.queries).tobytes()
        )
        for one in (loaded, interpreter):
            one.change_damping(1e-4)
        assert loaded.scores(problem.queries).tobytes() == (
            interpreter.scores(problem.queries).tobytes()
        )


class TestFisher:
    @BOTH
    def test_a_loss_function_has_an_empirical_fisher(
        self, method: type[KroneckerInfluence]
    ) -> None:
        problem = multilayer_perceptron()

        def my_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(outputs, targets, reduction="none")

        found, expected = (
            make(method, problem, objective=objective, fisher="empirical", damping=1e-3)
            for objective in (my_loss, "cross-entropy")
        )
        scores = found.scores(problem.queries)
        assert relative_error(scores, expected.scores(problem.queries)) <= 1e-12
        diagnostics = next(found.interpret(problem.queries)).diagnostics
        assert diagnostics["fisher"] == "empirical"

    def test_what_was_sampled_is_reported(self) -> None:
        problem = multilayer_perceptron()
        interpreter = make(Kfac, problem, fisher="monte-carlo", samples=5, damping=1e-3)
        diagnostics = next(interpreter.interpret(problem.queries)).diagnostics
        assert (diagnostics["fisher"], diagnostics["fisher_samples"]) == ("monte-carlo", 5)
        assert 0.01 < diagnostics["fisher_relative_standard_error"] < 0.3

    def test_what_is_no_likelihood_is_not_sampled(self) -> None:
        problem = multilayer_perceptron()
        objective = CrossEntropy(label_smoothing=0.1)
        interpreter = make(Kfac, problem, fisher="monte-carlo", objective=objective)
        with pytest.raises(CurvatureError, match=r'^the objective "cross-entropy" is no negative'):
            interpreter.fit()
        assert make(Kfac, problem, fisher="auto", objective=objective).fit().curvature.facts == {
            "fisher": "type-2"
        }

    def test_how_parameters_are_approximated_is_reported(self) -> None:
        problem = transformer()
        interpreter = make(Ekfac, problem, damping=1e-3)
        diagnostics = next(interpreter.interpret(problem.queries)).diagnostics
        assert diagnostics["kronecker_share"] == 300 / 352

    @pytest.mark.parametrize("weight_sharing", ["expand", "reduce"])
    def test_weight_sharing(self, weight_sharing: Any) -> None:
        for problem in (transformer(), language_model(), convolutional_network()):
            found = make(Kfac, problem, weight_sharing=weight_sharing, damping=1e-3)
            matrix = kronecker_references.kfac(problem, weight_sharing=weight_sharing)
            expected = references.damped_scores(problem, matrix, 1e-3)
            assert relative_error(found.scores(problem.queries), expected) <= 1e-10


class TestArguments:
    @BOTH
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                {"fisher": "type2"},
                "fisher must be one of ('auto', 'type-2', 'monte-carlo', 'empirical'), "
                "found 'type2'",
            ),
            (
                {"weight_sharing": "sum"},
                "weight_sharing must be one of ('expand', 'reduce'), found 'sum'",
            ),
            ({"samples": 0}, "samples must be at least 1, found 0"),
            (
                {"damping": -1.0},
                'damping must be a number >= 0 or {"relative": share}, found -1.0',
            ),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, method: type[KroneckerInfluence], arguments: dict[str, Any], message: str
    ) -> None:
        problem = multilayer_perceptron()
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make(method, problem, **arguments)

    def test_factors_that_do_not_fit_are_refused(self) -> None:
        module = nn.Linear(9000, 2)
        inputs = torch.zeros(4, 9000)
        interpreter = Kfac(module, (inputs, torch.tensor([0, 1, 0, 1])), memory_limit=1.0)
        message = (
            "the Kronecker factors need 2.4 GiB, memory_limit is 1 GiB; 2.4 GiB of that are for "
            "the matrix \"weight\", 2 × 9,001; freeze it (params_to_freeze: ['weight', 'bias']), "
            'raise memory_limit, or use what forms no factors: "diagonal" or "simple-influence", '
            '"jacobi" as a preconditioner'
        )
        with pytest.raises(CurvatureError) as caught:
            interpreter.fit()
        assert str(caught.value) == message


class TestPrecision:
    @BOTH
    def test_single_precision_is_near(self, method: type[KroneckerInfluence]) -> None:
        for problem in (convolutional_network(), transformer()):
            expected = make(method, problem, damping=1e-3).scores(problem.queries)
            single = make(method, problem, damping=1e-3, dtype="float32").scores(problem.queries)
            assert single.dtype == np.float32
            assert relative_error(single.astype(np.float64), expected) <= 1e-3

    def test_half_precision_is_added_up_in_single(self) -> None:
        """Products and sums of bfloat16 tensors would keep three digits."""
        problem = multilayer_perceptron()
        module = copy.deepcopy(problem.trained).bfloat16()
        inputs, targets = problem.train
        half = Kfac(
            module, (inputs.bfloat16(), targets), objective="cross-entropy", damping=0.1
        ).fit()
        expected = make(Kfac, problem, damping=0.1, weight_decay=0.0).fit()
        found = half.curvature.dense().numpy()
        assert relative_error(found, expected.curvature.dense().numpy()) <= 0.02
