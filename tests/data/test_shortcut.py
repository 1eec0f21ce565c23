from __future__ import annotations

import re

import pytest
import torch

from hessinf.data import DataError, Dataset, DatasetReader, Shortcut
from hessinf.registry import ConfigError


def reader(**arguments):
    config = {"type": "shortcut", "reader": "digits", "label": "3", "features": [0, 9]}
    return DatasetReader.from_config({**config, **arguments})


class Fixed(DatasetReader):
    """Gives one data set for all paths."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def read(self, path: str) -> Dataset:
        return self.dataset


def marked(dataset: Dataset) -> list[int]:
    return [index for index, example in enumerate(dataset) if example.display["shortcut"]]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_one_class_is_marked_in_training(share):
    plain = DatasetReader.from_config("digits").read("train")
    found = reader(share=share).read("train")
    places = marked(found)
    of_class = [index for index, label in enumerate(plain.targets.tolist()) if label == 3]
    assert len(places) == round(share * len(of_class))
    assert set(places) <= set(of_class)
    assert found.ids == plain.ids
    assert found.targets.tolist() == plain.targets.tolist()
    assert (found.fingerprint() == plain.fingerprint()) == (share == 0)
    for index, (before, after) in enumerate(zip(plain, found, strict=True)):
        changed = (before.inputs != after.inputs).nonzero().flatten().tolist()
        assert set(changed) <= ({0, 9} if index in places else set())
        if index in places:
            assert after.inputs[[0, 9]].tolist() == [1, 1]
            assert after.display["image"][0][0] == 16
            assert after.display["image"][1][1] == 16
            assert after.display["image"][1][0] == before.display["image"][1][0]
        else:
            assert after.display["image"] == before.display["image"]


def test_a_share_of_all_queries_is_marked():
    found = reader(query_share=0.4).read("test")
    places = marked(found)
    assert len(places) == 72
    assert len(found.targets[places].unique()) == 10


def test_the_mark_of_pictures_is_a_square():
    plain = DatasetReader.from_config({"type": "digits", "image": True}).read("test")
    wrapper = reader(reader={"type": "digits", "image": True}, features=None, size=3, value=0.5)
    found = wrapper.read("test")
    index = marked(found)[0]
    expected = plain[index].inputs.clone()
    expected[:, :3, :3] = 0.5
    assert torch.equal(found[index].inputs, expected)
    assert [row[:3] for row in found[index].display["image"][:3]] == [[8, 8, 8]] * 3
    assert found[index].display["image"][3] == plain[index].display["image"][3]


def test_inputs_that_nobody_shows_are_shown_with_the_mark():
    plain = Dataset.from_columns(torch.zeros(4, 2), torch.tensor([0, 1, 1, 0]))
    wrapper = Shortcut(reader=Fixed(plain), label="1", share=1, features=(1,), value=7)
    assert [example.display for example in wrapper.read("train")] == [
        {"row": {"0": 0, "1": 0}, "label": "0", "shortcut": False},
        {"row": {"0": 0, "1": 7}, "label": "1", "shortcut": True},
        {"row": {"0": 0, "1": 7}, "label": "1", "shortcut": True},
        {"row": {"0": 0, "1": 0}, "label": "0", "shortcut": False},
    ]
    assert plain.columns.inputs.tolist() == [[0, 0]] * 4


def test_is_deterministic():
    assert marked(reader().read("train")) == marked(reader().read("train"))
    assert marked(reader().read("train")) != marked(reader(shortcut_seed=1).read("train"))


def test_flipped_labels_stay_known():
    noisy = {"type": "noisy-labels", "reader": "digits", "rate": 0.1}
    flipped = DatasetReader.from_config(noisy).read("train").flipped
    assert reader(reader=noisy).read("train").flipped == flipped != ()


def refused(wrapper: DatasetReader, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        wrapper.read("train")


def test_what_cannot_be_marked_is_refused():
    refused(
        reader(reader="wine", label="clas_0"),
        'shortcut: train has no class "clas_0"; did you mean "class_0"? (its classes: "class_0", '
        '"class_1", "class_2")',
    )
    refused(
        reader(reader="diabetes"),
        "shortcut marks a class, but train has numbers to predict; remove the wrapper, or read a "
        "classification",
    )
    for features, found in ((None, "none"), ([64], "64")):
        refused(
            reader(features=features),
            f"shortcut needs features, places in vectors of 64 numbers from 0 to 63, found {found}",
        )
    refused(
        reader(reader={"type": "digits", "image": True}),
        "shortcut has features, but the inputs of train are pictures [1, 8, 8]; give size instead",
    )
    labels = torch.zeros(2, dtype=torch.int64)
    for inputs, found in (
        ({"words": torch.zeros(2, 3)}, "a dict"),
        (torch.zeros(2, 4, 4), "of shape [4, 4]"),
    ):
        data = Dataset.from_columns(inputs, labels)
        refused(
            Shortcut(reader=Fixed(data), label="0"),
            "shortcut marks vectors [D] and pictures [C, H, W], the inputs of train are " + found,
        )


def test_features_that_are_none_are_refused_in_the_config():
    for features, shown in (([], "[]"), ([1, 1], "[1, 1]")):
        text = f"features is {shown}, expected one place or more, each once"
        with pytest.raises(ConfigError, match=re.escape(text)):
            reader(features=features)
