from __future__ import annotations

import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn import datasets

from hessinf.data import DataError, DatasetReader, package_files, scikit_learn_files
from hessinf.registry import ConfigError

SIZES = {"breast-cancer": 569, "diabetes": 442, "digits": 1797, "iris": 150, "wine": 178}
LOADERS = {
    "breast-cancer": datasets.load_breast_cancer,
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}
TABLES = [name for name in SIZES if name != "digits"]
CLASSES = [name for name in SIZES if name != "diabetes"]


def both(name: str, **arguments):
    reader = DatasetReader.from_config({"type": name, **arguments})
    return reader.read("train"), reader.read("test")


@pytest.mark.parametrize("name", SIZES)
def test_splits_are_disjoint_and_complete(name):
    train, test = both(name)
    assert len(test) == -(-SIZES[name] // 10)
    assert {*train.ids, *test.ids} == {f"{name}/{row}" for row in range(SIZES[name])}
    assert len(train) + len(test) == SIZES[name]
    train.check()
    test.check(training=False)


@pytest.mark.parametrize("name", SIZES)
def test_is_deterministic_and_leaves_the_global_generator_alone(name):
    np.random.seed(1)
    first = both(name)
    np.random.seed(2)
    expected = np.random.RandomState(2).rand()
    second = both(name)
    assert np.random.rand() == expected
    assert [part.fingerprint() for part in first] == [part.fingerprint() for part in second]
    other = both(name, split_seed=1)
    assert other[1].ids != first[1].ids
    assert [(p.inputs.tolist(), p.display) for p in first[1][:2]] == [
        (p.inputs.tolist(), p.display) for p in second[1][:2]
    ]


@pytest.mark.parametrize("name", SIZES)
def test_examples_are_those_of_their_ids(name):
    table = LOADERS[name]()
    for dataset in both(name):
        for instance in dataset[:20]:
            row = int(instance.id.removeprefix(f"{name}/"))
            assert float(instance.target.squeeze()) == table.target[row]
            if name == "digits":
                assert instance.display["image"] == table.images[row].astype(int).tolist()
                assert instance.inputs.tolist() == (table.data[row] / 16).tolist()
            else:
                assert list(instance.display["row"].values()) == table.data[row].tolist()
                assert list(instance.display["row"]) == list(table.feature_names)


@pytest.mark.parametrize("name", SIZES)
def test_tables_are_those_that_scikit_learn_loads(name):
    found, expected = DatasetReader.by_name(name)().load(), LOADERS[name]()
    np.testing.assert_array_equal(found.data, expected.data)
    np.testing.assert_array_equal(found.target, expected.target)
    assert list(found.feature_names) == list(expected.feature_names)
    names = [] if name == "diabetes" else expected.target_names
    assert list(found.target_names) == [str(label) for label in names]


def test_reads_without_importing_scikit_learn():
    program = (
        "import sys\n"
        "from hessinf.data import DatasetReader\n"
        f"for name in {list(SIZES)}:\n"
        "    reader = DatasetReader.by_name(name)()\n"
        "    assert len(reader.read('train')) > len(reader.read('test')) > 0\n"
        "found = {'sklearn', 'scipy', 'pandas'} & sys.modules.keys()\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("installed", "reason"),
    [(False, "is not installed"), (True, 'has no "datasets/data"')],
)
def test_without_its_files(monkeypatch, tmp_path, installed, reason):
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)]) if installed else None
    scikit_learn_files._folder.cache_clear()
    monkeypatch.setattr(package_files, "find_spec", lambda _: spec)
    text = f"scikit-learn {reason}, and its data sets are read from there; install it"
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        both("iris")


@pytest.mark.parametrize("name", TABLES)
def test_statistics_are_those_of_the_training_split(name):
    train, test = both(name, dtype="float64")
    table = LOADERS[name]()
    rows = {part: [int(id.split("/")[1]) for id in part.ids] for part in (train, test)}
    mean = table.data[rows[train]].mean(axis=0)
    scale = table.data[rows[train]].std(axis=0)
    for part in (train, test):
        expected = (table.data[rows[part]] - mean) / scale
        np.testing.assert_allclose(part.columns.inputs.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", TABLES)
def test_values_can_stay_as_they_are(name):
    train, _ = both(name, standardize=False)
    assert train[0].inputs.tolist() == pytest.approx(list(train[0].display["row"].values()))


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name):
    table = LOADERS[name]()
    train, test = both(name)
    assert train.label_names == test.label_names == tuple(map(str, table.target_names))
    assert train.num_classes == len(table.target_names)
    assert train[0].target.dtype == torch.int64
    assert train[0].target.shape == ()
    assert train[0].display["label"] == train.label_names[train[0].target]
    shares = [np.bincount(part.targets.numpy()) / len(part) for part in (train, test)]
    np.testing.assert_allclose(*shares, atol=1 / len(test))


