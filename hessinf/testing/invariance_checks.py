"""The result stays the same where only the way there differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset as TorchDataset

from hessinf.data import Instance
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.inner_products import scores_are_inner_products
from hessinf.testing.problem import select
from hessinf.testing.problems import (
    Columns,
    Problem,
    language_model,
    logistic_regression,
    multilayer_perceptron,
    transformer,
)
from hessinf.testing.suite import ConformanceSuite


class _Pairs(TorchDataset[Any]):
    """Examples as ``(inputs, target)`` pairs, as PyTorch's own data sets give them."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[1])

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.columns[0][index], self.columns[1][index]


class _ByName(nn.Module):
    """Takes its inputs by name, as models of texts do."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute the outputs ``[B, C]``."""
        outputs: torch.Tensor = self.module(features)
        return outputs


def _instances(columns: Columns) -> list[Instance]:
    return multilayer_perceptron().instances(columns)


class InvarianceChecks(ConformanceSuite):
    """Batches, order, company, form of the data, process: none of them matters."""

    @pytest.mark.parametrize("batch_size", [1, 5, 36, 1000])
    def test_batch_size_makes_no_difference(self, batch_size: int) -> None:
        """37 examples in batches of 1, of 5 and 36 (the last one is short), and in one batch."""
        problem = multilayer_perceptron()
        found = self.make(problem, batch_size=batch_size).scores(problem.queries)
        expected = self.make(problem, batch_size="auto").scores(problem.queries)
        self.same(found, expected, f"batch_size {batch_size}")

    @pytest.mark.parametrize("query_batch_size", [1, 2])
    def test_query_batch_size_makes_no_difference(self, query_batch_size: int) -> None:
        """5 queries one by one, and in pairs."""
        problem = multilayer_perceptron()
        found = self.make(problem, query_batch_size=query_batch_size).scores(problem.queries)
        expected = self.make(problem).scores(problem.queries)
        self.same(found, expected, f"query_batch_size {query_batch_size}")

    def test_order_of_training_data_permutes_scores(self) -> None:
        """Shuffled training data get the same scores, shuffled."""
        problem = multilayer_perceptron()
        order = torch.randperm(problem.num_train, generator=torch.Generator().manual_seed(5))
        shuffled = select(problem.train, order)
        found = self.make(problem, train_data=shuffled).scores(problem.queries)
        expected = self.make(problem).scores(problem.queries)[:, order.numpy()]
        self.order_tolerance.check(found, expected, "shuffled training data")

    def test_a_query_is_scored_alone_as_in_company(self) -> None:
        """Q = 1 gives the row of Q = 5, whatever was asked before."""
        problem = multilayer_perceptron()
        interpreter = self.make(problem)
        together = interpreter.scores(problem.queries)  # [5, N]
        alone = interpreter.scores(tuple(column[3:4] for column in problem.queries))  # [1, N]
        assert alone.shape == (1, problem.num_train)
        self.same(alone, together[3:4], "a query alone")

    def test_more_queries_than_parameters_and_examples(self) -> None:
        """Q > N > P, one block: each query has its own scores, by blocks of parameters too."""
        problem = logistic_regression()
        times = 8
        many = select(problem.queries, torch.arange(6).repeat_interleave(times))
        interpreter = self.make(problem)
        found = interpreter.scores(many)  # [Q · times, N]
        parameters = sum(value.numel() for value in problem.trained.parameters())
        assert len(found) > problem.num_train > parameters
        expected = interpreter.scores(problem.queries).repeat(times, axis=0)
        self.same(found, expected, "more queries than examples and parameters")
        if scores_are_inner_products(interpreter):
            by_block = interpreter.scores_by_block(many).values()
            assert {scores.shape for scores in by_block} == {found.shape}
            self.same(np.sum(list(by_block), axis=0), expected, "more queries, by block")

    def test_two_interpreters_give_the_same_bytes(self, device: str) -> None:
        """The same seed gives the same bytes, and asking twice does too."""
        problem = multilayer_perceptron()
        first = self.make(problem, device=device)
        scores = first.scores(problem.queries)
        torch.rand(3)  # whatever else the program draws
        second = self.make(problem, device=device).scores(problem.queries)
        again = first.scores(problem.queries)
        assert scores.tobytes() == second.tobytes(), "two interpreters of one seed differ"
        assert scores.tobytes() == again.tobytes(), "the same interpreter differs the second time"

    def test_a_config_builds_the_same_interpreter(self) -> None:
        """``from_config`` gives the bytes that ``by_name`` gives."""
        problem = multilayer_perceptron()
        config = {"type": self.name, **self.arguments_for(problem)}
        if self.larger_damping is not None:
            config["damping"] = self.damping
        built = InfluenceInterpreter.from_config(
            config,
            model=problem.module(),
            train_data=problem.train,
            objective=problem.objective,
            weight_decay=problem.weight_decay,
            seed=0,
        )
        found = built.scores(problem.queries)
        assert found.tobytes() == self.make(problem).scores(problem.queries).tobytes()

    @pytest.mark.parametrize("form", [_instances, _Pairs], ids=["instances", "torch dataset"])
    def test_forms_of_data_make_no_difference(self, form: Any) -> None:
        """Instances and PyTorch data sets give what a pair of tensors gives."""
        problem = multilayer_perceptron()
        interpreter = self.make(problem, train_data=form(problem.train))
        found = interpreter.scores(form(problem.queries))
        self.same(found, self.make(problem).scores(problem.queries), "another form of the data")

    @pytest.mark.parametrize("make", [transformer, language_model])
    def test_padding_makes_no_difference(self, make: Callable[[], Problem]) -> None:
        """Texts that each batch pads to its longest give what texts padded beforehand give."""
        problem, refusal = make(), self.refused(make)
        if refusal is not None:
            with refusal:
                self.make(problem, train_data=problem.instances(problem.train)).fit()
            return
        ragged = problem.instances(problem.train)
        interpreter = self.make_damped(problem, train_data=ragged, batch_size=4, query_batch_size=2)
        found = interpreter.scores(problem.instances(problem.queries))
        expected = self.make_damped(problem).scores(problem.queries)
        self.same(found, expected, f"{problem.name}, padded batch by batch")

    def test_inputs_by_name(self) -> None:
        """A model that takes a dict of inputs is scored as one that takes a tensor."""
        problem = multilayer_perceptron()

        def by_name(columns: Columns) -> Any:
            return {"features": columns[0]}, columns[1]

        interpreter = self.make(
            problem, model=_ByName(problem.module()), train_data=by_name(problem.train)
        )
        found = interpreter.scores(by_name(problem.queries))
        self.same(found, self.make(problem).scores(problem.queries), "inputs by name")

    def test_training_gradients_need_not_fit(self) -> None:
        """Gradients that are computed anew for each block of queries give what kept ones give."""
        problem = multilayer_perceptron()
        kept = self.make(problem, query_batch_size=2, batch_size=5)
        anew = self.make(problem, query_batch_size=2, batch_size=5)
        anew.kept_pass.memory = 0
        found = anew.scores(problem.queries)
        self.same(found, kept.scores(problem.queries), "gradients computed anew")
