from __future__ import annotations

import re

import pytest
import torch

from hessinf.data import DataError, Dataset, Instance


def dataset(inputs, targets, **names) -> Dataset:
    return Dataset.from_columns(torch.tensor(inputs), torch.tensor(targets), **names)


def refused(data: Dataset, text: str, **how) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        data.check(**how)
    if len(data):
        names = {"name": data.name, "label_names": data.label_names}
        with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
            Dataset(list(data), feature_names=data.feature_names, **names).check(**how)


def test_good_data_pass():
    dataset([[1.0], [2.0]], [0, 1]).check()
    dataset([[1.0], [2.0]], [0.5, 0.5]).check()
    Dataset(list(dataset([[1.0], [2.0]], [0, 1]))).check()


def test_empty():
    refused(Dataset([], name="t"), 'data set "t": found no examples, expected at least one')


def test_numbers_that_are_not_finite():
    nan, inf = float("nan"), float("inf")
    data = dataset(
        [[1.0, nan], [0.0, 0.0], [inf, nan]], [0, 1, 1], name="t", feature_names=["age", "bmi"]
    )
    refused(
        data,
        'data set "t": found 2 examples with unusable values; remove them, or fill in the values\n'
        '  example 0 (id "0"), feature "bmi": found nan, expected a finite number\n'
        '  example 2 (id "2"), feature "age": found inf, expected a finite number (and 1 more)',
    )
    refused(
        dataset([[1.0, -inf], [0.0, 0.0]], [0, 1]),
        "data set: found 1 example with unusable values; remove them, or fill in the values\n"
        '  example 0 (id "0"), feature 1: found -inf, expected a finite number',
    )
    refused(
        dataset([[1.0], [0.0]], [nan, 1.0], ids=["a", "b"]),
        "data set: found 1 example with unusable values; remove them, or fill in the values\n"
        '  example 0 (id "a"), target: found nan, expected a finite number',
    )
    refused(
        dataset([[[1.0, 1.0]], [[0.0, nan]]], [0, 1]),
        "data set: found 1 example with unusable values; remove them, or fill in the values\n"
        '  example 1 (id "1"), inputs[0, 1]: found nan, expected a finite number',
    )


def test_dict_inputs_that_are_not_finite():
    inputs = {"x": torch.tensor([[0.0, 1.0], [float("nan"), 0.0]])}
    refused(
        Dataset.from_columns(inputs, torch.tensor([0, 1])),
        "data set: found 1 example with unusable values; remove them, or fill in the values\n"
        '  example 1 (id "1"), inputs["x"][0]: found nan, expected a finite number',
    )


def test_ten_problems_are_shown_and_the_rest_counted():
    data = dataset([[float("nan")]] * 13, [0, 1] * 6 + [0])
    with pytest.raises(DataError) as raised:
        data.check()
    lines = str(raised.value).splitlines()
    assert len(lines) == 12
    assert lines[0].startswith("data set: found 13 examples")
    assert lines[-1] == "  ... and 3 more"


def test_what_is_no_tensor():
    data = Dataset([Instance([1.0], torch.tensor(0), "a")])  # type: ignore[arg-type]
    text = (
        "data set: found 1 example with unusable values; remove them, or fill in the values\n"
        '  example 0 (id "a"), inputs: found a list, expected a tensor'
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        data.check()


def test_repeated_ids():
    refused(
        dataset([[1.0], [0.0], [2.0]], [0, 1, 1], ids=["a", "b", "a"]),
        "data set: ids must differ, found 1 repeated id\n"
        '  example 2: found id "a", used by example 0',
    )


def test_one_class_cannot_be_trained_on():
    data = dataset([[1.0], [0.0]], [1, 1], label_names=["no", "yes"])
    refused(
        data,
        'data set: all 2 examples have the label "yes", expected at least two classes to train on; '
        "check the target, or the split",
    )
    data.check(training=False)
