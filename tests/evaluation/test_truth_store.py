from __future__ import annotations

import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.truth_store import TruthParts, TruthStore, content_key

IDENTITY = {"recipe": {"model": "mlp"}, "seed": 3}


def values(_: TruthParts) -> dict[str, np.ndarray]:
    return {"masks": np.eye(3, dtype=np.uint8), "values": np.arange(6.0).reshape(2, 3)}


def test_a_truth_is_made_once_and_read_back(tmp_path: Path) -> None:
    made = []

    def make(parts: TruthParts) -> dict[str, np.ndarray]:
        made.append(1)
        return values(parts)

    store = TruthStore(tmp_path / "inside" / "store")
    first = store.produce("kind", IDENTITY, make)
    second = TruthStore(store.directory).produce("kind", dict(reversed(IDENTITY.items())), make)
    assert made == [1]
    for name, array in values(TruthParts(tmp_path / "none")).items():
        np.testing.assert_array_equal(first[name], array)
        np.testing.assert_array_equal(second[name], array)
        assert first[name].dtype == array.dtype
    assert sorted(path.suffix for path in store.directory.iterdir()) == [".json", ".npz"]
    (record,) = store.directory.glob("kind-*.json")
    assert json.loads(record.read_text()) == IDENTITY


@pytest.mark.parametrize(
    ("kind", "identity"),
    [("other", IDENTITY), ("kind", {**IDENTITY, "seed": 4}), ("kind", {**IDENTITY, "more": None})],
)
def test_whatever_decides_it_is_part_of_the_key(kind: str, identity: dict[str, object]) -> None:
    assert content_key(kind, identity)[1] != content_key("kind", IDENTITY)[1]


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        TruthStore(tmp_path / name).produce("kind", IDENTITY, values)
    one, two = (sorted((tmp_path / name).iterdir()) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_a_killed_attempt_goes_on_with_its_parts(tmp_path: Path) -> None:
    store = TruthStore(tmp_path)
    computed = []

    def make(parts: TruthParts, stop_at: int) -> dict[str, np.ndarray]:
        finished = parts.finished(range(3))
        for part in range(3):
            if part == stop_at:
                raise KeyboardInterrupt
            if part not in finished:
                computed.append(part)
                parts.add(part, {"values": np.full(2, part)})
        return {"values": np.concatenate([part["values"] for part in parts.all(3)])}

    with pytest.raises(KeyboardInterrupt):
        store.produce("kind", IDENTITY, lambda parts: make(parts, 2))
    (folder,) = tmp_path.glob("*.parts")
    (folder / ".000002.npz.77.unfinished").write_bytes(b"half")
    found = store.produce("kind", IDENTITY, lambda parts: make(parts, 9))
    assert computed == [0, 1, 2]
    np.testing.assert_array_equal(found["values"], [0, 0, 1, 1, 2, 2])
    assert not list(tmp_path.glob("*.parts"))


def test_a_broken_file_is_named_and_never_unpickled(tmp_path: Path) -> None:
    store = TruthStore(tmp_path)
    store.produce("kind", IDENTITY, values)
    (file,) = tmp_path.glob("*.npz")
    for content in (b"", b"PK\x03\x04 nonsense", file.read_bytes()[:60]):
        file.write_bytes(content)
        with pytest.raises(EvaluationError) as error:
            store.produce("kind", IDENTITY, values)
        assert re.fullmatch(
            f"{re.escape(str(file))} cannot be read \\(.*\\); remove it, and it will be made again",
            str(error.value),
        )
    np.savez(file, values=np.array([{}], dtype=object))
    with pytest.raises(EvaluationError, match="allow_pickle=False"):
        store.produce("kind", IDENTITY, values)


def test_an_array_that_is_missing_is_named_with_its_file(tmp_path: Path) -> None:
    store = TruthStore(tmp_path)
    store.produce("kind", IDENTITY, values)
    (file,) = tmp_path.glob("*.npz")
    np.savez(file, other=np.zeros(2))
    with pytest.raises(EvaluationError) as error:
        store.produce("kind", IDENTITY, values)["masks"]
    assert str(error.value) == (
        f'{file} has no array "masks" (it has: other); remove it, and it will be made again'
    )


def test_what_one_process_makes_the_others_wait_for(tmp_path: Path) -> None:
    made, begun, both = [], threading.Event(), threading.Barrier(2, timeout=60)

    def make(parts: TruthParts) -> dict[str, np.ndarray]:
        made.append(1)
        begun.set()
        both.wait()  # the other one asks now
        return values(parts)

    def ask(_: int) -> dict[str, np.ndarray]:
        return TruthStore(tmp_path).produce("kind", IDENTITY, make)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, 0)
        assert begun.wait(60)
        second = pool.submit(ask, 1)
        both.wait()
        for found in (first.result(60), second.result(60)):
            np.testing.assert_array_equal(found["masks"], np.eye(3))
    assert made == [1]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".npz"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EvaluationError) as error:
        TruthStore(tmp_path / "file" / "store").produce("kind", IDENTITY, values)
    assert str(error.value) == (
        f"ground truth cannot be written to {tmp_path}/file/store (Not a directory); name another "
        'directory ("evaluation": {"ground_truth": ...})'
    )


def test_a_place_is_looked_at_before_a_long_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TruthStore(tmp_path / "new" / "inside").require_place()
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    TruthStore(tmp_path).require_place()  # it may have all that is needed
    with pytest.raises(EvaluationError) as error:
        TruthStore(tmp_path / "new").require_place()
    assert str(error.value) == (
        f"{tmp_path}/new cannot be a directory for ground truth: nothing may be written in "
        f"{tmp_path}; name another directory"
    )
