from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from hessinf.data import DataError, DatasetReader
from hessinf.registry import ConfigError


def read(path: str, **arguments):
    return DatasetReader.from_config({"type": "two-moons", **arguments}).read(path)


def test_shapes_and_names():
    train, test = read("train", train_size=31), read("test", test_size=7)
    assert (len(train), len(test)) == (31, 7)
    assert train.input_shape == (2,)
    assert train[0].inputs.dtype == torch.float32
    assert train.label_names == ("upper moon", "lower moon")
    assert train.feature_names == ("x", "y")
    assert train.targets.bincount().tolist() == [16, 15]
    assert not set(train.ids) & set(test.ids)
    train.check()
    test.check()


def test_points_without_noise_lie_on_their_moons():
    data = read("train", noise=0.0)
    for instance in data:
        x, y = instance.inputs.double().tolist()
        center, side = ((0.0, 0.0), 1) if int(instance.target) == 0 else ((1.0, 0.5), -1)
        assert np.hypot(x - center[0], y - center[1]) == pytest.approx(1, abs=1e-6)
        assert side * (y - center[1]) >= 0


def test_what_a_person_is_shown():
    instance = read("train", noise=0.0)[1]
    row = instance.display["row"]
    assert instance.display["label"] == "lower moon"
    assert list(row) == ["x", "y", "degrees along the moon"]
    angle = np.radians(row["degrees along the moon"])
    assert [row["x"], row["y"]] == pytest.approx([1 - np.cos(angle), 0.5 - np.sin(angle)], abs=2e-3)


def test_the_same_seed_gives_the_same_points():
    assert read("train").fingerprint() == read("train").fingerprint()
    assert read("train").fingerprint() != read("train", data_seed=1).fingerprint()
    assert read("test").fingerprint() == read("test", train_size=5).fingerprint()


def test_other_paths_are_refused():
    message = 'reader "two-moons" has no split "tset"; did you mean "test"?'
    with pytest.raises(DataError, match=re.escape(message)):
        read("tset")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise": 1.5}, "noise   expected float between 0 and 1, found 1.5 (float)"),
        ({"train_size": 1}, "train_size   expected int >= 2, found 1 (int)"),
        ({"data_seed": -1}, "data_seed   expected int >= 0, found -1 (int)"),
        ({"nose": 0.1}, 'unknown argument of "two-moons"'),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        read("train", **arguments)
