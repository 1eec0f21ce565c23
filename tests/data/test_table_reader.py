"""What all readers of table files have in common, tested through CSV files."""

from __future__ import annotations

import json
import re

import pytest
import torch

from hessinf.data import DataError, DatasetReader
from hessinf.registry import ConfigError

TRAIN = "age,color,note,y\n20,red,first,yes\n40,blue,second,no\n30,red,third,no\n"
TEST = "note,y,color,age\nfourth,yes,blue,50\n"
ARGUMENTS = {"target": "y", "display": ["note", "age", "color"], "categorical": ["color"]}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.csv").write_text(TRAIN)
    (tmp_path / "test.csv").write_text(TEST)
    (tmp_path / "sub").mkdir()


def reader(**arguments):
    return DatasetReader.from_config({"type": "csv", "target": "y", **arguments})


def full(**arguments):
    return reader(**{"inputs": ["age", "color"], **ARGUMENTS, **arguments})


def refused(rows: str, text: str, reader_=None, **arguments) -> None:
    with open("bad.csv", "w") as file:
        file.write(rows)
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        (reader_ or reader(**arguments)).read("bad.csv")


def test_examples():
    train = full(dtype="float64").read("train.csv")
    scale = (200 / 3) ** 0.5
    expected = [[-10 / scale, 0, 1], [10 / scale, 1, 0], [0, 0, 1]]
    torch.testing.assert_close(train.columns.inputs, torch.tensor(expected, dtype=torch.float64))
    assert train.feature_names == ("age", "color=blue", "color=red")
    assert train.label_names == ("no", "yes")
    assert train.targets.tolist() == [1, 0, 0]
    assert train.ids == ("train/0", "train/1", "train/2")
    assert train.name == "train.csv"
    assert train[0].display == {
        "row": {"note": "first", "age": 20.0, "color": "red"},
        "label": "yes",
    }
    train.check()


def test_types():
    assert full().read("train.csv")[0].inputs.dtype == torch.float32
    assert full(dtype="float64").read("train.csv")[0].inputs.dtype == torch.float64
    assert full().read("train.csv")[0].target.dtype == torch.int64


def test_inputs_default_to_all_other_columns():
    assert reader(display=["note"], categorical=["color"]).read("train.csv").feature_names == (
        "age",
        "color=blue",
        "color=red",
    )
    assert reader(id="note", categorical=["color"]).read("train.csv").ids == (
        "first",
        "second",
        "third",
    )


def test_display_defaults_to_the_inputs():
    train = reader(inputs=["age"]).read("train.csv")
    assert train[1].display == {"row": {"age": 40.0}, "label": "no"}


def test_other_files_use_what_the_training_file_taught():
    both = full(dtype="float64")
    both.read("train.csv")
    test = both.read("test.csv")
    scale = (200 / 3) ** 0.5
    assert test[0].inputs.tolist() == pytest.approx([20 / scale, 1, 0])
    assert test[0].target == 1
    assert test[0].display["row"] == {"note": "fourth", "age": 50.0, "color": "blue"}
    assert test.label_names == ("no", "yes")
    assert (
        both.read("train.csv").fingerprint()
        == full(dtype="float64").read("train.csv").fingerprint()
    )


def test_state_carries_it_to_another_process():
    first, second = full(), full()
    assert first.state() == {}
    first.read("train.csv")
    state = json.loads(json.dumps(first.state(), allow_nan=False))
    assert state == {
        "inputs": ["age", "color"],
        "categories": {"color": ["blue", "red"]},
        "labels": ["no", "yes"],
        "standardization": {"mean": [30.0], "scale": [(200 / 3) ** 0.5]},
    }
    second.load_state(state)
    assert second.state() == state
    assert second.read("test.csv").fingerprint() == first.read("test.csv").fingerprint()


def test_a_failed_reading_teaches_nothing():
    bad = reader(inputs=["age"])
    refused("age,y\nx,a\n1,b\n", ANY_NUMBER.format(line=2), bad)
    assert bad.state() == {}


