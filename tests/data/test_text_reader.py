from __future__ import annotations

import json
import re

import pytest

from hessinf.data import DataError, DatasetReader
from hessinf.registry import ConfigError

HOSTILE = '<script>alert("1")</script> ’ שלום 你好 🙂 \x07'


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name: str, *rows: dict) -> str:
    with open(name, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return name


def reader(**arguments) -> DatasetReader:
    return DatasetReader.from_config({"type": "text", **arguments})


TRAIN = (
    {"text": "Good, good fish!", "label": "yes"},
    {"text": "Bad fish.", "label": "no"},
    {"text": "good", "label": "yes"},
)


def test_examples():
    train = reader().read(write("train.jsonl", *TRAIN))
    assert train.label_names == ("no", "yes")
    assert train.feature_names == (
        "<padding>", "<unknown>", "good", "fish", "!", ",", ".", "bad",
    )  # fmt: skip
    assert train.in_features == 8
    assert train.input_shape is None
    assert [example.inputs["tokens"].tolist() for example in train] == [
        [2, 5, 2, 3, 4],
        [7, 3, 6],
        [2],
    ]
    assert train.targets.tolist() == [1, 0, 1]
    assert train.ids == ("train/0", "train/1", "train/2")
    assert train[0].display == {
        "text": "Good, good fish!",
        "tokens": ["Good", ",", "good", "fish", "!"],
        "label": "yes",
    }


def test_what_was_learnt_holds_for_other_files():
    own = reader()
    own.read(write("train.jsonl", *TRAIN))
    test = own.read(write("test.jsonl", {"text": "Bad meat, good.", "label": "no"}))
    assert test[0].inputs["tokens"].tolist() == [7, 1, 5, 2, 6]
    other = reader()
    other.load_state(json.loads(json.dumps(own.state())))
    assert other.read("test.jsonl").fingerprint() == test.fingerprint()
    assert other.state() == own.state()


def test_one_table_in_every_format():
    with open("t.csv", "w") as file:
        file.write('label,text,key\nyes,"Good, good fish!",a\nno,Bad fish.,b\nyes,good,c\n')
    with open("t.tsv", "w") as file:
        file.write("label\ttext\tkey\nyes\tGood, good fish!\ta\nno\tBad fish.\tb\nyes\tgood\tc\n")
    rows = [{**row, "key": key} for row, key in zip(TRAIN, "abc", strict=True)]
    found = {
        reader(id="key").read(path).fingerprint()
        for path in ("t.csv", "t.tsv", write("t.jsonl", *rows), write("t.ndjson", *rows))
    }
    assert len(found) == 1
    write("t.txt", *rows)
    assert reader(id="key", format="jsonl").read("t.txt").fingerprint() in found


def test_options():
    path = write("train.jsonl", *TRAIN)
    as_written = reader(lowercase=False).read(path)
    assert {"Good", "good"} <= set(as_written.feature_names)
    frequent = reader(min_count=2).read(path)
    assert frequent.feature_names[2:] == ("good", "fish")
    few = reader(max_words=1).read(path)
    assert few.feature_names[2:] == ("good",)
    assert few[1].inputs["tokens"].tolist() == [1, 1, 1]
    short = reader(max_tokens=2).read(path)
    assert short[0].inputs["tokens"].tolist() == [2, 3]
    assert short.feature_names[2:] == ("good", ",", "bad", "fish")  # "!" was never seen
    assert short[0].display["tokens"] == ["Good", ","]
    assert short[0].display["text"] == "Good, good fish!"
    ordered = reader(labels=["yes", "no"]).read(path)
    assert ordered.targets.tolist() == [0, 1, 0]


def test_hostile_texts_stay_as_they_are():
    rows = ({"text": HOSTILE, "label": "</td>"}, {"text": "x", "label": "b"})
    train = reader().read(write("t.jsonl", *rows))
    assert train[0].display["text"] == HOSTILE
    assert "".join(train[0].display["tokens"]) == "".join(HOSTILE.split())
    assert train.label_names == ("</td>", "b")
    with open("padding.jsonl", "w") as file:
        file.write('{"text": "<padding> <unknown>", "label": 1}\n{"text": "a", "label": 2}\n')
    names = reader().read("padding.jsonl").feature_names
    assert len(set(names)) == len(names)  # no word is written as those two


def refused(path: str, text: str, **arguments) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        reader(**arguments).read(path)


def test_bad_rows_are_told_together():
    path = write(
        "t.jsonl",
        {"text": "a", "label": "x"},
        {"text": "  ", "label": "y"},
        {"label": "y"},
        {"text": ["a"], "label": None},
    )
    refused(
        path,
        "t.jsonl: found 4 problems\n"
        '  line 2, column "text": found no value, expected a text; '
        "fill in the value, or remove the row\n"
        '  line 3, column "text": found no such column, expected a text; '
        "fill in the value, or remove the row\n"
        '  line 4, column "text": found ["a"], expected a text, as text or a number\n'
        '  line 4, column "label": found no value, expected one of the labels; '
        "fill in the value, or remove the row",
    )


def test_columns_that_are_not_there():
    path = write("t.jsonl", {"txt": "a", "label": "x"}, {"txt": "b", "label": "y"})
    refused(
        path,
        't.jsonl has the columns "txt", "label"\n'
        '  text: no column "text"; did you mean "txt"?\n'
        '  id: no column "key"',
        id="key",
    )
    with open("t.csv", "w") as file:
        file.write("text;label\na;x\nb;y\n")
    refused(
        "t.csv",
        't.csv has the columns "text;label"\n'
        '  text: no column "text"\n'
        '  target: no column "label"; did you mean "text;label"?\n'
        '  the header has ";"; set delimiter: ";"',
    )

    assert len(reader(delimiter=";").read("t.csv")) == 2


def test_files_that_say_nothing():
    with open("t.jsonl", "w") as file:
        file.write("\n\n")
    refused("t.jsonl", "t.jsonl has no rows, expected at least one")
    refused(
        "t.txt",
        'the format of t.txt is not known: its name ends in ".txt", expected one of ".jsonl", '
        '".ndjson", ".csv", ".tsv"; set format',
    )
    path = write("one.jsonl", {"text": "a", "label": "x"}, {"text": "b", "label": "x"})
    refused(
        path,
        'one.jsonl: 2 rows and one label in column "label", "x"; expected two classes or more to '
        "train on; check `target`, or the file",
    )


def test_labels_that_the_training_file_does_not_have():
    own = reader()
    own.read(write("train.jsonl", *TRAIN))
    with pytest.raises(DataError) as caught:
        own.read(write("test.jsonl", {"text": "a", "label": "yess"}))
    assert str(caught.value) == (
        "test.jsonl: found 1 problem\n"
        '  line 1, column "label": found "yess", expected one of the labels ("no", "yes"); did you '
        'mean "yes"?'
    )


def test_states_that_do_not_fit():
    with pytest.raises(DataError) as caught:
        reader().load_state({"labels": []})
    assert str(caught.value) == (
        'this is not the state of a reader of texts: expected "words" and "labels", found '
        '"labels"; was it saved by another reader?'
    )
    own = reader()
    own.read(write("train.jsonl", *TRAIN))
    with pytest.raises(DataError) as caught:
        reader(labels=["yes", "no"]).load_state(own.state())
    assert str(caught.value) == (
        'the reader\'s saved state has labels ["no", "yes"], the config has ["yes", "no"]; use the '
        "config it was saved with"
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"text": "a", "target": "a"}, 'text "a" is also another column'),
        ({"id": "text"}, 'text "text" is also another column'),
        ({"labels": ["a"]}, "labels needs two names or more, that differ"),
        ({"encoding": "klingon"}, 'encoding "klingon" is not known to Python'),
    ],
)
def test_arguments_that_contradict_each_other(arguments, problem):
    with pytest.raises(ConfigError) as caught:
        reader(**arguments)
    assert problem in str(caught.value)
