from __future__ import annotations

import json

import pytest

from hessinf.reporting import ranked_lines as module
from hessinf.reporting.ranked_lines import ranked_lines


def entry(index, display, **others):
    return {
        "rank": index,
        "index": index,
        "id": f"train/{index}",
        "display": display,
        "self_influence": 10.0 - index,
        "loss": 0.5,
        "target": 3,
        **others,
    }


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Write lines, and read them with one that is read whole."""
    monkeypatch.setattr(module, "WHOLE", 1)

    def write_and_read(*entries):
        file = tmp_path / "self_influence.jsonl"
        lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in entries]
        file.write_text("".join(lines), encoding="utf-8")
        return list(ranked_lines(file))

    return write_and_read


def test_the_first_are_whole_and_the_others_short(read):
    first, second = entry(0, {"label": "a"}), entry(1, {"image": [[0, 1]], "label": "b"})
    assert read(first, second) == [first, {"index": 1, "self_influence": 9.0, "loss": 0.5}]


def test_where_there_is_no_self_influence_it_is_null(read):
    found = read(entry(0, {}), entry(7, {}, self_influence=None, loss=1e-12, target=[1.5, -2.0]))
    assert found[1] == {"index": 7, "self_influence": None, "loss": 1e-12}


@pytest.mark.parametrize(
    "display",
    [
        {"text": '"self_influence": 5.0, "loss": 1.0, "target": 0}'},
        {"row": {"self_influence": 99.0, "loss": 98.0, "target": 97}},
        {"self_influence": 99.0, "loss": 98.0, "target": 97},
        {"text": "}\u2028\n\\", "label": 'a"'},
    ],
)
def test_no_display_is_taken_for_the_numbers(read, display):
    assert read(entry(0, {}), entry(4, display))[1] == {
        "index": 4,
        "self_influence": 6.0,
        "loss": 0.5,
    }


@pytest.mark.parametrize(
    "line",
    [
        {"index": 3, "id": "a", "display": {}, "self_influence": 1.0, "loss": 2.0, "target": 0},
        entry(3, {}, target="a"),
        entry(3, {}, target=list(range(200))),
        entry(3, {}, further=1),
    ],
)
def test_a_line_of_another_form_is_read_whole(read, line):
    assert read(entry(0, {}), line)[1] == line


def test_a_file_without_lines_is_no_ranking(read):
    assert read() == []
