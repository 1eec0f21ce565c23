"""Files are whole or absent, whatever a process is killed at."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hessinf.runtime import files


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it on purpose."""


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_text_and_bytes_are_written(tmp_path: Path) -> None:
    files.write_atomically(tmp_path / "text", "λ\n")
    files.write_atomically(str(tmp_path / "bytes"), b"\x00\xff")
    assert (tmp_path / "text").read_bytes() == "λ\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["bytes", "text"]


def test_names_that_are_no_utf8_are_read_back(tmp_path: Path) -> None:
    files.write_json_atomically(tmp_path / "a.json", {"path": "é\udcff"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"path": "é\udcff"}


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    path = tmp_path / "file"
    files.write_atomically(path, "old")

    def fail(*args: object) -> None:
        raise Killed

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(Killed):
        files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    files.write_json_atomically(path, {"b": 1, "a": "λ"})
    assert path.read_text(encoding="utf-8") == '{\n  "b": 1,\n  "a": "λ"\n}\n'
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        files.write_json_atomically(path, float("nan"))
    assert path.read_text(encoding="utf-8") == '{\n  "b": 1,\n  "a": "λ"\n}\n'
    assert names(tmp_path) == ["file.json"]


class TestReplaceDirectory:
    def fill(self, path: Path, text: str) -> None:
        with files.replace_directory(path) as unfinished:
            (unfinished / "below").mkdir()
            (unfinished / "below" / "file").write_text(text)

    def read(self, path: Path) -> str:
        return (path / "below" / "file").read_text()

    def test_new_and_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "parent" / "run"
        self.fill(path, "first")
        assert self.read(path) == "first"
        (path / "extra").write_text("")
        self.fill(path, "second")
        assert self.read(path) == "second"
        assert names(path) == ["below"]
        assert names(path.parent) == ["run"]

    def test_a_file_in_its_place_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "run").write_text("a file")
        self.fill(tmp_path / "run", "text")
        assert self.read(tmp_path / "run") == "text"
        assert names(tmp_path) == ["run"]

    def test_an_error_inside_keeps_the_old_one(self, tmp_path: Path) -> None:
        path = tmp_path / "run"
        self.fill(path, "old")

        def fail() -> None:
            with files.replace_directory(path) as unfinished:
                (unfinished / "half").write_text("")
                assert self.read(path) == "old"
                raise Killed

        with pytest.raises(Killed):
            fail()
        assert self.read(path) == "old"
        assert names(tmp_path) == ["run"]

    def test_what_an_earlier_try_left_is_removed(self, tmp_path: Path) -> None:
        left = tmp_path / f".run.{os.getpid()}.unfinished"
        left.mkdir()
        (left / "old").write_text("")
        self.fill(tmp_path / "run", "new")
        assert names(tmp_path / "run") == ["below"]

    def test_a_failed_second_rename_puts_the_old_one_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "run"
        self.fill(path, "old")
        rename = os.replace

        def fail(source: Path, target: Path) -> None:
            if str(source).endswith(".unfinished"):
                raise OSError("no space left")
            rename(source, target)

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            self.fill(path, "new")
        assert self.read(path) == "old"
        assert names(tmp_path) == ["run"]

    def kill_between_renames(self, path: Path) -> None:
        """Do what a process does that is killed when the old directory has left its place."""
        unfinished = path.with_name(f".{path.name}.123.unfinished")
        unfinished.mkdir()
        (unfinished / "new").write_text("")
        os.replace(path, path.with_name(f".{path.name}.123.retired"))

    def test_a_kill_between_the_renames_loses_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "a.run"
        self.fill(path, "old")
        self.kill_between_renames(path)
        assert not path.exists()
        assert files.restore_retired(tmp_path) == [path]
        assert self.read(path) == "old"
        assert files.restore_retired(tmp_path) == []

    def test_removing_the_unfinished_restores_first(self, tmp_path: Path) -> None:
        path = tmp_path / "run"
        self.fill(path, "old")
        self.kill_between_renames(path)
        files.remove_unfinished(tmp_path)
        assert self.read(path) == "old"
        assert names(tmp_path) == ["run"]

    def test_a_retired_one_is_removed_where_the_new_one_arrived(self, tmp_path: Path) -> None:
        path = tmp_path / "run"
        self.fill(path, "new")
        retired = tmp_path / ".run.77.retired"
        retired.mkdir()
        (tmp_path / ".file.5.unfinished").write_text("half")
        (tmp_path / ".hidden").write_text("someone's")
        files.remove_unfinished(tmp_path)
        assert self.read(path) == "new"
        assert names(tmp_path) == [".hidden", "run"]
