from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.execution import Executor, LocalExecutor
from hessinf.gradients import FactoredGradients, Gradients
from hessinf.interpreters import InfluenceInterpreter, kronecker_scores
from hessinf.interpreters.kronecker_influence import KroneckerInfluence
from hessinf.scores import contraction


def wide_network(dtype: torch.dtype = torch.float64) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(12, 96), nn.Tanh(), nn.Linear(96, 96), nn.Tanh())
        return layers.append(nn.Linear(96, 3)).to(dtype)


def data(count: int, seed: int, dtype: torch.dtype = torch.float64) -> Any:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 12, generator=generator, dtype=torch.float64) ** 3
    return inputs.to(dtype), torch.randint(3, (count,), generator=generator)


def interpreter(method: str = "ekfac", **arguments: Any) -> KroneckerInfluence:
    made = InfluenceInterpreter.by_name(method)(
        wide_network(), data(300, 0), **{"damping": 1e-2, **arguments}
    )
    assert isinstance(made, KroneckerInfluence)
    return made


QUERIES = data(70, 1)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What ways are chosen, block of queries by block of queries."""
    seen: list[list[str]] = []
    original = kronecker_scores.KroneckerScores.__init__

    def watched(self: Any, *args: Any, **arguments: Any) -> None:
        original(self, *args, **arguments)
        seen.append([choice.strategy for choice in self.plan])

    monkeypatch.setattr(kronecker_scores.KroneckerScores, "__init__", watched)
    return seen


@pytest.mark.parametrize("method", ["kfac", "ekfac"])
class TestLowRank:
    def test_errors_are_below_the_bound_and_that_below_the_tolerance(
        self, method: str, plans: list[list[str]]
    ) -> None:
        approximate = interpreter(method, damping=0.3)
        exact = interpreter(method, damping=0.3, exact_scores=True)
        found, reported = approximate.scores(QUERIES), approximate.reports["score_error_bound"]
        wanted = exact.scores(QUERIES)
        assert "low-rank" in plans[0]
        assert "low-rank" not in plans[-1]
        errors = np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
        count = len(reported)  # the last block
        assert (errors[-count:] <= reported.numpy() * (1 + 1e-6) + 1e-13).all()
        assert float(reported.max()) <= kronecker_scores.TOLERANCE
        assert errors.max() <= kronecker_scores.TOLERANCE
        assert errors.max() > 1e-12, "something is left out"

    def test_exact_scores_report_no_bound(self, method: str) -> None:
        exact = interpreter(method, exact_scores=True)
        exact.scores(QUERIES)
        assert "score_error_bound" not in exact.reports

    def test_exact_scores_are_those_of_influence_factors(self, method: str) -> None:
        exact = interpreter(method, exact_scores=True)
        found = exact.scores(QUERIES)
        with exact.model.evaluating():
            queries, _ = exact.measured_gradients(next(iter(_batch(exact, QUERIES))))
            factors = contraction.InnerProducts(exact.precondition(queries))
            parts = [factors(part) for part in exact.train_gradients()]
        np.testing.assert_allclose(found, torch.cat(parts, dim=1).numpy(), rtol=0, atol=1e-9)

    def test_another_damping_is_another_inverse(self, method: str) -> None:
        once, anew = interpreter(method), interpreter(method, damping=0.3)
        once.scores(QUERIES)
        once.change_damping(0.3)
        found, wanted = once.scores(QUERIES), anew.scores(QUERIES)
        assert np.linalg.norm(found - wanted) <= 1e-12 * np.linalg.norm(wanted)

    def test_diagnostics_have_the_bound(self, method: str) -> None:
        (explained,) = interpreter(method).interpret(data(1, 2), k=1)
        bound = explained.diagnostics.get("score_error_bound")
        assert bound is None or 0 <= bound <= kronecker_scores.TOLERANCE


def _batch(of: KroneckerInfluence, queries: Any) -> Any:
    from hessinf.data import as_dataset
    from hessinf.data.batching import batches

    return batches(as_dataset(queries), len(queries[0]), dtype=of.model.dtype)


def test_heuristic_damping_needs_one_term(plans: list[list[str]]) -> None:
    one = interpreter("kfac", heuristic_damping=True)
    other = interpreter("kfac", heuristic_damping=True, exact_scores=True)
    found, wanted = one.scores(QUERIES), other.scores(QUERIES)
    assert "low-rank" in plans[0]
    assert np.linalg.norm(found - wanted) <= 1e-12 * np.linalg.norm(wanted)


def test_gradients_that_are_no_factors_are_scored_too() -> None:
    one = interpreter(exact_scores=True)
    one.fit()
    with one.model.evaluating():
        queries, _ = one.measured_gradients(next(iter(_batch(one, QUERIES))))
        scorer = one.scorer(queries)
        assert isinstance(scorer, kronecker_scores.KroneckerScores)
        gradients = next(iter(one.train_gradients()))
        assert isinstance(gradients, FactoredGradients)
        plain = Gradients.from_flat(gradients.flatten(), one.model.layout)
        torch.testing.assert_close(scorer(plain), scorer(gradients), rtol=1e-9, atol=1e-9)
        from_plain = one.scorer(Gradients.from_flat(queries.flatten(), one.model.layout))
        assert isinstance(from_plain, contraction.InnerProducts)
        torch.testing.assert_close(from_plain(gradients), scorer(gradients), rtol=1e-9, atol=1e-9)


def test_blocks_of_other_matrices_are_not_taken_for_these() -> None:
    one = interpreter()
    one.fit()
    bases = kronecker_scores.DampedBases(one.curvature, one.damping_, False, one.model)
    with one.model.evaluating():
        queries, _ = one.measured_gradients(next(iter(_batch(one, QUERIES))))
    assert isinstance(queries, FactoredGradients)
    assert bases.hold(queries.units)
    assert not bases.hold(queries.units[:-1])
    block, basis = bases.matrices["0"]
    bases.matrices["0"] = bases.matrices["2"]
    assert not bases.hold(queries.units)
    bases.matrices["0"] = (block, basis)
    block.places[0, 0], block.places[0, 1] = int(block.places[0, 1]), int(block.places[0, 0])
    assert not bases.hold(queries.units)


class TestKeptBetweenStages:
    def test_the_fit_leaves_the_training_gradients(self) -> None:
        one = interpreter()
        one.fit()
        assert one.kept_pass.complete
        expected = interpreter()
        with expected.model.evaluating():
            wanted = torch.cat([part.flatten() for part in expected.train_gradients()])
        found = torch.cat([part.flatten() for part, _ in one.kept_pass.iteration()])
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-14)
        losses = torch.cat([losses for _, losses in one.kept_pass.iteration()])
        torch.testing.assert_close(losses, one.training_losses)

    def test_what_does_not_fit_is_computed_again(self) -> None:
        kept, anew = (
            interpreter(fisher="monte-carlo"),
            interpreter(fisher="monte-carlo", memory_limit=1.6e-3, batch_size=32),
        )
        found, wanted = anew.scores(QUERIES), kept.scores(QUERIES)
        assert kept.kept_pass.complete
        assert not anew.kept_pass.complete
        # Covariances are added up in other parts.
        assert np.linalg.norm(found - wanted) <= 2e-6 * np.linalg.norm(wanted)

    def test_batches_out_of_order_are_not_kept(self) -> None:
        class LastFirst(Executor):
            """Works on batches from the last to the first."""

            def sum(self, function: Callable[[Any], Any], shards: Iterable[Any]) -> Any:
                return LocalExecutor().sum(function, list(shards)[::-1])

        one = interpreter(batch_size=60, executor=LastFirst())
        found = one.scores(QUERIES)
        expected = interpreter(batch_size=60).scores(QUERIES)
        assert np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)
