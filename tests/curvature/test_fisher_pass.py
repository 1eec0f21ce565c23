"""What is kept between two passes, and made beside the first one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hessinf.curvature import fisher_pass
from hessinf.curvature.fisher_columns import FisherColumns, FisherKind
from hessinf.curvature.fisher_pass import FisherPass
from hessinf.curvature.kronecker_eigenvalues import SquaredGradients
from hessinf.curvature.kronecker_fit import fit_kronecker
from hessinf.data import as_dataset
from hessinf.data.batching import Batch, batches
from hessinf.gradients import FunctionalModel
from hessinf.gradients.layers import LayerCapture
from hessinf.models import as_objective
from hessinf.testing.problems import multilayer_perceptron, transformer


class Watched:
    """Notes which examples came by."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def begin(self) -> None:
        self.events = []

    def of_part(self, record: Any, batch: Batch) -> None:
        assert len(record.outputs) == batch.size
        self.events.append(batch.indices.tolist())

    def give_up(self) -> None:
        self.events.append("given up")


def made(keeps: float, kind: FisherKind = "type-2", **arguments: Any) -> FisherPass:
    problem = multilayer_perceptron()
    model = FunctionalModel(problem.module().eval())
    objective = as_objective(problem.objective)
    data = batches(as_dataset(problem.train), 12)
    columns = FisherColumns(objective, kind, 3)
    return FisherPass(LayerCapture(model), columns, data, keeps=keeps, **arguments)


def squares(through: FisherPass) -> Any:
    units = through.capture.units
    return SquaredGradients(units, [(None, None) for _ in units])


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many examples each forward pass had."""
    sizes: list[int] = []
    original = LayerCapture.recording

    def recording(self: LayerCapture, batch: Batch, **arguments: Any) -> Any:
        sizes.append(batch.size)
        return original(self, batch, **arguments)

    monkeypatch.setattr(LayerCapture, "recording", recording)
    return sizes


@pytest.mark.parametrize("kind", ["type-2", "monte-carlo", "empirical"])
@pytest.mark.parametrize("columns_at_once", [None, 1])
class TestKept:
    def test_the_second_sum_runs_nothing(
        self, kind: FisherKind, columns_at_once: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        through = made(1e9, kind, columns_at_once=columns_at_once)
        through.probe()
        first = through.first_sum(lambda: squares(through), "first", keep=True)
        sizes = recorded(monkeypatch)
        second = through.sum(lambda: squares(through), "second")
        assert sizes == []
        for one, other in zip(first, second, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-13, atol=0)
        through.forget()
        through.sum(lambda: squares(through), "third")
        assert sum(sizes) == len(through.batches.dataset)

    def test_what_does_not_fit_runs_again(
        self, kind: FisherKind, columns_at_once: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = made(1e9, kind, columns_at_once=columns_at_once)
        whole.probe()
        expected = whole.first_sum(lambda: squares(whole), "first", keep=True)
        held = sum(part.memory for parts in whole._kept.values() for part in parts)
        some = made(held / 2, kind, columns_at_once=columns_at_once)
        some.probe()
        some.first_sum(lambda: squares(some), "first", keep=True)
        assert sum(part.memory for parts in some._kept.values() for part in parts) <= held / 2
        sizes = recorded(monkeypatch)
        found = some.sum(lambda: squares(some), "second")
        assert 0 < sum(sizes) < len(some.batches.dataset)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-13, atol=0)


class TestBeside:
    def test_it_sees_the_training_data_once_in_order(self) -> None:
        watched = Watched()
        through = made(0, beside=watched)
        through.probe()
        for _ in range(2):
            through.first_sum(lambda: squares(through), "first", keep=False)
            seen = [index for part in watched.events for index in part]
            assert seen == list(range(len(through.batches.dataset)))
        through.sum(lambda: squares(through), "second")
        assert [index for part in watched.events for index in part] == seen

    def test_it_gives_up_where_memory_does_not_suffice(self) -> None:
        watched = Watched()
        through = made(0, beside=watched, columns_at_once=4)
        through.probe()
        tried = []

        def statistic() -> Any:
            found = squares(through)
            original = found.add

            def add(gradients: Any) -> None:
                tried.append(gradients.count)
                if len(tried) == 2:
                    raise torch.OutOfMemoryError("no memory left")
                original(gradients)

            found.add = add
            return found

        through.first_sum(statistic, "first", keep=False)
        assert watched.events[:3] == [list(range(12)), "given up", list(range(12, 24))]


def test_parts_of_a_batch_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two examples at a time, or all of them: factors, eigenvalues and what is told of samples."""
    problem = transformer()
    model = FunctionalModel(problem.module())
    found = []
    for size in (fisher_pass.FACTORS_AT_ONCE, 20_000):
        monkeypatch.setattr(fisher_pass, "FACTORS_AT_ONCE", size)
        with model.evaluating():
            found.append(
                fit_kronecker(
                    model,
                    as_objective(problem.objective),
                    batches(as_dataset(problem.train), 100),
                    fisher="monte-carlo",
                    samples=2,
                    corrected=True,
                )
            )
    one, other = found
    assert one.facts.keys() == other.facts.keys()
    error = "fisher_relative_standard_error"
    assert one.facts[error] == pytest.approx(other.facts[error], rel=1e-10)
    whole, parts = one.dense(), other.dense()
    assert float((whole - parts).norm()) <= 1e-9 * float(whole.norm())
