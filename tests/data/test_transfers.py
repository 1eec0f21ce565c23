"""Batches arrive as they were sent, and the next one is on its way before one is worked on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from hessinf.data import Dataset
from hessinf.data import batching as batching_module
from hessinf.data.batching import Batch, batches
from hessinf.data.transfers import one_ahead, transferred


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_the_next_one_is_started_before_one_is_handed_out(count: int) -> None:
    events: list[str] = []

    def sources() -> Iterator[int]:
        for number in range(count):
            events.append(f"read {number}")
            yield number

    def start(number: int) -> int:
        events.append(f"start {number}")
        return number

    def finish(number: int) -> int:
        events.append(f"finish {number}")
        return number

    def work(number: int) -> None:
        events.append(f"work on {number}")

    for number in one_ahead(sources(), start, finish):
        work(number)

    expected = ["read 0", "start 0"] if count else []
    for number in range(count):
        if number + 1 < count:
            expected += [f"read {number + 1}", f"start {number + 1}"]
        expected += [f"finish {number}", f"work on {number}"]
    assert events == expected


def test_at_most_two_are_there_at_a_time() -> None:
    alive, most = 0, 0

    def start(number: int) -> int:
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        return number

    for _ in one_ahead(range(9), start, lambda number: number):
        alive -= 1
    assert most == 2


def test_to_the_cpu() -> None:
    sent = [Batch({"x": torch.ones(2, 3)}, torch.tensor([n, n]), torch.arange(2)) for n in range(3)]
    found = list(transferred(sent, torch.device("cpu"), torch.float64))
    assert [batch.targets.tolist() for batch in found] == [[0, 0], [1, 1], [2, 2]]
    for batch in found:
        assert isinstance(batch.inputs, dict)
        assert batch.inputs["x"].dtype == torch.float64


def test_large_columns_are_read_as_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching_module, "ASSEMBLED_BYTES", 0)
    inputs = torch.randn(7, 2)
    data = batches(Dataset.from_columns(inputs, torch.arange(7)), 3)
    assert not data.assembled
    found = list(data)
    assert [batch.indices.tolist() for batch in found] == [[0, 1, 2], [3, 4, 5], [6]]
    for batch, start in zip(found, (0, 3, 6), strict=True):
        assert isinstance(batch.inputs, torch.Tensor)
        assert batch.inputs.data_ptr() == inputs[start].data_ptr()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("there_already", [False, True])
def test_to_a_gpu(there_already: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching_module, "ASSEMBLED_BYTES", 0)
    device = torch.device("cuda")
    inputs, targets = torch.randn(1000, 4096), torch.arange(1000)
    given = (inputs.to(device), targets.to(device)) if there_already else (inputs, targets)
    data = batches(Dataset.from_columns(*given), 64, device=device, dtype=torch.float64)
    for _ in range(3):  # memory is used again, by one stream and the other
        sums, classes = [], []
        for batch in data:
            assert isinstance(batch.inputs, torch.Tensor)
            assert batch.inputs.device.type == batch.targets.device.type == "cuda"
            square = batch.inputs @ batch.inputs.T  # keeps the device busy
            sums.append(batch.inputs.sum(dim=1) + 0 * square[0])
            classes.append(batch.targets)
        torch.testing.assert_close(torch.cat(sums).cpu(), inputs.double().sum(dim=1))
        assert torch.cat(classes).cpu().tolist() == targets.tolist()
