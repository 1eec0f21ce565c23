"""Curvature products of texts: masks, ignored positions, tied weights, batches of any make-up.

The dense references are those of :mod:`hessinf.testing`, which take examples one at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from hessinf.data import Dataset
from hessinf.data.batching import Batch, collate
from hessinf.gradients import (
    CurvatureProducts,
    FunctionalModel,
    GaussNewtonProducts,
    HessianProducts,
)
from hessinf.models import CrossEntropy, LanguageModeling, Objective
from hessinf.testing import Problem, language_model, references, transformer

OBJECTIVES: dict[str, Objective] = {
    "transformer": CrossEntropy(),
    "language model": LanguageModeling(),
}
REFERENCES = {HessianProducts: references.hessian, GaussNewtonProducts: references.gauss_newton}


def ragged(problem: Problem, order: list[int], sizes: list[int]) -> list[Batch]:
    """Batches of examples in this order, each padded to its own longest."""
    instances = Dataset(problem.instances(problem.train))
    starts = [sum(sizes[:count]) for count in range(len(sizes))]
    parts = [order[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    assert sum(sizes) == len(order)
    return [collate([instances[place] for place in part], part) for part in parts]


def whole(problem: Problem) -> Batch:
    inputs, targets = problem.train
    return Batch(inputs, targets, torch.arange(problem.num_train))


@pytest.mark.parametrize("kind", REFERENCES)
@pytest.mark.parametrize("make", [transformer, language_model])
class TestAgainstDenseReferences:
    def error(self, problem: Problem, kind: type[CurvatureProducts], batches: list[Batch]) -> float:
        model = FunctionalModel(problem.module())
        objective = OBJECTIVES[problem.name]
        products = kind(model, objective, batches, problem.weight_decay)
        generator = torch.Generator().manual_seed(1)
        vectors = torch.randn(4, products.size, generator=generator, dtype=torch.float64)
        with model.evaluating():
            found = products.products(vectors)  # [K, P]
        expected = vectors @ torch.from_numpy(REFERENCES[kind](problem))  # [K, P]
        return float((found - expected).norm() / expected.norm())

    def test_padded_beforehand(
        self, make: Callable[[], Problem], kind: type[CurvatureProducts]
    ) -> None:
        problem = make()
        assert self.error(problem, kind, [whole(problem)]) < 1e-10

    @pytest.mark.parametrize("size", [1, 2, 4, 1000])
    def test_ragged_batches_with_a_short_last_one(
        self, make: Callable[[], Problem], kind: type[CurvatureProducts], size: int
    ) -> None:
        problem = make()
        count = problem.num_train
        sizes = [min(size, count - start) for start in range(0, count, size)]
        assert self.error(problem, kind, ragged(problem, list(range(count)), sizes)) < 1e-10

    def test_any_order(self, make: Callable[[], Problem], kind: type[CurvatureProducts]) -> None:
        """Long and short texts meet otherwise; the last batch holds one, which counts as one."""
        problem = make()
        order = torch.randperm(problem.num_train, generator=torch.Generator().manual_seed(2))
        sizes = [4, problem.num_train - 5, 1]
        assert self.error(problem, kind, ragged(problem, order.tolist(), sizes)) < 1e-10

    def test_ignored_positions_count(
        self, make: Callable[[], Problem], kind: type[CurvatureProducts]
    ) -> None:
        """Damage: with padding as one more class, the products are others."""
        problem = make()
        batch = whole(problem)
        counted = Batch(batch.inputs, batch.targets.clamp(min=0), batch.indices)
        assert self.error(problem, kind, [counted]) > 1e-2


def test_masks_count() -> None:
    """Damage: with padding in sight, the products are others."""
    problem = transformer()
    batch = whole(problem)
    assert isinstance(batch.inputs, dict)
    everything = torch.ones_like(batch.inputs["attention_mask"])
    seen = Batch({**batch.inputs, "attention_mask": everything}, batch.targets, batch.indices)
    for kind in REFERENCES:
        assert TestAgainstDenseReferences().error(problem, kind, [seen]) > 1e-2


@pytest.mark.parametrize("kind", REFERENCES)
def test_means_over_positions_are_taken_by_example(kind: type[CurvatureProducts]) -> None:
    """Not over the tokens of the batch, of which texts of other lengths have others."""
    problem = transformer()
    mean = CrossEntropy(example_reduction="mean")
    model = FunctionalModel(problem.module())
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(2, model.layout.size, generator=generator, dtype=torch.float64)
    with model.evaluating():
        count = problem.num_train
        alone = kind(model, mean, ragged(problem, list(range(count)), [1] * count))
        together = kind(model, mean, [whole(problem)])
        expected = alone.products(vectors)
        torch.testing.assert_close(together.products(vectors), expected, rtol=1e-9, atol=1e-11)
        summed = kind(model, CrossEntropy(), [whole(problem)]).products(vectors)
    assert float((summed - expected).norm()) > 0.1 * float(expected.norm())
