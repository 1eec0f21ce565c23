from __future__ import annotations

import re

import pytest
import torch

from hessinf.data import DataError, Dataset, DatasetReader, GroupedLabels
from hessinf.registry import ConfigError

GROUPS = {"b": ["class_1"], "a": ["class_0", "class_2"]}


def reader(**arguments):
    config = {"type": "grouped-labels", "reader": "wine", "groups": GROUPS, **arguments}
    return DatasetReader.from_config(config)


class Fixed(DatasetReader):
    """Gives one data set for all paths."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def read(self, path: str) -> Dataset:
        return self.dataset


@pytest.mark.parametrize("path", ["train", "test"])
def test_classes_are_put_together_and_remembered(path):
    finer = DatasetReader.from_config("wine").read(path)
    grouped = reader().read(path)
    # Larger classes are numbered in the order of their first finer class: "a" has class 0.
    assert grouped.label_names == ("a", "b")
    assert grouped.targets.tolist() == [{0: 0, 1: 1, 2: 0}[x] for x in finer.targets.tolist()]
    assert grouped.ids == finer.ids
    assert grouped.feature_names == finer.feature_names
    assert grouped.fingerprint() != finer.fingerprint()
    for before, after in zip(finer, grouped, strict=True):
        assert torch.equal(before.inputs, after.inputs)
        assert after.display["row"] == before.display["row"]
        assert after.display["finer_label"] == before.display["label"]
        assert after.display["label"] == grouped.label_names[after.target]


def test_the_order_of_groups_changes_nothing():
    backwards = reader(groups=dict(reversed(GROUPS.items())))
    assert backwards.read("train").fingerprint() == reader().read("train").fingerprint()


def test_flipped_labels_stay_known():
    noisy = {"type": "noisy-labels", "reader": "wine", "rate": 0.5}
    flipped = DatasetReader.from_config(noisy).read("train").flipped
    assert reader(reader=noisy).read("train").flipped == flipped != ()


def test_classes_without_names_are_their_numbers():
    plain = Dataset.from_columns(torch.zeros(4, 2), torch.tensor([0, 1, 2, 1]))
    grouped = GroupedLabels(reader=Fixed(plain), groups={"x": ["0", "2"], "y": ["1"]}).read("train")
    assert grouped.targets.tolist() == [0, 1, 0, 1]
    assert grouped[2].display["finer_label"] == "2"


def refused(wrapper: GroupedLabels, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        wrapper.read("train")


def test_groups_that_do_not_fit_are_refused():
    refused(
        reader(groups={"a": ["class_0", "clas_1"], "b": ["class_2"]}),
        'grouped-labels: train has no class "clas_1"; did you mean "class_1"? (its classes: '
        '"class_0", "class_1", "class_2")',
    )
    refused(
        reader(groups={"a": ["class_0"], "b": ["class_2"]}),
        'grouped-labels: the class "class_1" of train is in no group; add it to one',
    )
    refused(
        reader(reader="diabetes"),
        "grouped-labels puts classes together, but train has numbers to predict; remove the "
        "wrapper, or read a classification",
    )


def test_groups_that_are_none_are_refused_in_the_config():
    with pytest.raises(ConfigError, match='groups has the class "class_0" twice, expected it once'):
        reader(groups={"a": ["class_0"], "b": ["class_0"]})
    text = "groups needs two larger classes or more, with a finer class in each"
    for groups in ({"a": ["class_0"]}, {"a": ["class_0"], "b": []}):
        with pytest.raises(ConfigError, match=text):
            reader(groups=groups)
