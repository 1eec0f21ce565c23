"""What ``interpret`` gives: both ends, in order, ties settled, one query after another."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch import nn

from hessinf.testing.problems import logistic_regression, multilayer_perceptron
from hessinf.testing.suite import ConformanceSuite


class _Counting(nn.Module):
    """Counts how often it is called."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.calls = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Compute the outputs ``[B, C]``."""
        self.calls += 1
        outputs: torch.Tensor = self.module(inputs)
        return outputs


class ResultChecks(ConformanceSuite):
    """Interpretations beside the scores that they are made from."""

    def test_both_ends_of_the_ranking(self, device: str) -> None:
        """The k largest descending, the k smallest ascending, with their scores and changes."""
        problem = multilayer_perceptron()
        interpreter = self.make(problem, device=device)
        scores = interpreter.scores(problem.queries)  # [Q, N]
        predicts = interpreter.predicts_loss_changes
        changes = interpreter.loss_changes(problem.queries) if predicts else scores  # [Q, N]
        results = list(interpreter.interpret(problem.queries, k=4))
        assert [result.query.index for result in results] == list(range(len(scores)))
        for row, own_changes, result in zip(scores, changes, results, strict=True):
            helpful = np.argsort(-row, kind="stable")[:4].tolist()
            harmful = np.argsort(row, kind="stable")[:4].tolist()
            assert [one.index for one in result.helpful] == helpful
            assert [one.index for one in result.harmful] == harmful
            for one in (*result.helpful, *result.harmful):
                assert one.score == row[one.index]
                if not predicts:
                    assert one.loss_change_if_removed is None
                    continue
                assert one.loss_change_if_removed is not None
                np.testing.assert_allclose(
                    one.loss_change_if_removed,
                    own_changes[one.index],
                    rtol=1e-9,
                    atol=1e-12 * abs(own_changes).max(),
                )

    def test_k_larger_than_the_training_data(self) -> None:
        """All N examples are given, at both ends."""
        problem = logistic_regression()
        result = next(self.make(problem).interpret(problem.queries, k=1000))
        assert len(result.helpful) == len(result.harmful) == problem.num_train
        assert sorted(one.index for one in result.helpful) == list(range(problem.num_train))

    def test_ties_go_by_training_index(self) -> None:
        """Of two examples that are the same, the first comes first, at both ends."""
        problem = logistic_regression()
        doubled = tuple(torch.cat([column, column]) for column in problem.train)
        # One example a batch: rounding depends on the shape of a matrix product.
        interpreter = self.make(problem, train_data=doubled, batch_size=1)
        result = next(interpreter.interpret(problem.queries, k=10))
        for side in (result.helpful, result.harmful):
            indices = [one.index for one in side]
            assert len({one.score for one in side}) == 5, "equal examples have equal scores"
            assert [high - low for low, high in zip(indices[::2], indices[1::2], strict=True)] == [
                problem.num_train
            ] * 5

    def test_queries_stream(self) -> None:
        """The first interpretation comes before the last query is worked on."""
        problem = logistic_regression()
        model = _Counting(problem.module())
        results = self.make(problem, model=model, query_batch_size=1).interpret(problem.queries)
        next(results)
        calls = model.calls
        rest = list(results)
        assert len(rest) == len(problem.queries[1]) - 1
        assert model.calls >= calls + len(rest), "all queries were worked on before the first came"

    def test_results_are_json(self) -> None:
        """Every interpretation is strict JSON, and says what it was made with."""
        problem = multilayer_perceptron()
        interpreter = self.make(problem)
        for result in interpreter.interpret(problem.queries, k=2):
            text = json.dumps(result.to_json(), allow_nan=False)
            read = json.loads(text)
            assert list(read) == ["query", "helpful", "harmful", "scores", "diagnostics"]
            assert read["diagnostics"]["interpreter"] == type(interpreter).registered_name()
            covered = read["diagnostics"]["parameters_covered"]
            assert abs(covered - 40 / 43) < 1e-12, "the bias with requires_grad=False is left out"
