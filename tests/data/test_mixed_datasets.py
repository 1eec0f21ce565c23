from __future__ import annotations

import re

import pytest
import torch

from hessinf.data import DataError, Dataset, DatasetReader, MixedDatasets
from hessinf.registry import ConfigError


def reader(**arguments):
    config = {
        "type": "mixed-datasets",
        "reader": "digits",
        "other": {"type": "synthetic", "features": 64, "train_size": 20, "test_size": 5},
        "label": "3",
    }
    return DatasetReader.from_config({**config, **arguments})


class Fixed(DatasetReader):
    """Gives one data set for all paths."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def read(self, path: str) -> Dataset:
        return self.dataset


def columns(labels, names, *, flipped=None, inputs=None):
    targets = torch.tensor(labels)
    inputs = torch.zeros(len(labels), 2) if inputs is None else inputs
    return Fixed(Dataset.from_columns(inputs, targets, label_names=names, flipped=flipped))


def test_the_other_examples_come_behind_with_one_class():
    main = DatasetReader.from_config("digits").read("test")
    other = DatasetReader.from_config(
        {"type": "synthetic", "features": 64, "train_size": 20, "test_size": 5}
    ).read("test")
    mixed = reader(names=["digits", "blobs"]).read("test")
    assert mixed.label_names == main.label_names
    assert mixed.ids == (
        *(f"digits/{id}" for id in main.ids),
        *(f"blobs/{id}" for id in other.ids),
    )
    assert [x.display["source"] for x in mixed] == ["digits"] * len(main) + ["blobs"] * 5
    assert mixed.targets.tolist() == main.targets.tolist() + [3] * 5
    assert mixed[-1].display["label"] == "3"
    assert torch.equal(mixed[0].inputs, main[0].inputs)
    assert torch.equal(mixed[-1].inputs, other[-1].inputs)
    assert mixed.flipped is None
    assert mixed.fingerprint() != main.fingerprint()
    mixed.check()


def test_classes_of_one_name_are_one_class():
    wrapper = MixedDatasets(
        reader=columns([0, 1, 1], ["a", "b"]), other=columns([0, 1], ["c", "a"], flipped=[1])
    )
    mixed = wrapper.read("train")
    assert mixed.label_names == ("a", "b", "c")
    assert mixed.targets.tolist() == [0, 1, 1, 2, 0]
    assert [x.display["label"] for x in mixed] == ["a", "b", "b", "c", "a"]
    assert mixed.ids == ("main/0", "main/1", "main/2", "other/0", "other/1")
    assert mixed.flipped == (4,)


def test_the_same_data_twice_have_ids_of_their_own():
    mixed = reader(other="digits").read("test")
    assert len(set(mixed.ids)) == len(mixed.ids) == 360


def test_each_reader_has_its_path():
    small = {"type": "synthetic", "features": 64, "train_size": 7, "test_size": 5}
    assert len(reader(other=small, other_paths={"test": "train"}).read("test")) == 187
    assert len(reader(other=small, other_paths={"test": "train"}).read("train")) == 1624


def refused(wrapper: DatasetReader, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        wrapper.read("train")


def test_what_does_not_fit_together_is_refused():
    refused(
        reader(other="wine"),
        'mixed-datasets joins inputs of one shape and type: "main" has float32 [64] and "other" '
        "has float32 [13]",
    )
    words = {"words": torch.zeros(1, 2)}
    refused(
        MixedDatasets(reader=columns([0], ["a"]), other=columns([0], ["a"], inputs=words)),
        'mixed-datasets joins inputs of one shape and type: "main" has float32 [2] and "other" has '
        'a dict of "words"',
    )
    refused(
        reader(label="three"),
        'mixed-datasets: train has no class "three" (its classes: "0", "1", "2", '
        '"3", "4", "5", "6", "7", "8", "9")',
    )
    refused(
        reader(other="diabetes"),
        "mixed-datasets joins classes, but train has numbers to predict; remove the wrapper, or "
        "read a classification",
    )


def test_sources_of_one_name_are_refused_in_the_config():
    text = 'names are both "x", expected two different ones'
    with pytest.raises(ConfigError, match=text):
        reader(names=["x", "x"])


def test_state_is_that_of_both_readers(tmp_path):
    for name, first in (("a", 1), ("b", 5)):
        (tmp_path / f"{name}.csv").write_text(f"x,y\n{first},a\n3,b\n")
    table = {"type": "csv", "target": "y"}
    paths = {str(tmp_path / "a.csv"): str(tmp_path / "b.csv")}
    config = {"reader": table, "other": table, "label": None, "other_paths": paths}
    wrapper = reader(**config)
    assert wrapper.state() == {}
    wrapper.read(str(tmp_path / "a.csv"))
    assert wrapper.state()["reader"]["standardization"] == {"mean": [2.0], "scale": [1.0]}
    assert wrapper.state()["other"]["standardization"] == {"mean": [4.0], "scale": [1.0]}
    again = reader(**config)
    again.load_state(wrapper.state())
    assert again.state() == wrapper.state()
    again.load_state({})
    text = (
        'mixed-datasets expects a state with "reader" and "other", found "mean"; was it saved by '
        "another reader?"
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        again.load_state({"mean": []})


def test_texts_of_two_vocabularies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open("a.jsonl", "w") as file:
        file.write('{"text": "good", "label": "x"}\n{"text": "bad", "label": "y"}\n')
    with open("b.jsonl", "w") as file:
        file.write('{"text": "other", "label": "x"}\n{"text": "words", "label": "y"}\n')
    config = {"type": "mixed-datasets", "reader": "text", "other": "text", "names": ["a", "b"]}
    message = (
        'mixed-datasets joins texts of one vocabulary, and the words of "a" and "b" differ; put '
        "the texts into one file"
    )
    mixed = DatasetReader.from_config({**config, "other_paths": {"a.jsonl": "b.jsonl"}})
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        mixed.read("a.jsonl")
