from __future__ import annotations

import re

import pytest

from hessinf.data import DataError, DatasetReader


def reader(**arguments):
    return DatasetReader.from_config({"type": "subset", "reader": "wine", "size": 20, **arguments})


def test_keeps_some_examples_in_their_order():
    everything = DatasetReader.from_config("wine").read("train")
    part = reader().read("train")
    places = [everything.ids.index(id) for id in part.ids]
    assert len(part) == 20
    assert places == sorted(set(places))
    assert part[0].inputs.tolist() == everything[places[0]].inputs.tolist()
    assert part.label_names == everything.label_names


def test_is_deterministic():
    assert reader().read("train").ids == reader().read("train").ids
    assert reader().read("train").ids != reader(subset_seed=1).read("train").ids


def test_only_the_paths_named_are_cut():
    assert len(reader().read("test")) == 18
    assert len(reader(paths=None, size=5).read("test")) == 5


def test_flipped_labels_are_counted_in_the_new_order():
    noisy = {"type": "noisy-labels", "reader": "wine", "rate": 0.5}
    part = reader(reader=noisy).read("train")
    shown = [index for index, x in enumerate(part) if "flipped_from" in x.display]
    assert part.flipped == tuple(shown) != ()


def test_too_few_examples():
    text = "subset asks for 161 examples, train has 160; lower size"
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        reader(size=161).read("train")