ANY_NUMBER = (
    "bad.csv: found 1 problem\n"
    '  line {line}, column "age": found "x", expected a number; '
    "correct it, list the column in `categorical`, or leave it out of `inputs`"
)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"inputs": ["age"], "categorical": None},
            'the reader\'s saved state has inputs ["age", "color"], the config has ["age"]; '
            "use the config it was saved with",
        ),
        (
            {"labels": ["yes", "no"]},
            'the reader\'s saved state has labels ["no", "yes"], the config has ["yes", "no"]; '
            "use the config it was saved with",
        ),
        (
            {"task": "regression"},
            'the reader\'s saved state has task "classification", the config has "regression"; '
            "use the config it was saved with",
        ),
        (
            {"categorical": None},
            'the reader\'s saved state has categorical ["color"], the config has []; '
            "use the config it was saved with",
        ),
    ],
)
def test_state_of_another_config_is_refused(arguments, text):
    first = full()
    first.read("train.csv")
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        full(**arguments).load_state(first.state())


def test_state_of_something_else_is_refused():
    text = "this is not the state of a table reader; it lacks categories, labels, standardization"
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        full().load_state({"inputs": []})


def test_regression():
    with open("r.csv", "w") as file:
        file.write("x,y\n1,2.5\n3,-1e3\n")
    dataset = reader(task="regression").read("r.csv")
    assert dataset.targets.tolist() == [[2.5], [-1000.0]]
    assert dataset.label_names is None
    assert dataset[0].display == {"row": {"x": 1.0}, "target": 2.5}


def test_labels_that_are_numbers_are_sorted_as_numbers():
    with open("n.csv", "w") as file:
        file.write("x,y\n1,10\n2,9\n3,2\n")
    assert reader().read("n.csv").label_names == ("2", "9", "10")


def test_labels_can_be_given_in_order():
    train = full(labels=["yes", "maybe", "no"]).read("train.csv")
    assert train.label_names == ("yes", "maybe", "no")
    assert train.targets.tolist() == [0, 2, 2]


def test_values_can_stay_as_they_are():
    only_age = reader(inputs=["age"], standardize=False)
    assert only_age.read("train.csv").columns.inputs.tolist() == [[20.0], [40.0], [30.0]]
    assert only_age.state()["standardization"] is None


def test_a_column_that_never_changes_stays_finite():
    with open("c.csv", "w") as file:
        file.write("x,z,y\n0.1,1,a\n0.1,2,b\n0.1,3,b\n")
    inputs = reader().read("c.csv").columns.inputs
    assert inputs[:, 0].tolist() == [0, 0, 0]
    assert inputs.isfinite().all()


def test_only_categories_are_inputs_too():
    train = reader(inputs=["color"], categorical=["color"]).read("train.csv")
    assert train.columns.inputs.tolist() == [[0, 1], [1, 0], [0, 1]]


def test_all_bad_rows_are_shown():
    with open("bad.csv", "w") as file:
        file.write("age,id,y\n1,p,a\nfoo,q,b\nnan,p,\n1_0,r,b\ninf,s,a\n-1e999,,a\n")
    with pytest.raises(DataError) as raised:
        reader(id="id").read("bad.csv")
    assert str(raised.value).splitlines() == [
        "bad.csv: found 8 problems",
        '  line 3, column "age": found "foo", expected a number; '
        "correct it, list the column in `categorical`, or leave it out of `inputs`",
        '  line 4, column "age": found "nan", expected a finite number; '
        "fill in the value, or remove the row",
        '  line 4, column "y": found no value, expected one of the labels; '
        "fill in the value, or remove the row",
        '  line 4, column "id": found "p" again, expected ids that differ; line 2 has it too',
        '  line 5, column "age": found "1_0", expected a number; '
        "correct it, list the column in `categorical`, or leave it out of `inputs`",
        '  line 6, column "age": found "inf", expected a finite number; '
        "fill in the value, or remove the row",
        '  line 7, column "age": found "-1e999", expected a finite number; '
        "fill in the value, or remove the row",
        '  line 7, column "id": found no value, expected an id; '
        "fill in the value, or remove the row",
    ]


def test_ten_bad_rows_are_shown_and_the_rest_counted():
    rows = "x,y\n1,a\n" + "?,b\n" * 14
    with open("bad.csv", "w") as file:
        file.write(rows)
    with pytest.raises(DataError) as raised:
        reader().read("bad.csv")
    lines = str(raised.value).splitlines()
    assert lines[0] == "bad.csv: found 14 problems"
    assert lines[10].startswith('  line 12, column "x": found "?"')
    assert lines[11:] == ["  ... and 4 more"]


