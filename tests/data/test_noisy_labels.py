from __future__ import annotations

import re

import pytest
import torch

from hessinf.data import DataError, Dataset, DatasetReader, Instance, NoisyLabels
from hessinf.data.path_selection import is_selected
from hessinf.registry import ConfigError


def reader(**arguments):
    config = {"type": "noisy-labels", "reader": "wine", "rate": 0.1, **arguments}
    return DatasetReader.from_config(config)


class Fixed(DatasetReader):
    """Gives one data set for all paths."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def read(self, path: str) -> Dataset:
        return self.dataset


@pytest.mark.parametrize("kind", ["uniform", "class-pair"])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_changes_exactly_so_many_labels(kind, rate):
    clean = DatasetReader.from_config("wine").read("train")
    noisy = reader(rate=rate, kind=kind).read("train")
    changed = (clean.targets != noisy.targets).nonzero().flatten().tolist()
    assert len(changed) == round(rate * len(clean))
    assert noisy.flipped == tuple(changed)
    assert torch.equal(clean.columns.inputs, noisy.columns.inputs)
    assert noisy.ids == clean.ids
    for index in range(len(clean)):
        display = noisy[index].display
        assert display["row"] == clean[index].display["row"]
        assert display["label"] == noisy.label_names[noisy[index].target]
        if index in changed:
            assert display["flipped_from"] == clean[index].display["label"]
        else:
            assert "flipped_from" not in display


def test_uniform_reaches_all_other_classes():
    clean = DatasetReader.from_config("wine").read("train")
    noisy = reader(rate=1).read("train")
    steps = (noisy.targets - clean.targets) % 3
    assert steps.bincount(minlength=3).tolist()[0] == 0
    assert min(steps.bincount(minlength=3).tolist()[1:]) > 60


def test_class_pair_goes_to_the_next_class():
    clean = DatasetReader.from_config("wine").read("train")
    noisy = reader(rate=1, kind="class-pair").read("train")
    assert noisy.targets.tolist() == ((clean.targets + 1) % 3).tolist()


def test_only_the_paths_named_are_changed():
    clean = DatasetReader.from_config("wine").read("test")
    assert reader().read("test").fingerprint() == clean.fingerprint()
    assert reader().read("test").flipped is None
    assert len(reader(paths=["test"]).read("test").flipped) == round(0.1 * len(clean))
    everywhere = reader(paths=None)
    assert everywhere.read("test").flipped
    assert everywhere.read("train").flipped


def test_files_are_selected_by_their_name():
    assert is_selected("data/train.csv", ["train"])
    assert is_selected("data/train.csv", ["data/train.csv"])
    assert not is_selected("data/train.csv", ["data"])
    assert not is_selected("data/training.csv", ["train"])


def test_is_deterministic():
    first, second = reader(noise_seed=3).read("train"), reader(noise_seed=3).read("train")
    assert first.flipped == second.flipped
    assert first.fingerprint() == second.fingerprint()
    assert first.flipped != reader(noise_seed=4).read("train").flipped


def test_instances_that_are_no_columns():
    instances = [Instance(torch.zeros(i + 1), torch.tensor(i % 2), str(i)) for i in range(4)]
    noisy = NoisyLabels(reader=Fixed(Dataset(instances)), rate=0.5).read("train")
    assert len(noisy.flipped) == 2
    assert sum(int(x.target) != i % 2 for i, x in enumerate(noisy)) == 2


def refused(wrapper: NoisyLabels, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        wrapper.read("train")


def test_what_has_no_classes_is_refused():
    refused(
        reader(reader="diabetes"),
        "noisy-labels changes classes, but train has numbers to predict; "
        "remove the wrapper, or read a classification",
    )
    tokens = Dataset.from_columns(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.int64))
    refused(
        NoisyLabels(reader=Fixed(tokens), rate=0.5),
        "noisy-labels changes classes, but train has one label a position; "
        "remove the wrapper, or read a classification",
    )
    one = Dataset.from_columns(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))
    refused(
        NoisyLabels(reader=Fixed(one), rate=0.5),
        "noisy-labels needs two classes or more, train has 1",
    )


def test_labels_are_changed_once():
    nested = {"type": "noisy-labels", "reader": "wine", "rate": 0.1}
    refused(
        reader(reader=nested), "the labels of train were changed already; use noisy-labels once"
    )


def test_a_rate_is_a_share():
    with pytest.raises(ConfigError, match="rate"):
        reader(rate=1.1)
