from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from hessinf.data import DataError, Dataset, Instance, as_dataset

INPUTS = torch.arange(6.0).reshape(3, 2)
LABELS = torch.tensor([0, 1, 1])


class Squares(torch.utils.data.Dataset):
    """A map-style data set that counts what is read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[torch.Tensor, float]:
        self.read.append(index)
        return torch.tensor([float(index)]), float(index**2)


@pytest.mark.parametrize(
    "data",
    [
        (INPUTS, LABELS),
        [INPUTS, LABELS],
        (INPUTS.numpy(), LABELS.numpy().astype(np.uint8)),
        TensorDataset(INPUTS, LABELS),
        list(zip(INPUTS, LABELS.tolist(), strict=True)),
        [(row.numpy(), label) for row, label in zip(INPUTS, LABELS.numpy(), strict=True)],
        [Instance(INPUTS[i], LABELS[i], str(i)) for i in range(3)],
    ],
)
def test_all_forms_are_one_data_set(data):
    dataset = as_dataset(data, label_names=["no", "yes"], name="t")
    assert dataset.ids == ("0", "1", "2")
    assert dataset.fingerprint() == Dataset.from_columns(INPUTS, LABELS).fingerprint()
    assert dataset.name == "t"
    assert dataset[1].display == {"row": {"0": 2.0, "1": 3.0}, "label": "yes"}
    assert dataset.num_classes == 2
    dataset.check()


def test_a_data_set_is_given_back():
    dataset = Dataset.from_columns(INPUTS, LABELS)
    assert as_dataset(dataset) is dataset


def test_dicts_of_inputs():
    columns = as_dataset(({"x": INPUTS}, LABELS))
    pairs = as_dataset([({"x": row}, label) for row, label in zip(INPUTS, LABELS, strict=True)])
    assert columns.fingerprint() == pairs.fingerprint()


def test_float_targets_get_a_dimension():
    assert as_dataset((INPUTS, LABELS.float())).target_shape == (1,)
    assert as_dataset([(INPUTS[0], 1.0), (INPUTS[1], 0.0)]).target_shape == (1,)
    assert as_dataset((INPUTS, LABELS > 0)).targets.tolist() == [0, 1, 1]


def test_torch_data_sets_are_read_when_needed():
    squares = Squares()
    dataset = as_dataset(squares)
    squares.read.clear()  # The first was looked at, to know what it is.
    part = dataset[1:4].subset([2, 0])
    assert part.ids == ("3", "1")
    assert squares.read == []
    assert part[0].target.tolist() == [9.0]
    assert squares.read == [3]
    assert [instance.id for instance in dataset] == ["0", "1", "2", "3", "4"]


ACCEPTED = (
    "expected a Dataset, a sequence of Instances, a torch Dataset or list of (inputs, target) "
    "pairs, or a pair of tensors (inputs [N, ...], targets [N] or [N, T])"
)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (3, f"found a int, {ACCEPTED}"),
        (INPUTS, f"found a Tensor alone, {ACCEPTED}"),
        ({"x": INPUTS}, f"found a dict, {ACCEPTED}; read an iterable data set into a list first"),
        (
            iter([]),
            f"found a list_iterator, {ACCEPTED}; read an iterable data set into a list first",
        ),
        (
            (INPUTS, LABELS[:2]),
            "a data set needs as many of each, found 3 inputs, 2 targets, 2 ids",
        ),
        (
            [Instance(INPUTS[0], LABELS[0], "a"), (INPUTS[0], 1)],
            "example 1: found a tuple, expected an Instance like the rest",
        ),
    ],
)
def test_other_things_are_refused(data, text):
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        as_dataset(data)


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        (
            (INPUTS[0], 1, 2),
            "example 0: expected a pair (inputs, target), found a tuple of 3; "
            "wrap the data set so that it gives pairs",
        ),
        (
            INPUTS[0],
            "example 0: expected a pair (inputs, target), found a Tensor; "
            "wrap the data set so that it gives pairs",
        ),
    ],
)
def test_what_is_no_pair_is_refused_by_its_place(pair, text):
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        as_dataset([pair])[0]


def test_inputs_that_are_no_numbers_are_refused_by_their_place():
    text = "example 0: inputs (str) and target (int) must be tensors, arrays or numbers: "
    with pytest.raises(DataError, match=f"^{re.escape(text)}"):
        as_dataset([("text", 1)])[0]
    with pytest.raises(DataError, match=r"^targets cannot be made a tensor: "):
        as_dataset((INPUTS, np.array(["a", "b", "c"])))
