from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.data import DataError, DatasetReader
from hessinf.data.parkinsons import INPUTS
from hessinf.registry import ConfigError

HEADER = ["subject#", "age", "sex", "test_time", "motor_UPDRS", "total_UPDRS", *INPUTS[3:]]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows(subjects: int = 10, recordings: int = 4) -> list[list[float]]:
    random = np.random.default_rng(0)
    return [
        [
            *(subject + 1, 60 + subject, subject % 2),
            *(7.0 * recording, 20 + subject, 30 + subject),
            *random.normal(size=16).round(3).tolist(),
        ]
        for subject in range(subjects)
        for recording in range(recordings)
    ]


def write(table: list[list[float]], header=HEADER, name: str = "parkinsons_updrs.data") -> None:
    lines = [",".join(map(str, row)) for row in [header, *table]]
    with open(name, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def read(**arguments):
    reader = DatasetReader.from_config({"type": "parkinsons", **arguments})
    return reader.read("train"), reader.read("test")


@pytest.mark.parametrize(("target", "column"), [("motor_UPDRS", 4), ("total_UPDRS", 5)])
def test_reads_inputs_and_target(target, column):
    write(rows())
    train, test = read(target=target, standardize=False, dtype="float64")
    assert (len(train), len(test)) == (36, 4)
    assert train.feature_names == INPUTS
    assert not train.is_classification
    for part in (train, test):
        for instance in part:
            row = rows()[int(instance.id.removeprefix("parkinsons/"))]
            assert instance.inputs.tolist() == [*row[1:4], *row[6:]]
            assert instance.target.tolist() == [row[column]]
            assert list(instance.display["row"]) == list(INPUTS)


def test_the_other_score_and_the_subject_are_no_inputs():
    assert not {"subject#", "motor_UPDRS", "total_UPDRS"} & set(INPUTS)
    assert len(INPUTS) == 19


def subjects(part) -> set[int]:
    return {int(instance.id.removeprefix("parkinsons/")) // 4 for instance in part}


def test_people_can_be_kept_together():
    write(rows())
    train, test = read(split_by_subject=True, test_ratio=0.25)
    assert len(subjects(train)) == 7
    assert len(subjects(test)) == 3
    assert not subjects(train) & subjects(test)
    assert (len(train), len(test)) == (28, 12)
    assert read(split_by_subject=True, test_ratio=0.25)[0].fingerprint() == train.fingerprint()
    assert read(split_by_subject=True, test_ratio=0.25, split_seed=1)[1].ids != test.ids
    shuffled = [int(id.split("/")[1]) for id in train.ids]
    assert shuffled != sorted(shuffled)


def test_people_are_mixed_without_that():
    write(rows())
    train, test = read(test_ratio=0.25)
    assert subjects(train) & subjects(test)


def test_one_person_cannot_be_split():
    write(rows(subjects=1))
    text = (
        'reader "parkinsons": test_ratio 0.1 does not split 4 examples: '
        "The test split would have all of them"
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        read(split_by_subject=True)


def test_no_file():
    text = (
        "there is no file parkinsons_updrs.data\n"
        '  to get it, download "Parkinsons Telemonitoring", data set 189 of the UCI Machine '
        "Learning Repository (archive.ics.uci.edu), unpack it, and give its parkinsons_updrs.data "
        "as `file`"
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        read()
    with pytest.raises(DataError, match=r"^there is no file data/other: its directory does not"):
        read(file="data/other")


def test_missing_columns():
    write([[1, 2, 3]], ["subject#", "age", "Sex"])
    with pytest.raises(DataError) as found:
        read()
    first, second, third, *_ = str(found.value).splitlines()
    assert first == "parkinsons_updrs.data is not parkinsons_updrs.data: columns are missing"
    assert second == "  expected also 'sex'; did you mean \"Sex\"?"
    assert third == "  expected also 'test_time'"


def test_problems_have_lines_and_columns():
    table = rows()
    table[2][1] = "old"
    table[4][6] = "nan"
    table[5] = table[5][:-1]
    write(table, name="p.data")
    text = (
        "p.data: found 3 problems\n"
        '  line 4, column "age": found "old", expected a number; correct it\n'
        '  line 6, column "Jitter(%)": found "nan", expected a finite number; '
        "fill in the value, or remove the row\n"
        "  line 7: found 21 values, expected 22 as in the header; "
        "put values that contain the delimiter in quotes"
    )
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        read(file="p.data")


def test_no_rows():
    write([])
    with pytest.raises(DataError, match=r"^parkinsons_updrs\.data has no rows, expected at least"):
        read()


def test_other_targets_are_config_errors():
    with pytest.raises(ConfigError, match="target"):
        read(target="UPDRS")
