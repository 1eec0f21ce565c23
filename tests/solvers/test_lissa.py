"""LiSSA against dense solutions, and against AllenNLP's recursion."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from hessinf.solvers import DivergenceError, lissa_in_place
from hessinf.solvers.lissa import allennlp_recursion, lissa

DAMPING = 0.05


def problem(count: int = 40, size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows whose outer products are the curvature of an example, and right-hand sides."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(count, size, generator=generator, dtype=torch.float64)
    return rows, torch.randn(3, size, generator=generator, dtype=torch.float64)


def product(rows: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    return (vectors @ rows.T) @ rows / len(rows)


def solution(rows: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    matrix = rows.T @ rows / len(rows) + DAMPING * torch.eye(rows.shape[1], dtype=torch.float64)
    return torch.linalg.solve(matrix, vectors.T).T


def drawn(rows: torch.Tensor, size: int, seed: int) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield rows[torch.randint(len(rows), (size,), generator=generator)]


@pytest.mark.parametrize("tail_average", [True, False])
@pytest.mark.parametrize("scale", [3.0, 10.0])
def test_full_batches_converge_to_the_solution(tail_average: bool, scale: float) -> None:
    rows, vectors = problem()
    found = lissa(
        vectors,
        product,
        itertools.repeat(rows),
        steps=6000,
        damping=DAMPING,
        scale=scale,
        tail_average=tail_average,
    )
    expected = solution(rows, vectors)
    assert float((found - expected).norm() / expected.norm()) < 1e-8


def test_the_tail_average_is_nearer_than_the_last_iterate() -> None:
    rows, vectors = problem()
    expected = solution(rows, vectors)
    errors = {}
    for tail_average in (True, False):
        errors[tail_average] = [
            float(
                (
                    lissa(
                        vectors,
                        product,
                        drawn(rows, 4, seed),
                        steps=3000,
                        damping=DAMPING,
                        scale=20.0,
                        tail_average=tail_average,
                    )
                    - expected
                ).norm()
                / expected.norm()
            )
            for seed in range(3)
        ]
    assert all(
        averaged < 0.5 * last for averaged, last in zip(errors[True], errors[False], strict=True)
    )


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_mean_is_that_of_the_second_half(steps: int) -> None:
    rows, vectors = problem()
    iterate = vectors / 4.0
    iterates = []
    for _ in range(steps):
        iterate = iterate + (vectors - product(rows, iterate) - DAMPING * iterate) / 4.0
        iterates.append(iterate)
    expected = torch.stack([x for t, x in enumerate(iterates, 1) if 2 * t > steps]).mean(0)
    found = lissa(vectors, product, itertools.repeat(rows), steps=steps, damping=DAMPING, scale=4.0)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)


def test_right_hand_sides_do_not_meet() -> None:
    rows, vectors = problem()
    options: dict[str, Any] = {"steps": 50, "damping": DAMPING, "scale": 8.0}
    together = lissa(vectors, product, drawn(rows, 5, 0), **options)
    for row in range(3):
        alone = lissa(vectors[row : row + 1], product, drawn(rows, 5, 0), **options)
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("tail_average", [True, False])
def test_numbers_may_lie_in_any_order(steps: int, tail_average: bool) -> None:
    rows, vectors = problem()
    count, size = vectors.shape
    order = torch.randperm(vectors.numel(), generator=torch.Generator().manual_seed(1))
    back = order.argsort()

    def add(batch: Any, given: torch.Tensor, into: torch.Tensor, factor: float) -> None:
        products = product(batch, given[back].view(count, size))
        into.add_(products.flatten()[order], alpha=factor)

    shift = (vectors / 4.0).flatten()[order]
    before = shift.clone()
    found = lissa_in_place(
        shift,
        add,
        drawn(rows, 5, 0),
        steps=steps,
        damping=DAMPING,
        scale=4.0,
        tail_average=tail_average,
        norms=lambda numbers: numbers[back].view(count, size).norm(dim=1),
    )
    expected = lissa(
        vectors,
        product,
        drawn(rows, 5, 0),
        steps=steps,
        damping=DAMPING,
        scale=4.0,
        tail_average=tail_average,
    )
    torch.testing.assert_close(found[back].view(count, size), expected, rtol=1e-14, atol=1e-14)
    assert torch.equal(shift, before)


def test_zero_stays_zero() -> None:
    rows, vectors = problem()
    found = lissa(
        vectors * 0, product, itertools.repeat(rows), steps=30, damping=DAMPING, scale=4.0
    )
    assert torch.equal(found, torch.zeros_like(vectors))


@pytest.mark.parametrize("damping", [0.0, DAMPING])
def test_divergence(damping: float) -> None:
    rows, vectors = problem()
    seen = []
    with pytest.raises(DivergenceError, match=r"^LiSSA ran away within \d+ steps at scale 0\.1$"):
        lissa(
            vectors,
            product,
            itertools.repeat(rows),
            steps=5000,
            damping=damping,
            scale=0.1,
            on_step=lambda: seen.append(1),
        )
    assert len(seen) < 100


def test_every_step_is_announced() -> None:
    rows, vectors = problem()
    seen: list[int] = []
    for recursion in (lissa, allennlp_recursion):
        recursion(
            vectors,
            product,
            itertools.repeat(rows),
            steps=7,
            damping=DAMPING,
            scale=9.0,
            on_step=lambda: seen.append(1),
        )
    assert len(seen) == 14


@pytest.mark.parametrize("recursion", [lissa, allennlp_recursion])
class TestSteps:
    def test_none(self, recursion: Callable[..., torch.Tensor]) -> None:
        rows, vectors = problem()
        with pytest.raises(ValueError, match=r"^LiSSA needs at least one step, found 0$"):
            recursion(vectors, product, [rows], steps=0, damping=0.1, scale=9.0)

    def test_too_few_batches(self, recursion: Callable[..., torch.Tensor]) -> None:
        rows, vectors = problem()
        text = "LiSSA needs a batch for each of its 5 steps, found 2"
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            recursion(vectors, product, [rows, rows], steps=5, damping=0.1, scale=9.0)


class TestAllenNlp:
    def restated(
        self, vectors: torch.Tensor, batches: list[torch.Tensor], damping: float, scale: float
    ) -> torch.Tensor:
        """SimpleInfluence's recursion for one sample, one query after another, by autograd."""
        results = []
        for vector in vectors:
            estimate = vector
            for rows in batches:
                weights = torch.ones(len(vector), dtype=torch.float64, requires_grad=True)
                loss = 0.5 * ((rows @ weights) ** 2).mean()
                (gradient,) = torch.autograd.grad(loss, weights, create_graph=True)
                (hvp,) = torch.autograd.grad(gradient @ estimate, weights)
                estimate = vector + (1 - damping) * estimate - hvp / scale
            results.append(estimate / scale)
        return torch.stack(results)

    def test_to_the_letter(self) -> None:
        rows, vectors = problem()
        batches = list(rows.split(8))
        found = allennlp_recursion(vectors, product, batches, steps=5, damping=3e-3, scale=20.0)
        expected = self.restated(vectors, batches, 3e-3, 20.0)
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)

    def test_its_damping_is_multiplied_by_the_scale(self) -> None:
        rows, vectors = problem()
        scale = 20.0
        found = allennlp_recursion(
            vectors,
            product,
            itertools.repeat(rows),
            steps=9000,
            damping=DAMPING / scale,
            scale=scale,
        )
        torch.testing.assert_close(found, solution(rows, vectors), rtol=1e-8, atol=1e-9)

    def test_divergence(self) -> None:
        rows, vectors = problem()
        with pytest.raises(
            DivergenceError, match=r"^LiSSA ran away within \d+ steps at scale 0\.001$"
        ):
            allennlp_recursion(
                vectors, product, itertools.repeat(rows), steps=5000, damping=0.1, scale=1e-3
            )
