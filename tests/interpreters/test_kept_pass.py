"""Training gradients that are kept are those that were computed, while they fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hessinf.gradients import FactoredGradients, Gradients
from hessinf.interpreters import GradientDot
from hessinf.interpreters.kept_pass import KeptPass
from hessinf.testing import multilayer_perceptron


def tensors(count: int, first: int = 0) -> Gradients:
    rows = torch.arange(first, first + count, dtype=torch.float64)
    return Gradients({"weight": rows[:, None].repeat(1, 3)})


def test_a_pass_is_kept_and_repeated() -> None:
    kept = KeptPass(5, memory=1e6)
    kept.begin()
    kept.add(tensors(3), torch.arange(3.0))
    assert not kept.complete
    kept.add(tensors(2, 3), torch.arange(3.0, 5.0))
    assert kept.complete
    for size, counts in ((None, [3, 2]), (2, [2, 1, 2]), (99, [3, 2])):
        parts = list(kept.iteration(size))
        assert [gradients.count for gradients, _ in parts] == counts
        assert torch.cat([losses for _, losses in parts]).tolist() == [0, 1, 2, 3, 4]
        assert torch.cat([x.flatten() for x, _ in parts])[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_too_much_is_not_begun() -> None:
    kept = KeptPass(5, memory=5 * 24 - 1)
    kept.add(tensors(2), torch.arange(2.0))  # the others will take as much
    assert kept.parts == []
    kept.add(tensors(3, 2), torch.arange(3.0))
    assert not kept.complete
    kept.begin()
    kept.add(tensors(5), torch.arange(5.0))
    assert kept.parts == []


def test_an_unfinished_pass_is_begun_anew() -> None:
    kept = KeptPass(4, memory=1e6)
    kept.add(tensors(3), torch.arange(3.0))
    kept.begin()
    for first in (0, 2):
        kept.add(tensors(2, first), torch.arange(first, first + 2.0))
    assert kept.complete
    kept.begin()
    kept.add(tensors(4), torch.zeros(4))  # one pass is enough
    assert torch.cat([losses for _, losses in kept.iteration()]).tolist() == [0, 1, 2, 3]


def interpreter(**given: Any) -> Any:
    problem = multilayer_perceptron()
    return GradientDot(problem.module(), problem.train, objective=problem.objective, **given)


def test_factors_are_kept_as_factors() -> None:
    problem = multilayer_perceptron()
    found = interpreter(batch_size=10).fit()
    scores = found.scores(problem.queries)
    kept = found.kept_pass
    assert kept.complete
    assert [gradients.count for gradients, _ in kept.parts] == [10, 10, 10, 7]
    for gradients, _ in kept.parts:
        assert isinstance(gradients, FactoredGradients)
        assert not gradients._blocks
    (part, _), *_ = kept.iteration()
    part.flatten()
    assert kept.parts[0][0]._flat is None
    np.testing.assert_array_equal(found.scores(problem.queries), scores)


def test_the_model_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = multilayer_perceptron()
    found = interpreter(query_batch_size=2)
    found.scores(problem.queries)
    monkeypatch.setattr(type(found._per_example), "parts", lambda *_: 1 / 0)
    assert len(list(found.train_pass("again"))) == 1
    assert [x.count for x in found.train_gradients()] == [found.memory_plan.batch_size]


def test_nothing_is_kept_beyond_a_quarter_of_the_memory() -> None:
    problem = multilayer_perceptron()
    found = interpreter(memory_limit=4e-6, query_batch_size=2)
    scores = found.scores(problem.queries)
    assert not found.kept_pass.complete
    np.testing.assert_allclose(scores, interpreter().scores(problem.queries), rtol=1e-12)
