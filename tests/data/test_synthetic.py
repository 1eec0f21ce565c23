from __future__ import annotations

import re

import pytest
import torch

from hessinf.data import DataError, DatasetReader
from hessinf.registry import ConfigError

KINDS = pytest.mark.parametrize("kind", ["blobs", "xor", "ring"])


def both(**arguments):
    reader = DatasetReader.from_config({"type": "synthetic", **arguments})
    return reader.read("train"), reader.read("test")


def test_ring_is_the_worked_example_to_the_bit():
    """The ring data of the well-known derivation of Koh and Liang's influence function."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inputs = torch.randn(60, 2)
        labels = (inputs[:, 0] ** 2 + inputs[:, 1] ** 2) > 1.5
        test_inputs = torch.randn(20, 2)
        test_labels = (test_inputs[:, 0] ** 2 + test_inputs[:, 1] ** 2) > 1.5
    train, test = both(kind="ring", train_size=60, test_size=20, data_seed=0)
    assert torch.equal(train.columns.inputs, inputs)
    assert torch.equal(test.columns.inputs, test_inputs)
    assert train.targets.tolist() == labels.int().tolist()
    assert test.targets.tolist() == test_labels.int().tolist()
    assert int(train.targets.sum()) == 26
    assert train.ids[:2] == ("ring/train/0", "ring/train/1")
    assert test.ids[-1] == "ring/test/19"


@KINDS
def test_is_deterministic_and_leaves_the_global_generator_alone(kind):
    torch.manual_seed(3)
    first = both(kind=kind)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), drawn)
    second = both(kind=kind)
    other = both(kind=kind, data_seed=1)
    assert [part.fingerprint() for part in first] == [part.fingerprint() for part in second]
    assert first[0].fingerprint() != other[0].fingerprint()


@KINDS
def test_shapes_and_names(kind):
    train, test = both(kind=kind, features=5, train_size=31, test_size=7, noise=0.1)
    assert (len(train), len(test)) == (31, 7)
    assert train.input_shape == test.input_shape == (5,)
    assert train[0].inputs.dtype == torch.float32
    assert train.feature_names == ("x0", "x1", "x2", "x3", "x4")
    assert list(train[0].display) == ["row", "label"]
    assert not set(train.ids) & set(test.ids)
    train.check()
    test.check()


def test_xor():
    train, _ = both(kind="xor", features=3)
    inputs = train.columns.inputs
    assert train.targets.tolist() == (inputs[:, 0] * inputs[:, 1] < 0).int().tolist()
    assert train.label_names == ("same sign", "opposite signs")


def test_blobs_lie_around_their_centers():
    train, test = both(kind="blobs", classes=4, spread=1e-3, train_size=40)
    assert train.num_classes == 4
    assert train.targets.bincount().tolist() == [10] * 4
    for label in range(4):
        points = train.columns.inputs[train.targets == label]
        others = test.columns.inputs[test.targets == label]
        assert points.std(dim=0).max() < 3e-3
        assert (others - points.mean(dim=0)).abs().max() < 1e-2


@KINDS
def test_noise_moves_points_and_keeps_labels(kind):
    clean, clean_test = both(kind=kind)
    noisy, noisy_test = both(kind=kind, noise=0.5)
    for before, after in ((clean, noisy), (clean_test, noisy_test)):
        assert torch.equal(before.targets, after.targets)
        moved = after.columns.inputs - before.columns.inputs
        assert 0.4 < float(moved.std()) < 0.6


def test_other_paths_are_refused():
    text = (
        'reader "synthetic" has no split "tests"; did you mean "test"? '
        '(its splits: "train", "test")'
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        DatasetReader.from_config("synthetic").read("tests")


def test_ring_and_xor_have_two_classes():
    assert both(kind="ring", classes=2)[0].num_classes == 2
    with pytest.raises(
        ConfigError, match="classes is 3, but ring has 2; leave it out, or use blobs"
    ):
        both(kind="ring", classes=3)
