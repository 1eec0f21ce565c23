from __future__ import annotations

import re

import pytest

from hessinf.data import DataError, DatasetReader


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(content: str, **arguments):
    with open("t.jsonl", "w", encoding="utf-8") as file:
        file.write(content)
    return DatasetReader.from_config({"type": "jsonl", "target": "y", **arguments}).read("t.jsonl")


def refused(content: str, text: str, **arguments) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        read(content, **arguments)


def test_examples():
    dataset = read(
        '{"x": 1, "key": 7, "who": ["a"], "y": true}\n\n'
        '{"y": 1.0, "x": 2.5, "key": "k", "who": "\u2028"}\n',
        inputs=["x"],
        id="key",
        display=["who", "x"],
        standardize=False,
    )
    assert dataset.columns.inputs.tolist() == [[1.0], [2.5]]
    assert dataset.label_names == ("1", "true")
    assert dataset.ids == ("7", "k")
    assert dataset[0].display == {"row": {"who": "['a']", "x": 1.0}, "label": "true"}


def test_is_the_table_of_a_csv_file():
    with open("t.csv", "w") as file:
        file.write("x,c,y\n1,r,a\n2,b,b\n")
    table = DatasetReader.from_config({"type": "csv", "target": "y", "categorical": ["c"]})
    dataset = read('{"x":1,"c":"r","y":"a"}\n{"x":2,"c":"b","y":"b"}', categorical=["c"])
    assert dataset.fingerprint() == table.read("t.csv").fingerprint()


def test_bad_lines():
    refused(
        '{"x": 1, "y": "a"}\n{bad\n[1, 2]\n\n{"x": "r", "y": "b"}\n{"y": "b"}\n'
        '{"x": null, "y": "b"}\n{"x": NaN, "y": 1}\n{"x": true, "y": [1]}\n',
        "t.jsonl: found 8 problems\n"
        '  line 2: found "{bad", expected a JSON object; '
        "Expecting property name enclosed in double quotes (character 2)\n"
        "  line 3: found [1, 2], expected a JSON object; "
        'write {"column": value, ...} on each line\n'
        '  line 5, column "x": found "r", expected a number; '
        "correct it, list the column in `categorical`, or leave it out of `inputs`\n"
        '  line 6, column "x": found no such column, expected a number; '
        "fill in the value, or remove the row\n"
        '  line 7, column "x": found no value, expected a number; '
        "fill in the value, or remove the row\n"
        '  line 8, column "x": found nan, expected a finite number; '
        "fill in the value, or remove the row\n"
        '  line 9, column "x": found true, expected a number; '
        "correct it, list the column in `categorical`, or leave it out of `inputs`\n"
        '  line 9, column "y": found [1], expected one of the labels, as text or a number',
    )


def test_numbers_too_long_for_python():
    digits = "1" * 5000
    with pytest.raises(DataError, match=r'line 2: found "\{\\"x\\": 1+\.\.\., expected a JSON obj'):
        read('{"x": 1, "y": "a"}\n{"x": ' + digits + ', "y": "b"}\n')
    with pytest.raises(DataError, match=r"line 2, column \"x\": found 1+\.\.\., expected a finite"):
        read('{"x": 1, "y": "a"}\n{"x": ' + digits[:400] + ', "y": "b"}\n')


def test_no_rows():
    refused("", "t.jsonl is empty")
    refused("\n\n", "t.jsonl has no rows, expected at least one")
    refused(
        "3\n",
        "t.jsonl: found 1 problem\n"
        '  line 1: found 3, expected a JSON object; write {"column": value, ...} on each line',
    )


def test_a_key_given_twice():
    with pytest.raises(DataError) as caught:
        read('{"x": 1, "y": 0}\n{"x": 2, "x": 3, "y": 1}\n')
    assert 'the key "x" is given twice' in str(caught.value)
    assert "line 2" in str(caught.value)
