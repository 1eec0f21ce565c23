"""The hook that prepares queries: what the base does, and what a method may do instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.gradients import FactoredGradients, Gradients
from hessinf.interpreters import GradientDot, InfluenceInterpreter, InterpreterError
from hessinf.interpreters.method_hooks import own_scorer, takes_factors
from hessinf.interpreters.score_stream import _side_by_side
from hessinf.scores.contraction import InnerProducts
from hessinf.testing import multilayer_perceptron, references

PROBLEM = multilayer_perceptron()


def make(cls: Any, **given: Any) -> Any:
    return cls(PROBLEM.module(), PROBLEM.train, objective=PROBLEM.objective, **given)


def dots() -> np.ndarray:
    queries = references.gradients(PROBLEM, PROBLEM.queries)
    return queries @ references.gradients(PROBLEM, PROBLEM.train).T


class Scaled(InfluenceInterpreter):
    """Preconditions, and leaves the rest to the base."""

    def precondition(self, gradients: Gradients) -> Gradients:
        self.report(queries=gradients.count)
        return gradients * 2.0


class ByName(InfluenceInterpreter):
    """Has a rule of its own, which reads tensors by the names of parameters."""

    seen: list[Any]

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        self.seen.append(train_gradients)
        total = torch.zeros(query_gradients.count, train_gradients.count, dtype=torch.float64)
        for name in train_gradients:
            block = train_gradients[name]
            assert block.shape[1:] == self.model.parameters[name].shape
            total += query_gradients[name].flatten(1) @ block.flatten(1).T
        return total


class Prepared(InfluenceInterpreter):
    """Prepares queries itself."""

    prepared = 0
    sizes: tuple[int, ...] = ()

    def scorer(self, query_gradients: Gradients) -> Callable[[Gradients], torch.Tensor]:
        self.prepared += 1
        flat = query_gradients.flatten()  # [Q, P]

        def score(gradients: Gradients) -> torch.Tensor:
            assert isinstance(gradients, FactoredGradients)
            self.sizes = (*self.sizes, gradients.count)
            return 3 * flat @ gradients.flatten().T

        return score


class Whole(Prepared):
    """Says anew how to precondition: what the class above prepares does not hold any more."""

    def precondition(self, gradients: Gradients) -> Gradients:
        return gradients * 5.0


class Rescored(Scaled):
    """Says anew how to score."""

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        return -query_gradients.dot(train_gradients)


@pytest.mark.parametrize(
    ("cls", "factor", "own", "factors"),
    [
        (Scaled, 2, False, True),
        (Prepared, 3, True, True),
        (Whole, 5, False, True),
        (Rescored, -2, False, False),
    ],
)
def test_the_most_derived_rule_counts(cls: Any, factor: float, own: bool, factors: bool) -> None:
    interpreter = make(cls)
    np.testing.assert_allclose(interpreter.scores(PROBLEM.queries), factor * dots(), rtol=1e-12)
    assert own_scorer(interpreter) == own
    assert takes_factors(interpreter) == factors
    own_scores = interpreter.self_influence()
    train = references.gradients(PROBLEM, PROBLEM.train)
    np.testing.assert_allclose(own_scores, factor * (train**2).sum(1), rtol=1e-12)


def test_queries_are_prepared_once_a_block() -> None:
    interpreter = make(Prepared, query_batch_size=2, batch_size=10)
    interpreter.scores(PROBLEM.queries)
    assert interpreter.prepared == 3
    assert interpreter.sizes == (10, 10, 10, 7) * 3


def test_reports_belong_to_the_block() -> None:
    interpreter = make(Scaled, query_batch_size=2)
    counts = [x.diagnostics["queries"] for x in interpreter.interpret(PROBLEM.queries, 1)]
    assert counts == [2, 2, 2, 2, 1]


def test_the_base_multiplies_factors() -> None:
    interpreter = make(GradientDot).fit()
    with interpreter.model.evaluating():
        gradients, _ = next(iter(interpreter.train_pass("training", factored=True)))
        score = interpreter.scorer(gradients)
    assert isinstance(score, InnerProducts)
    assert score.factors is gradients
    assert [choice.name for choice in score.plan(gradients)] == [x.name for x in gradients.units]


def test_a_rule_of_its_own_reads_tensors_by_name() -> None:
    interpreter = make(ByName, batch_size=10)
    interpreter.seen = []
    np.testing.assert_allclose(interpreter.scores(PROBLEM.queries), dots(), rtol=1e-12)
    interpreter.scores(PROBLEM.queries)
    first, *_ = interpreter.kept_pass.parts
    assert first[0]._flat is None  # what the rule formed is not kept
    assert not first[0]._blocks


def test_rules_that_take_tensors_get_batches_that_fit_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for cls, expected in ((ByName, 5), (GradientDot, 37)):
        interpreter = make(cls)
        interpreter.seen = []
        plan = interpreter.memory_plan
        object.__setattr__(plan, "batch_size", 5)
        interpreter.scores(PROBLEM.queries)
        sizes = {gradients.count for gradients, _ in interpreter.kept_pass.parts}
        assert max(sizes) == expected


def test_a_shape_that_is_wrong() -> None:
    class Wrong(Prepared):
        def scorer(self, query_gradients: Gradients) -> Callable[[Gradients], torch.Tensor]:
            return lambda gradients: torch.zeros(gradients.count, query_gradients.count)

    text = "Wrong.scorer() returned shape [37, 5], expected [5, 37]: queries × training examples"
    with pytest.raises(InterpreterError, match=f"^{re.escape(text)}$"):
        make(Wrong).scores(PROBLEM.queries)


def test_factors_that_are_not_finite_name_the_query() -> None:
    class Broken(InfluenceInterpreter):
        def precondition(self, gradients: Gradients) -> Gradients:
            flat = gradients.flatten().clone()
            flat[1] = float("nan")
            return gradients.like(flat)

    text = (
        "the influence factors of query 1 among queries 0 to 1 are not finite; is damping too "
        "small, or the curvature singular?"
    )
    with pytest.raises(InterpreterError, match=f"^{re.escape(text)}$"):
        make(Broken, query_batch_size=2).scores(PROBLEM.queries)


def test_streams_of_different_batches_are_cut_alike() -> None:
    def stream(*sizes: int) -> Iterator[torch.Tensor]:
        start = 0
        for size in sizes:
            yield torch.arange(start, start + size).repeat(2, 1)
            start += size

    rows = list(_side_by_side([stream(4, 3), stream(2, 2, 3), stream(7)]))
    for blocks in rows:
        assert all(torch.equal(block, blocks[0]) for block in blocks)
    assert torch.cat([blocks[0] for blocks in rows], dim=1)[1].tolist() == list(range(7))
    assert [blocks[0].shape[1] for blocks in rows] == [2, 2, 3]


def test_as_many_queries_as_fit() -> None:
    assert make(GradientDot).query_batch_size == 256
    assert make(GradientDot).arguments["query_batch_size"] == "auto"
    assert make(GradientDot, query_batch_size=7).query_batch_size == 7
    size = make(GradientDot).model.layout.size * 8
    small = make(GradientDot, memory_limit=8 * 3 * size / 2**30)
    assert small.query_batch_size == 3
    np.testing.assert_allclose(small.scores(PROBLEM.queries), dots(), rtol=1e-12)
