"""A table from a CSV file, from end to end, with standardisation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

ROWS = np.random.default_rng(0).normal(size=(40, 2)).round(4)


def table(scale: float = 1.0, shift: float = 0.0, rows: np.ndarray = ROWS) -> str:
    """Two columns, the first in other units, and whether their sum is positive."""
    lines = ["id,length,width,label"]
    for number, (length, width) in enumerate(rows.tolist()):
        label = "large" if length + width + 0.3 * np.sin(number) > 0 else "small"
        lines.append(f"r{number},{scale * length + shift!r},{width!r},{label}")
    return "\n".join(lines) + "\n"


CONFIG = """(import 'table.libsonnet') + {
  dataset_reader: { type: 'csv', target: 'label', id: 'id', dtype: 'float64' },
  model: { type: 'logistic-regression', dtype: 'float64' },
  trainer+: { epochs: 200, gradient_tolerance: 1e-8 },
}"""


@pytest.fixture
def interpret(cli, workplace):
    def run(folder: str, train: str, test: str, options: str = "") -> list[dict]:
        (workplace / "train.csv").write_text(train)
        (workplace / "test.csv").write_text(test)
        (workplace / "b.jsonnet").write_text(CONFIG)
        outcome = cli(f"interpret b.jsonnet -s {folder} {options}")
        assert outcome.status == 0, outcome.stderr
        lines = Path(folder, "interpretations.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    return run


def test_people_are_shown_what_the_file_has(interpret):
    lines = interpret("out", table(), table(rows=ROWS[:3]))
    assert [line["query"]["id"] for line in lines] == ["r0", "r1", "r2"]
    for line in lines:
        row = line["query"]["display"]["row"]
        number = int(line["query"]["id"][1:])
        assert (row["length"], row["width"]) == pytest.approx(tuple(ROWS[number]))
        assert line["query"]["display"]["label"] in ("large", "small")
        # Every query is a training example here: nothing helps it more than itself does.
        influences = {item["id"]: item["score"] for item in line["helpful"] + line["harmful"]}
        assert influences[line["query"]["id"]] > 0


def test_units_do_not_matter(interpret):
    plain = interpret("plain", table(), table(rows=ROWS[:3]))
    inches = interpret("inches", table(39.37, 100.0), table(39.37, 100.0, rows=ROWS[:3]))
    for one, other in zip(plain, inches, strict=True):
        for side in ("helpful", "harmful"):
            assert [x["id"] for x in one[side]] == [x["id"] for x in other[side]]
            np.testing.assert_allclose(
                [x["score"] for x in one[side]], [x["score"] for x in other[side]], rtol=1e-5
            )


def test_the_archive_keeps_the_scales_of_the_training_file(interpret):
    interpret("out", table(), table(rows=ROWS[:3]))
    archive = json.loads(Path("out/model/config.json").read_text())["config"]
    state = archive["dataset_reader_state"]
    assert state["labels"] == ["large", "small"]
    assert state["standardization"]["mean"] == pytest.approx(ROWS.mean(axis=0).tolist())
    assert state["standardization"]["scale"] == pytest.approx(ROWS.std(axis=0).tolist())


def test_without_standardisation_units_matter(interpret):
    option = "--set dataset_reader.standardize=false"
    plain = interpret("plain", table(), table(rows=ROWS[:3]), option)
    inches = interpret("inches", table(39.37), table(39.37, rows=ROWS[:3]), option)
    assert plain[0]["helpful"][0]["score"] != pytest.approx(
        inches[0]["helpful"][0]["score"], rel=1e-3
    )


def test_a_reader_of_their_own_for_the_queries(interpret):
    reader = '--set test_dataset_reader=\'{"type": "csv", "target": "label", "id": "id", '
    reader += '"dtype": "float64"}\''
    shared = interpret("shared", table(), table(rows=ROWS[:3]))
    assert interpret("own", table(), table(rows=ROWS[:3]), reader) == shared
