"""Batches: stacked, padded, moved, the same whatever their size."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from hessinf.data import Dataset, Instance, as_dataset
from hessinf.data import batching as batching_module
from hessinf.data.batching import Batch, Batches, batches, collate
from hessinf.data.errors import DataError


def instance(inputs: Any, target: Any, name: str) -> Instance:
    return Instance(inputs, torch.as_tensor(target), name, {})


def rows(count: int) -> list[Instance]:
    return [instance(torch.tensor([float(i), -float(i)]), i % 3, f"r{i}") for i in range(count)]


class TestCollate:
    def test_equal_shapes_are_stacked(self) -> None:
        batch = collate(rows(3))
        assert torch.equal(batch.inputs, torch.tensor([[0.0, 0.0], [1.0, -1.0], [2.0, -2.0]]))
        assert torch.equal(batch.targets, torch.tensor([0, 1, 2]))
        assert batch.indices.tolist() == [0, 1, 2]
        assert batch.size == 3

    def test_places_are_kept(self) -> None:
        assert collate(rows(2), [7, 4]).indices.tolist() == [7, 4]
        assert collate(rows(2), [7, 4]).indices.dtype == torch.int64

    def test_ragged_inputs_and_targets_are_padded(self) -> None:
        batch = collate(
            [
                instance(torch.ones(2, 3), torch.tensor([5, 6]), "short"),
                instance(torch.full((4, 3), 2.0), torch.tensor([1, 2, 3, 4]), "long"),
            ]
        )
        assert isinstance(batch.inputs, torch.Tensor)
        assert batch.inputs.shape == (2, 4, 3)
        assert torch.equal(batch.inputs[0, :2], torch.ones(2, 3))
        assert torch.equal(batch.inputs[0, 2:], torch.zeros(2, 3))
        assert batch.targets.tolist() == [[5, 6, -100, -100], [1, 2, 3, 4]]

    def test_dict_inputs(self) -> None:
        batch = collate(
            [
                instance({"tokens": torch.tensor([1, 2]), "mask": torch.tensor([1, 1])}, 0, "a"),
                instance({"mask": torch.tensor([1]), "tokens": torch.tensor([3])}, 1, "b"),
            ]
        )
        assert isinstance(batch.inputs, dict)
        assert batch.inputs["tokens"].tolist() == [[1, 2], [3, 0]]
        assert batch.inputs["mask"].tolist() == [[1, 1], [1, 0]]

    @pytest.mark.parametrize(
        ("instances", "text"),
        [
            ([], "a batch needs at least one example, found none"),
            (
                [instance(torch.ones(2, 3), 0, "a"), instance(torch.ones(2, 4), 0, "b")],
                'the inputs of "b" has shape [2, 4], that of "a" [2, 3]: expected shapes that '
                "differ at most in the first dimension, which is padded",
            ),
            (
                [instance(torch.ones(2), 0, "a"), instance(torch.ones(2), [1, 2], "b")],
                'the target of "b" has shape [2], that of "a" []',
            ),
            (
                [instance(torch.ones(2), [0.5], "a"), instance(torch.ones(2), [1.0, 2.0], "b")],
                'the target of "b" has shape [2], that of "a" [1]',
            ),
            (
                [
                    instance({"x": torch.ones(2)}, 0, "a"),
                    instance({"x": torch.ones(2), "y": torch.ones(2)}, 0, "b"),
                ],
                'the inputs of "b" differ from those of "a": expected a dict with x',
            ),
            (
                [instance({"x": torch.ones(2)}, 0, "a"), instance(torch.ones(2), 0, "b")],
                'the inputs of "b" differ from those of "a": expected a dict with x',
            ),
            (
                [instance(torch.ones(2), 0, "a"), instance({"x": torch.ones(2)}, 0, "b")],
                'the inputs of "b" are a dict, those of "a" a tensor: expected the same kind',
            ),
            (
                [
                    instance({"x": torch.ones(2, 1)}, 0, "a"),
                    instance({"x": torch.ones(2)}, 0, "b"),
                ],
                'the input "x" of "b" has shape [2], that of "a" [2, 1]',
            ),
        ],
    )
    def test_what_cannot_be_stacked_is_named(self, instances: list[Instance], text: str) -> None:
        with pytest.raises(DataError, match=re.escape(text)):
            collate(instances)


class TestBatch:
    def test_slices_are_views(self) -> None:
        batch = collate(rows(4))
        part = batch.select(slice(1, 3))
        assert isinstance(part.inputs, torch.Tensor)
        assert isinstance(batch.inputs, torch.Tensor)
        assert part.inputs.data_ptr() == batch.inputs[1].data_ptr()
        assert part.indices.tolist() == [1, 2]

    def test_chosen_places(self) -> None:
        batch = collate([instance({"x": torch.tensor([float(i)])}, i, str(i)) for i in range(4)])
        part = batch.select(torch.tensor([3, 0, 3]))
        assert isinstance(part.inputs, dict)
        assert part.inputs["x"].flatten().tolist() == [3.0, 0.0, 3.0]
        assert part.targets.tolist() == part.indices.tolist() == [3, 0, 3]

    def test_moving_changes_floats_only(self) -> None:
        inputs = {"x": torch.ones(2, 1), "tokens": torch.ones(2, dtype=torch.int64)}
        batch = Batch(inputs, torch.zeros(2, dtype=torch.int64), torch.arange(2))
        moved = batch.to("meta", torch.float64)
        assert isinstance(moved.inputs, dict)
        assert moved.inputs["x"].dtype == torch.float64
        assert moved.inputs["tokens"].dtype == moved.targets.dtype == torch.int64
        assert moved.inputs["x"].device.type == moved.targets.device.type == "meta"
        assert moved.indices.device.type == "cpu"
        assert batch.inputs["x"].dtype == torch.float32

    def test_bytes(self) -> None:
        assert collate(rows(3)).nbytes == 3 * 2 * 4 + 3 * 8


def listed(data: Batches) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    parts = list(data)
    return (
        torch.cat([part.inputs for part in parts if isinstance(part.inputs, torch.Tensor)]),
        torch.cat([part.targets for part in parts]),
        torch.cat([part.indices for part in parts]),
    )


class TestBatches:
    @pytest.mark.parametrize("batch_size", [1, 3, 7, 8])
    def test_every_batch_size_gives_the_same_examples(self, batch_size: int) -> None:
        inputs, targets = torch.randn(7, 2), torch.arange(7)
        data = batches(as_dataset((inputs, targets)), batch_size)
        assert len(data) == len(list(data)) == -(-7 // batch_size)
        for found, expected in zip(listed(data), (inputs, targets, torch.arange(7)), strict=True):
            assert torch.equal(found, expected)

    def test_columns_are_not_copied(self) -> None:
        inputs = torch.randn(5, 2)
        second = list(batches(as_dataset((inputs, torch.arange(5))), 2))[1]
        assert isinstance(second.inputs, torch.Tensor)
        assert second.inputs.data_ptr() == inputs[2].data_ptr()

    @pytest.mark.parametrize("as_columns", [True, False])
    def test_a_loader_gives_what_stacking_gives(
        self, as_columns: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        examples = rows(7)
        dataset = (
            as_dataset((torch.stack([x.inputs for x in examples]), torch.arange(7)))
            if as_columns
            else Dataset(examples)
        )
        stacked = batches(dataset, 3, dtype=torch.float64)
        monkeypatch.setattr(batching_module, "ASSEMBLED_BYTES", 0)
        loaded = batches(dataset, 3, dtype=torch.float64)
        assert stacked._whole is not None
        assert loaded._whole is None
        for found, expected in zip(listed(loaded), listed(stacked), strict=True):
            assert torch.equal(found, expected)
            assert found.dtype == expected.dtype
        for data in (stacked, loaded):
            chosen = data.select(torch.tensor([6, 2]))
            assert chosen.indices.tolist() == [6, 2]
            assert isinstance(chosen.inputs, torch.Tensor)
            assert chosen.inputs[:, 0].tolist() == [6.0, 2.0]
            assert chosen.inputs.dtype == torch.float64

    def test_reading_leaves_the_callers_random_numbers_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batching_module, "ASSEMBLED_BYTES", 0)
        data = batches(Dataset(rows(4)), 2)
        before = torch.random.get_rng_state()
        assert len(list(data)) == 2
        assert torch.equal(before, torch.random.get_rng_state())

    def test_ragged_examples_are_padded_batch_by_batch(self) -> None:
        examples = [instance(torch.ones(n), n, str(n)) for n in (1, 2, 5, 4)]
        data = batches(Dataset(examples), 2)
        shapes = [tuple(x.inputs.shape) for x in data if isinstance(x.inputs, torch.Tensor)]
        assert shapes == [(2, 2), (2, 5)]
        alone = data.select(torch.tensor([0]))
        assert isinstance(alone.inputs, torch.Tensor)
        assert alone.inputs.shape == (1, 1)

    def test_ragged_targets_are_padded_too(self) -> None:
        examples = [instance(torch.ones(2), [1] * n, str(n)) for n in (1, 3)]
        (batch,) = batches(Dataset(examples), 2)
        assert batch.targets.tolist() == [[1, -100, -100], [1, 1, 1]]

    def test_pairs(self) -> None:
        class Pairs(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
            def __len__(self) -> int:
                return 5

            def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
                return torch.full((2,), float(index)), index

        data = batches(as_dataset(Pairs()), 2)
        inputs, targets, indices = listed(data)
        assert inputs[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert targets.tolist() == indices.tolist() == [0, 1, 2, 3, 4]

    def test_can_be_gone_through_again(self) -> None:
        data = batches(Dataset(rows(5)), 2)
        assert [x.size for x in data] == [x.size for x in data] == [2, 2, 1]

    @pytest.mark.parametrize(
        "dataset", [Dataset([]), as_dataset((torch.ones(2, 1), torch.ones(2)))[:0]]
    )
    def test_no_examples_no_batches(self, dataset: Dataset) -> None:
        data = batches(dataset, 4)
        assert len(data) == 0
        assert list(data) == []

    def test_batch_size_zero(self) -> None:
        with pytest.raises(ValueError, match="batch_size must be at least 1, found 0"):
            batches(Dataset(rows(2)), 0)