@pytest.mark.parametrize("name", CLASSES)
def test_stratification_is_a_choice(name):
    assert both(name)[1].ids != both(name, stratify=False)[1].ids


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SIZES)
def test_types_and_shapes(name, dtype):
    train, test = both(name, dtype=dtype)
    for part in (train, test):
        assert part[0].inputs.dtype == getattr(torch, dtype)
        assert part.input_shape == (LOADERS[name]().data.shape[1],)
        assert len(part.feature_names) == part.input_shape[0]


def test_diabetes_is_a_regression():
    train, _ = both("diabetes")
    assert not train.is_classification
    assert train.target_shape == (1,)
    assert train.label_names is None
    assert train[0].target.dtype == torch.float32
    assert train[0].display["target"] == float(train[0].target)


def test_a_target_can_be_standardized():
    table = LOADERS["diabetes"]()
    train, test = both("diabetes", standardize_target=True, dtype="float64")
    mean, scale = (
        function(table.target[[int(id.split("/")[1]) for id in train.ids]])
        for function in (np.mean, np.std)
    )
    for part in (train, test):
        shown = np.array([instance.display["target"] for instance in part])
        np.testing.assert_allclose(
            part.targets[:, 0].numpy(), (shown - mean) / scale, rtol=1e-12, atol=1e-12
        )
    assert {instance.display["target"] for instance in test} <= set(table.target)


def test_digits_as_images():
    train, test = both("digits", image=True)
    flat, _ = both("digits")
    assert train.input_shape == test.input_shape == (1, 8, 8)
    assert train.feature_names is None
    assert torch.equal(train[5].inputs.flatten(), flat[5].inputs)
    assert train[0].display == flat[0].display


@pytest.mark.parametrize("name", SIZES)
def test_train_size_keeps_the_first(name):
    all_of_them, test = both(name)
    few, same_test = both(name, train_size=40)
    assert few.ids == all_of_them.ids[:40]
    assert same_test.ids == test.ids


def test_statistics_are_those_of_the_kept_examples():
    few, _ = both("wine", train_size=40, dtype="float64")
    np.testing.assert_allclose(few.columns.inputs.mean(dim=0), 0, atol=1e-12)


@pytest.mark.parametrize("name", SIZES)
def test_other_paths_are_refused(name):
    reader = DatasetReader.by_name(name)()
    text = (
        f'reader "{name}" has no split "tset"; did you mean "test"? (its splits: "train", "test")'
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        reader.read("tset")
    text = f'reader "{name}" has no split "validation" (its splits: "train", "test")'
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        reader.read("validation")


def test_impossible_sizes_are_refused():
    text = (
        'reader "wine": train_size is 161, but the training split has 160 examples; '
        "ask for fewer, or lower test_ratio"
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        both("wine", train_size=161)
    with pytest.raises(
        DataError, match=r'^reader "wine": test_ratio 0\.001 does not split 178 examples: The test'
    ):
        both("wine", test_ratio=0.001)


@pytest.mark.parametrize("test_ratio", [0, 1, 1.5, -0.1])
def test_ratios_that_leave_nothing_are_config_errors(test_ratio):
    with pytest.raises(ConfigError, match="test_ratio"):
        both("wine", test_ratio=test_ratio)


def test_diabetes_has_nothing_to_stratify():
    with pytest.raises(ConfigError, match="stratify"):
        both("diabetes", stratify=True)


@pytest.mark.parametrize("name", SIZES)
def test_learns_nothing_that_another_process_needs(name):
    reader = DatasetReader.by_name(name)()
    reader.read("train")
    assert reader.state() == {}
    reader.load_state({})
    with pytest.raises(
        DataError, match=r'learns nothing from data, found a state with "mean"; was'
    ):
        reader.load_state({"mean": [0.0]})
