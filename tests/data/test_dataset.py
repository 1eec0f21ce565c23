from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from hessinf.data import DataError, Dataset, Instance


def columnar(**names) -> Dataset:
    inputs = torch.arange(12.0).reshape(4, 3)
    targets = torch.tensor([0, 2, 1, 2], dtype=torch.int32)
    return Dataset.from_columns(inputs, targets, ids=["a", "b", "c", "d"], **names)


def listed(**names) -> Dataset:
    return Dataset([Instance(x.inputs, x.target, x.id) for x in columnar()], **names)


MAKERS = pytest.mark.parametrize("make", [columnar, listed])


@MAKERS
def test_is_a_sequence_of_instances(make):
    dataset = make()
    assert len(dataset) == 4
    assert [instance.id for instance in dataset] == ["a", "b", "c", "d"]
    assert dataset[-1].inputs.tolist() == [9, 10, 11]
    assert dataset[1].target.dtype == torch.int64
    assert dataset[1].target.shape == ()
    with pytest.raises(IndexError):
        dataset[4]


@MAKERS
def test_knows_classes_and_shapes(make):
    dataset = make()
    assert dataset.is_classification
    assert dataset.num_classes == 3
    assert make(label_names=["x", "y", "z", "never seen"]).num_classes == 4
    assert dataset.input_shape == (3,)
    assert dataset.target_shape == ()
    assert dataset.targets.tolist() == [0, 2, 1, 2]
    assert dataset.ids == ("a", "b", "c", "d")
    assert dataset.flipped is None


@MAKERS
def test_slices_and_subsets_keep_the_names(make):
    dataset = make(label_names=["x", "y", "z"], feature_names=["p", "q", "r"], name="small")
    for part in (dataset[1:3], dataset.subset([1, 2]), dataset.subset(np.array([-3, -2]))):
        assert isinstance(part, Dataset)
        assert part.ids == ("b", "c")
        assert part.targets.tolist() == [2, 1]
        assert part.label_names == ("x", "y", "z")
        assert part.feature_names == ("p", "q", "r")
        assert part.name == "small"
    assert dataset.subset(torch.tensor([3, 0])).ids == ("d", "a")
    assert dataset[::-1].ids == ("d", "c", "b", "a")
    assert len(dataset[2:2]) == 0


@MAKERS
def test_subset_refuses_what_is_no_index(make):
    with pytest.raises(DataError, match=r"^index 4 is outside a data set of 4 examples$"):
        make().subset([0, 4])
    with pytest.raises(DataError, match=r"^index -5 is outside a data set of 4 examples$"):
        make().subset([-5])
    with pytest.raises(
        DataError, match=r"^subset expects indices, found a mask of True and False$"
    ):
        make().subset(torch.tensor([True, False, True, True]))


@MAKERS
def test_display_is_made_from_the_numbers_where_there_is_none(make):
    dataset = make(label_names=["x", "y", "z"], feature_names=["p", "q", "r"])
    assert dataset[1].display == {"row": {"p": 3.0, "q": 4.0, "r": 5.0}, "label": "z"}
    assert make()[1].display == {"row": {"0": 3.0, "1": 4.0, "2": 5.0}, "label": "2"}
    assert next(iter(dataset)).display["label"] == "x"


def test_display_given_stays():
    dataset = columnar(displays=[{"text": letter} for letter in "abcd"])
    assert [instance.display for instance in dataset[:2]] == [{"text": "a"}, {"text": "b"}]


def test_regression():
    dataset = Dataset.from_columns(torch.zeros(2, 1, 2, 2), torch.tensor([1.5, 2.0]))
    assert not dataset.is_classification
    assert dataset.num_classes is None
    assert dataset.target_shape == (1,)
    assert dataset.input_shape == (1, 2, 2)
    assert dataset[0].display == {"image": [[0.0, 0.0], [0.0, 0.0]], "target": 1.5}
    several = Dataset.from_columns(torch.zeros(2, 300), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert several[1].display == {"target": [3.0, 4.0]}


def test_dict_inputs():
    inputs = {"ids": torch.arange(6).reshape(3, 2), "mask": torch.ones(3, 2)}
    dataset = Dataset.from_columns(inputs, torch.tensor([0, 1, 1]))
    assert dataset.input_shape is None
    assert dataset[1].inputs["ids"].tolist() == [2, 3]
    assert dataset.subset([2])[0].inputs["ids"].tolist() == [4, 5]
    assert dataset[1].display == {"label": "1"}


def test_columns_are_there_for_fast_batches():
    dataset = columnar()
    assert dataset.columns is not None
    assert dataset.columns.inputs.shape == (4, 3)
    assert dataset[1:].columns is not None
    assert listed().columns is None


def test_lengths_must_agree():
    with pytest.raises(
        DataError,
        match=r"^a data set needs as many of each, found 3 inputs, 2 targets, 2 ids$",
    ):
        Dataset.from_columns(torch.zeros(3, 1), torch.tensor([0, 1]))
    text = "a data set needs as many of each, found 2 inputs['x'], 2 targets, 1 ids, 2 displays"
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        Dataset.from_columns(
            {"x": torch.zeros(2)}, torch.tensor([0, 1]), ids=["a"], displays=[{}, {}]
        )


def test_targets_of_different_shapes_cannot_be_stacked():
    dataset = Dataset(
        [
            Instance(torch.zeros(1), torch.tensor(0), "a"),
            Instance(torch.zeros(1), torch.tensor([0, 1]), "b"),
        ]
    )
    text = "example 1 has a target of torch.int64 [2], expected torch.int64 [] as in example 0"
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        _ = dataset.targets


def test_an_empty_data_set_has_no_shape():
    with pytest.raises(DataError, match=r'^data set "nothing" has no examples$'):
        _ = Dataset([], name="nothing").input_shape


def test_repr_says_how_many():
    assert repr(columnar(name="small")) == "<Dataset 'small': 4 examples, 3 classes>"
    assert repr(Dataset([], name="none")) == "<Dataset 'none': 0 examples>"


@MAKERS
def test_relabelled_remembers_what_was_changed(make):
    dataset = make(label_names=["x", "y", "z"])
    noisy = dataset.relabelled({3: 0, 1: 1})
    assert noisy.targets.tolist() == [0, 1, 1, 0]
    assert dataset.targets.tolist() == [0, 2, 1, 2]
    assert noisy.flipped == (1, 3)
    assert noisy[3].display["label"] == "x"
    assert noisy[3].display["flipped_from"] == "z"
    assert noisy[3].display["row"] == {"0": 9.0, "1": 10.0, "2": 11.0}
    assert "flipped_from" not in noisy[0].display
    assert noisy.ids == dataset.ids
    assert noisy.subset([3, 0, 1]).flipped == (0, 2)
    assert noisy.fingerprint() != dataset.fingerprint()
