"""``interpretations.jsonl``, shard by shard."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from hessinf.runtime.json_lines import json_line
from hessinf.scores import Interpretation, Query
from hessinf.scores.interpretation_store import InterpretationStore


def interpretation(index: int, **display: Any) -> Interpretation:
    query = Query(
        index=index,
        id=str(index),
        display=display,
        target=0,
        prediction=1,
        loss=0.5,
        measurement=0.5,
    )
    return Interpretation(query=query, helpful=(), harmful=())


def published(folder: Path) -> list[int]:
    lines = (folder / "interpretations.jsonl").read_text().splitlines()
    return [json.loads(line)["query"]["index"] for line in lines]


def test_shards_are_published_in_the_order_of_queries(tmp_path: Path) -> None:
    store = InterpretationStore(tmp_path)
    for start in (10, 0, 5):
        store.add(start, start + 5, map(interpretation, range(start, start + 5)))
    assert [shard.name for shard in store.finished()] == [
        "interpretations-00000000-00000005.jsonl",
        "interpretations-00000005-00000010.jsonl",
        "interpretations-00000010-00000015.jsonl",
    ]
    assert store.publish() == tmp_path / "interpretations.jsonl"
    assert published(tmp_path) == list(range(15))


def test_order_holds_beyond_eight_digits(tmp_path: Path) -> None:
    store = InterpretationStore(tmp_path)
    for start in (100_000_000, 99_999_999):
        store.add(start, start + 1, [interpretation(start)])
    store.publish()
    assert published(tmp_path) == [99_999_999, 100_000_000]


def test_first_shard_is_published_at_once(tmp_path: Path) -> None:
    InterpretationStore(tmp_path).add(0, 2, map(interpretation, range(2)))
    assert published(tmp_path) == [0, 1]


def test_publishing_takes_a_small_share_of_the_time(tmp_path: Path, monkeypatch: Any) -> None:
    clock = [0.0]

    def monotonic() -> float:
        clock[0] += 0.5  # so that publishing takes 0.5 s: the next is due 10 s later
        return clock[0]

    monkeypatch.setattr(time, "monotonic", monotonic)
    store = InterpretationStore(tmp_path)
    store.add(0, 1, [interpretation(0)])
    store.add(1, 2, [interpretation(1)])
    assert published(tmp_path) == [0]
    clock[0] += 10
    store.add(2, 3, [interpretation(2)])
    assert published(tmp_path) == [0, 1, 2]


def test_opened_again(tmp_path: Path) -> None:
    InterpretationStore(tmp_path).add(0, 2, map(interpretation, range(2)))
    (tmp_path / "shards" / ".interpretations-2-4.jsonl.77.unfinished").write_text("{")
    again = InterpretationStore(tmp_path)
    assert again.has(0, 2)
    assert not again.has(2, 4)
    assert len(list((tmp_path / "shards").iterdir())) == 1


def test_interrupted_while_a_shard_is_made(tmp_path: Path) -> None:
    def failing() -> Any:
        yield interpretation(0)
        raise RuntimeError

    store = InterpretationStore(tmp_path)
    with pytest.raises(RuntimeError):
        store.add(0, 2, failing())
    assert not store.has(0, 2)
    assert store.finished() == []


def test_shards_are_removed(tmp_path: Path) -> None:
    store = InterpretationStore(tmp_path)
    store.add(0, 1, [interpretation(0)])
    store.remove_shards()
    assert [entry.name for entry in tmp_path.iterdir()] == ["interpretations.jsonl"]
    store.remove_shards()


class TestJsonLine:
    @pytest.mark.parametrize(
        "end", ["\n", "\r", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"]
    )
    def test_is_one_line_for_every_reader(self, end: str) -> None:
        line = json_line(interpretation(0, text=f"a{end}b").to_json())
        assert len(line.splitlines()) == 1
        assert json.loads(line)["query"]["display"]["text"] == f"a{end}b"

    def test_letters_stay_readable(self) -> None:
        assert "größe 数" in json_line(interpretation(0, text="größe 数").to_json())

    def test_what_is_no_json_is_refused(self) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            json_line(interpretation(0, value=float("nan")).to_json())
