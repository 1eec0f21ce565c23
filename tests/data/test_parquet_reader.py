from __future__ import annotations

import datetime
import decimal
import re
import sys

import pyarrow
import pytest
from pyarrow import parquet

from hessinf.data import DataError, DatasetReader, parquet_reader
from hessinf.runtime.lazy_import import LazyModule

COLUMNS = {
    "x": [1, 2, 4],
    "price": [decimal.Decimal("1.5"), decimal.Decimal("2.5"), decimal.Decimal("3.5")],
    "member": [True, False, True],
    "day": [datetime.date(2020, 1, 1)] * 3,
    "y": ["a", "b", "b"],
}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(columns: dict, **arguments):
    parquet.write_table(pyarrow.table(columns), "t.parquet")
    config = {"type": "parquet", "target": "y", **arguments}
    return DatasetReader.from_config(config).read("t.parquet")


def test_examples():
    dataset = read(
        COLUMNS,
        inputs=["x", "price", "member"],
        categorical=["member"],
        display=["day", "x"],
        standardize=False,
    )
    assert dataset.columns.inputs.tolist() == [[1, 1.5, 0, 1], [2, 2.5, 1, 0], [4, 3.5, 0, 1]]
    assert dataset.feature_names == ("x", "price", "member=false", "member=true")
    assert dataset[2].display == {"row": {"day": "2020-01-01", "x": 4.0}, "label": "b"}
    assert dataset.ids == ("t/0", "t/1", "t/2")


def test_is_the_table_of_a_csv_file():
    with open("t.csv", "w") as file:
        file.write("x,y\n1,a\n2,b\n4,b\n")
    table = DatasetReader.from_config({"type": "csv", "target": "y"}).read("t.csv")
    assert read({"x": COLUMNS["x"], "y": COLUMNS["y"]}).fingerprint() == table.fingerprint()


def test_bad_rows_are_counted_from_0():
    text = (
        "t.parquet: found 3 problems\n"
        '  row 0, column "day": found "2020-01-01", and no numbers in the other rows, '
        "expected numbers; correct it, list the column in `categorical`, or leave it out of "
        "`inputs`\n"
        '  row 1, column "x": found no value, expected a number; '
        "fill in the value, or remove the row\n"
        '  row 2, column "x": found nan, expected a finite number; '
        "fill in the value, or remove the row"
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        read({"x": [1.0, None, float("nan")], "day": COLUMNS["day"], "y": COLUMNS["y"]})


def test_what_is_no_parquet_file():
    with open("t.parquet", "w") as file:
        file.write("x,y\n1,a\n")
    reader = DatasetReader.from_config({"type": "parquet", "target": "y"})
    with pytest.raises(DataError, match=r"^t\.parquet cannot be read as a Parquet file: .+"):
        reader.read("t.parquet")


def test_no_rows():
    empty = {"x": pyarrow.array([], pyarrow.float64()), "y": pyarrow.array([], pyarrow.string())}
    with pytest.raises(DataError, match=r"^t\.parquet has no rows, expected at least one$"):
        read(empty)


def test_pyarrow_that_is_not_installed(monkeypatch):
    reader = DatasetReader.from_config({"type": "parquet", "target": "y"})
    with open("t.parquet", "w") as file:
        file.write("x")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    not_imported = LazyModule("pyarrow.parquet", vars(parquet_reader))
    monkeypatch.setattr(parquet_reader, "parquet", not_imported)
    text = "t.parquet: Parquet files need pyarrow, which is not installed; pip install pyarrow"
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        reader.read("t.parquet")
