"""Wrong data: refused before a directory is touched, with file, line, column and remedy."""

from __future__ import annotations

from typing import Any

import pytest

TRAIN = "x,y,label\n1,2,a\n2,1,b\n3,5,a\n4,3,b\n"
TEST = "x,y,label\n1,1,a\n2,2,b\n"

JSONL = (
    "{ dataset_reader: { type: 'jsonl', target: 'label' }, train_data_path: 't.jsonl', "
    "test_data_path: 't.jsonl' }"
)

DATA: dict[str, dict[str, Any]] = {
    "NaN": {
        "table": "{}",
        "files": {"train.csv": TRAIN + "nan,1,a\n"},
        "stderr": (
            "train.csv: found 1 problem\n"
            '  line 6, column "x": found "nan", expected a finite number; fill in the '
            "value, or remove the row\n"
        ),
    },
    "infinity in the test data": {
        "table": "{}",
        "files": {"test.csv": TEST + "inf,3,a\n"},
        "stderr": (
            "test.csv: found 1 problem\n"
            '  line 4, column "x": found "inf", expected a finite number; fill in the '
            "value, or remove the row\n"
        ),
    },
    "a value that is missing": {
        "table": "{}",
        "files": {"train.csv": TRAIN + ",1,a\n"},
        "stderr": (
            "train.csv: found 1 problem\n"
            '  line 6, column "x": found no value, expected a number; fill in the value, '
            "or remove the row\n"
        ),
    },
    "text for a number": {
        "table": "{}",
        "files": {"train.csv": TRAIN + "abc,1,a\n"},
        "stderr": (
            "train.csv: found 1 problem\n"
            '  line 6, column "x": found "abc", expected a number; correct it, list the '
            "column in `categorical`, or leave it out of `inputs`\n"
        ),
    },
    "a short row": {
        "table": "{}",
        "files": {"train.csv": TRAIN + "5,1\n"},
        "stderr": (
            "train.csv: found 1 problem\n"
            "  line 6: found 2 values, expected 3 as in the header; put values that "
            "contain the delimiter in quotes\n"
        ),
    },
    "a quote that never ends": {
        "table": "{}",
        "files": {"train.csv": TRAIN + '"5,1,a\n'},
        "stderr": (
            "train.csv: found 1 problem\n"
            "  line 6: unexpected end of data; check the quotes from here on\n"
        ),
    },
    "an empty file": {
        "table": "{}",
        "files": {"train.csv": ""},
        "stderr": ("train.csv is empty\n"),
    },
    "no training example": {
        "table": "{}",
        "files": {"train.csv": "x,y,label\n"},
        "stderr": ("train.csv has no rows, expected at least one\n"),
    },
    "no query": {
        "table": "{}",
        "files": {"test.csv": "x,y,label\n"},
        "stderr": ("test.csv has no rows, expected at least one\n"),
    },
    "one class": {
        "table": "{}",
        "files": {"train.csv": "x,y,label\n1,2,a\n3,4,a\n"},
        "stderr": (
            'train.csv: 2 rows and one label in column "label", "a"; expected two classes '
            "or more to train on; check `target`, or the file\n"
        ),
    },
    "one class of a made-up set": {
        "ring": "{ dataset_reader+: { train_size: 1 } }",
        "stderr": (
            'data set "ring/train": all 1 example have the label "outside", expected at '
            "least two classes to train on; check the target, or the split\n"
        ),
    },
    "a file that is missing": {
        "table": "{ train_data_path: 'trian.csv' }",
        "stderr": ('there is no file trian.csv; did you mean "train.csv"?\n'),
    },
    "a folder that is missing": {
        "table": "{ test_data_path: 'data/test.csv' }",
        "stderr": (
            "there is no file data/test.csv: its directory does not exist; paths are "
            "relative to the working directory\n"
        ),
    },
    "a directory for a file": {
        "table": "{ train_data_path: 'data' }",
        "files": {"data/train.csv": TRAIN},
        "stderr": ("data is a directory, expected a file\n"),
    },
    "another encoding": {
        "table": "{}",
        "files": {"train.csv": TRAIN.encode() + b"5,1,caf\xe9\n"},
        "stderr": (
            "train.csv, line 6: found the byte 0xe9, which is not utf-8; pass the file's "
            'encoding, for example encoding: "latin-1"\n'
        ),
    },
    "a target that is no column": {
        "table": "{ dataset_reader+: { target: 'lable' } }",
        "stderr": (
            'train.csv has the columns "x", "y", "label"\n'
            '  target: no column "lable"; did you mean "label"?\n'
        ),
    },
    "another delimiter": {
        "table": "{}",
        "files": {"train.csv": "x;y;label\n1;2;a\n"},
        "stderr": (
            'train.csv has the columns "x;y;label"\n'
            '  target: no column "label"; did you mean "x;y;label"?\n'
            '  the header has ";"; set delimiter: ";"\n'
        ),
    },
    "a column twice": {
        "table": "{}",
        "files": {"train.csv": "x,x,label\n1,2,a\n"},
        "stderr": (
            'train.csv: the header has "x" twice, expected names that differ; is the first '
            "line a header?\n"
        ),
    },
    "an id twice": {
        "table": "{ dataset_reader+: { id: 'x' } }",
        "files": {"train.csv": TRAIN + "4,1,a\n"},
        "stderr": (
            "train.csv: found 1 problem\n"
            '  line 6, column "x": found "4" again, expected ids that differ; line 5 has it too\n'
        ),
    },
    "a query with a label of its own": {
        "table": "{}",
        "files": {"test.csv": TEST + "3,3,c\n"},
        "stderr": (
            "test.csv: found 1 problem\n"
            '  line 4, column "label": found "c", expected one of the labels ("a", "b"); '
            "correct it, or add it to `labels` or to the training file\n"
        ),
    },
    "queries with other columns": {
        "table": "{}",
        "files": {"test.csv": "x,z,label\n3,3,a\n"},
        "stderr": ('test.csv has the columns "x", "z", "label"\n  inputs: no column "y"\n'),
    },
    "queries of another shape": {
        "ring": "{ test_dataset_reader: { type: 'synthetic', kind: 'ring', features: 3 } }",
        "stderr": (
            "the inputs of the test data have shape [3], those of the training data [2]; "
            "are both read with the same columns?\n"
        ),
    },
    "a broken line of JSON": {
        "table": JSONL,
        "files": {"t.jsonl": '{"x": 1, "label": "a"}\n{"x": 2, "label": \n'},
        "stderr": (
            "t.jsonl: found 1 problem\n"
            '  line 2: found "{\\"x\\": 2, \\"label\\":", expected a JSON object; Expecting '
            "value (character 19)\n"
        ),
    },
    "a line that is no object": {
        "table": JSONL,
        "files": {"t.jsonl": '{"x": 1, "label": "a"}\n[1]\n'},
        "stderr": (
            "t.jsonl: found 1 problem\n"
            '  line 2: found [1], expected a JSON object; write {"column": value, ...} on '
            "each line\n"
        ),
    },
    "a key that a line lacks": {
        "table": JSONL,
        "files": {"t.jsonl": '{"x": 1, "label": "a"}\n{"x": 2}\n'},
        "stderr": (
            "t.jsonl: found 1 problem\n"
            '  line 2, column "label": found no such column, expected one of the labels; '
            "fill in the value, or remove the row\n"
        ),
    },
    "no Parquet": {
        "table": JSONL.replace("jsonl", "parquet"),
        "files": {"t.parquet": "PAR1"},
        "stderr": ("t.parquet cannot be read as a Parquet file: <...>\n"),
    },
    "a split that is not there": {
        "ring": "{ train_data_path: 'trian' }",
        "stderr": (
            'reader "synthetic" has no split "trian"; did you mean "train"? (its splits: '
            '"train", "test")\n'
        ),
    },
    "a subset larger than the whole": {
        "ring": "{ dataset_reader: { type: 'subset', reader: ring.dataset_reader, size: 300 } }",
        "stderr": ("subset asks for 300 examples, train has 24; lower size\n"),
    },
    "classes for a regression's loss": {
        "table": "{ objective: 'mean-squared-error' }",
        "stderr": (
            'the objective "mean-squared-error" needs targets that are floating-point '
            'values, and the target of example 0 (id "train/0") is int64; for classes try '
            '"cross-entropy", for values give them as floats\n'
        ),
    },
    "a regression for a classification's loss": {
        "table": "{ dataset_reader+: { task: 'regression', target: 'y', inputs: ['x'] } }",
        "stderr": (
            'the objective "cross-entropy" needs targets that are class numbers (int64), '
            'and the target of example 0 (id "train/0") is float32; for values to be '
            'regressed try "mean-squared-error", for 0/1 labels "binary-cross-entropy"\n'
        ),
    },
    "three classes for a binary loss": {
        "ring": "{ dataset_reader: 'iris', objective: 'binary-cross-entropy' }",
        "stderr": (
            'the objective "binary-cross-entropy" needs targets of 0 or 1, and the target '
            'of example 1 (id "iris/144") is 2; for more than two classes try "cross-entropy"\n'
        ),
    },
}


@pytest.mark.parametrize("name", DATA)
def test_malformed_input(name, check_malformed):
    check_malformed(**{"status": 1, **DATA[name]})