def test_a_column_of_text_is_one_problem():
    refused(
        "x,color,y\n1,red,a\n2,blue,b\n",
        "bad.csv: found 1 problem\n"
        '  line 2, column "color": found "red", and no numbers in the other rows, '
        "expected numbers; correct it, list the column in `categorical`, "
        "or leave it out of `inputs`",
    )


def test_a_text_in_a_regression_target():
    refused(
        "x,y\n1,2\n2,high\n",
        "bad.csv: found 1 problem\n"
        '  line 3, column "y": found "high", expected a number; '
        'correct it, or set task: "classification"',
        task="regression",
    )


def test_unknown_labels_and_categories_of_a_later_file():
    trained = full()
    trained.read("train.csv")
    refused(
        "age,color,note,y\n1,mauve,n,yess\n2,blu,n,42\n",
        "bad.csv: found 4 problems\n"
        '  line 2, column "color": found "mauve", expected a category of the training file '
        '("blue", "red"); add such a row to the training file, or remove this one\n'
        '  line 2, column "y": found "yess", expected one of the labels ("no", "yes"); '
        'did you mean "yes"?\n'
        '  line 3, column "color": found "blu", expected a category of the training file '
        '("blue", "red"); did you mean "blue"?\n'
        '  line 3, column "y": found "42", expected one of the labels ("no", "yes"); '
        "correct it, or add it to `labels` or to the training file",
        trained,
    )


def test_one_class_in_the_training_file():
    refused(
        "x,y\n1,a\n2,a\n",
        'bad.csv: 2 rows and one label in column "y", "a"; expected two classes or more to train '
        "on; check `target`, or the file",
    )
    trained = full()
    trained.read("train.csv")
    assert len(trained.read("test.csv")) == 1


def test_columns_that_are_not_there():
    refused(
        TRAIN,
        'bad.csv has the columns "age", "color", "note", "y"\n'
        '  target: no column "Y"; did you mean "y"?\n'
        '  id: no column "key"\n'
        '  inputs: no column "aeg"; did you mean "age"?\n'
        '  display: no column "notes"; did you mean "note"?',
        reader(target="Y", id="key", inputs=["aeg", "color"], display=["notes"]),
    )


def test_categorical_columns_are_inputs():
    refused(
        TRAIN,
        'categorical "note" is not among the inputs: "age", "color"',
        display=["note"],
        categorical=["note"],
    )


def test_an_index_without_a_name():
    refused(
        ",x,y\n0,5,a\n1,6,b\n",
        "bad.csv has a column without a name, which an index often is; name the inputs, or save "
        "the file without its index",
    )


def test_no_columns_left():
    refused("y\na\nb\n", 'bad.csv has no columns left for inputs: it has "y"')


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"inputs": ["x", "y"]}, 'target "y" is also among inputs'),
        ({"inputs": []}, "inputs is empty; name columns, or leave it out for all"),
        ({"inputs": ["x", "x"]}, "inputs names a column twice"),
        ({"id": "y"}, 'id "y" is also the target or among inputs'),
        ({"inputs": ["x"], "id": "x"}, 'id "x" is also the target or among inputs'),
        (
            {"inputs": ["color"], "categorical": ["colour"]},
            'categorical "colour" is not among inputs; did you mean "color"?',
        ),
        ({"labels": ["a"]}, "labels needs two names or more, that differ"),
        ({"labels": ["a", "a"]}, "labels needs two names or more, that differ"),
        (
            {"labels": ["a", "b"], "task": "regression"},
            "labels are for classification, but task is regression",
        ),
    ],
)
def test_arguments_that_contradict_each_other(arguments, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        reader(**arguments)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("sub", "sub is a directory, expected a file"),
        ("trian.csv", 'there is no file trian.csv; did you mean "train.csv"?'),
        ("sub/train.csv", "there is no file sub/train.csv"),
        (
            "nowhere/train.csv",
            "there is no file nowhere/train.csv: its directory does not exist; "
            "paths are relative to the working directory",
        ),
    ],
)
def test_paths_that_are_no_files(path, text):
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        reader().read(path)
