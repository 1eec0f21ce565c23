from __future__ import annotations

import re

import pytest

from hessinf.data.errors import DataError
from hessinf.data.number_rows import read_number_rows


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(content: str):
    with open("t.data", "w", encoding="utf-8", newline="") as file:
        file.write(content)
    return read_number_rows("t.data", ("a", "b"))


@pytest.mark.parametrize(
    "content",
    [
        "1,2\n3,4.5\n",
        "1, 2\r\n3, 4.5\r\n",
        "1;2\n3;4.5",
        "1\t2\n\n3\t4.5\n",
        "1 2\n3   4.5\n",
        "  1   2\n  3 4.5 \n",
        '"Cement (kg)", "Strength (MPa, measured)"\n1,2\n3,4.5\n',
        "first second\n1 2\n3 4.5\n",
        "\ufeff1,2\n3,4.5\n",
    ],
)
def test_spellings_of_one_table(content):
    table = read(content)
    assert {name: table.numbers(name).tolist() for name in ("a", "b")} == {
        "a": [1, 3],
        "b": [2, 4.5],
    }
    table.raise_problems()


def test_problems_have_lines_and_columns():
    table = read("a,b\n1,2\n\n3\nfoo,\n1,inf\n1,2,3\n")
    table.numbers("a")
    table.numbers("b")
    text = (
        "t.data: found 5 problems\n"
        "  line 4: found 1 value, expected 2: a, b\n"
        '  line 5, column "a": found "foo", expected a number\n'
        '  line 5, column "b": found no value, expected a number; '
        "fill in the value, or remove the row\n"
        '  line 6, column "b": found "inf", expected a finite number; '
        "fill in the value, or remove the row\n"
        "  line 7: found 3 values, expected 2: a, b"
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        table.raise_problems()


@pytest.mark.parametrize("content", ["a,b\n", "\n\n"])
def test_no_rows(content):
    with pytest.raises(DataError, match=r"^t\.data has no rows, expected at least one$"):
        read(content)
