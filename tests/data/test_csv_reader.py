from __future__ import annotations

import re

import pytest

from hessinf.data import DataError, DatasetReader
from hessinf.registry import ConfigError


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(content: str | bytes, **arguments):
    with open("t.csv", "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return DatasetReader.from_config({"type": "csv", "target": "y", **arguments}).read("t.csv")


def refused(content: str | bytes, text: str, **arguments) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        read(content, **arguments)


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        ("x,y\n1,a\n2,b\n", {}),
        ("x,y\n1,a\n2,b", {}),
        ("\ufeffx,y\r\n1,a\r\n2,b\r\n", {}),
        ("x , y\n 1, a \n\n2, b\n", {}),
        ('"x","y"\n"1","a"\n"2", "b"\n', {}),
        ("x;y\n1;a\n2;b\n", {"delimiter": ";"}),
        ("x\ty\n1\ta\n2\tb\n", {"delimiter": "\t"}),
        ("x,y\n1,a\n2,b\n".encode("utf-16"), {"encoding": "utf-16"}),
    ],
)
def test_spellings_of_one_table(content, arguments):
    assert read(content, **arguments).fingerprint() == read("x,y\n1,a\n2,b\n").fingerprint()


def test_quotes():
    dataset = read('x,note,y\n1,"one, two",a\n2,"say ""hi""\nthere",b\n', display=["note"])
    assert [instance.display["row"]["note"] for instance in dataset] == [
        "one, two",
        'say "hi"\nthere',
    ]


def test_lines_are_those_of_the_file():
    refused(
        'x,note,y\n1,"two\nlines",a\n\nfoo,"three\nmore\nlines",b\n2,c\n',
        "t.csv: found 2 problems\n"
        '  line 5, column "x": found "foo", expected a number; '
        "correct it, list the column in `categorical`, or leave it out of `inputs`\n"
        "  line 8: found 2 values, expected 3 as in the header; "
        "put values that contain the delimiter in quotes",
        inputs=["x"],
    )


def test_wrong_numbers_of_values():
    refused(
        "x,y\n1,a\n2\n3,b,c\n",
        "t.csv: found 2 problems\n"
        "  line 3: found 1 value, expected 2 as in the header; "
        "put values that contain the delimiter in quotes\n"
        "  line 4: found 3 values, expected 2 as in the header; "
        "put values that contain the delimiter in quotes",
    )
    refused(
        "x,y\n1\n",
        "t.csv: found 1 problem\n"
        "  line 2: found 1 value, expected 2 as in the header; "
        "put values that contain the delimiter in quotes",
    )


def test_no_rows():
    refused("", "t.csv is empty")
    refused("\n\n", "t.csv is empty")
    refused("x,y\n", "t.csv has no rows, expected at least one")


def test_broken_quotes():
    refused(
        'x,y\n1,a\n2,"b\n3,c\n',
        "t.csv: found 1 problem\n  line 3: unexpected end of data; check the quotes from here on",
    )
    refused('"x,y\n', "t.csv, line 1: unexpected end of data; check the quotes from here on")


def test_another_delimiter_is_recognised():
    refused(
        "x;y\n1;a\n",
        't.csv has the columns "x;y"\n'
        '  target: no column "y"\n'
        '  the header has ";"; set delimiter: ";"',
    )


def test_columns_of_one_name():
    refused(
        "x,x,y\n1,2,a\n",
        't.csv: the header has "x" twice, expected names that differ; is the first line a header?',
    )


def test_bytes_that_are_not_text():
    refused(
        b"x,y\n1,caf\xe9\n",
        "t.csv, line 2: found the byte 0xe9, which is not utf-8; pass the file's encoding, "
        'for example encoding: "latin-1"',
    )
    assert read(b"x,y\n1,caf\xe9\n2,b\n", encoding="latin-1").label_names == ("b", "café")


def test_arguments():
    with pytest.raises(ConfigError, match='delimiter must be one character, found ",,"'):
        read("", delimiter=",,")
    with pytest.raises(ConfigError, match='encoding "base64" is not known to Python'):
        DatasetReader.from_config({"type": "csv", "target": "y", "encoding": "base64"})
    with pytest.raises(ConfigError, match='encoding "utf-9" is not known to Python'):
        read("", encoding="utf-9")


def test_an_empty_path():
    reader = DatasetReader.from_config({"type": "csv", "target": "y"})
    with pytest.raises(DataError, match=r'^found "" as a path, expected a file$'):
        reader.read("")
