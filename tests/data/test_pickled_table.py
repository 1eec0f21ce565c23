from __future__ import annotations

import lzma
import pickle
import re

import numpy as np
import pytest

from hessinf.data.errors import DataError
from hessinf.data.pickled_table import read_pickled_table

NOT_A_TABLE = "cannot be read as a table of numbers pickled by pandas: "


def refused(path, content: bytes, text: str) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(f'{path} {NOT_A_TABLE}{text}')}"):
        read_pickled_table(path)


def test_what_is_no_table(tmp_path):
    path = tmp_path / "table"
    refused(path, b"text", "Input format not supported")
    refused(path, lzma.compress(b"text"), "byte 0 has the instruction TUPLE, which")
    refused(path, lzma.compress(pickle.dumps([1])), "it describes no table of numbers (")
    refused(path, lzma.compress(pickle.dumps(np.ones(3), 5)), "it describes no table of numbers (")
    whole = lzma.compress(pickle.dumps([1] * 1000))
    refused(path, whole[: len(whole) // 2], "it is no whole pickle: ")


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_pickled_table(tmp_path / "table")


@pytest.mark.parametrize("order", ["C", "F"])
def test_pandas_tables(tmp_path, order):
    pandas = pytest.importorskip("pandas", reason="pandas, which makes such tables, is not there")
    random = np.random.default_rng(0)
    values = np.array(random.normal(size=(7, 3)), order=order)
    frame = pandas.DataFrame(values, columns=pandas.Index(["a", "b", "c"], dtype=object))
    frame.insert(1, "n", np.arange(7))
    frame.insert(3, "small", np.arange(7, dtype=np.uint8)[::-1])
    frame["big_endian"] = np.arange(7).astype(">f4")
    path = tmp_path / "table"
    frame.to_pickle(path, compression="xz", protocol=5)
    found = read_pickled_table(path)
    assert list(found) == list(frame.columns)
    for name in found:
        np.testing.assert_array_equal(found[name], frame[name].to_numpy())
    frame["text"] = "x"
    frame.to_pickle(path, compression="xz", protocol=5)
    with pytest.raises(DataError, match="describes no table of numbers"):
        read_pickled_table(path)
