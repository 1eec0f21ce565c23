"""Progress goes to standard error: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from hessinf.runtime import progress


@pytest.fixture(autouse=True)
def _shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HESSINF_PROGRESS", raising=False)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_items_pass_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track(iter("abc"), stage="letters", unit="letters")) == ["a", "b", "c"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("letters: 3 letters, ")


def test_a_file_gets_whole_lines_and_few(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    with progress.bar(stage="gradients", total=3000) as shown:
        for _ in range(3000):
            clock.now += 0.01
            shown.update(1)
        shown.set(loss="0.5")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "\r" not in captured.err
    assert "\x1b" not in captured.err
    lines = captured.err.splitlines()
    assert 3 <= len(lines) <= 4
    assert lines[0] == "gradients: 1000/3000 examples, 10.0 s, 100.0 examples/s"
    assert lines[-1].startswith("gradients: 3000/3000 examples, 30.0 s, 100.0 examples/s")


def test_totals_are_taken_from_the_length(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    list(progress.track([1, 2], stage="pairs", unit="batches"))
    assert capsys.readouterr().err == "pairs: 2/2 batches, 0.0 s\n"


def test_the_last_line_comes_after_an_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with progress.bar(stage="broken", total=5) as shown:
            shown.update(2)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert capsys.readouterr().err.startswith("broken: 2/5 examples, ")


@pytest.mark.parametrize("value", ["0", "false", "No", "off"])
def test_silence(
    value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HESSINF_PROGRESS", value)
    with progress.bar(stage="quiet", total=2) as shown:
        shown.update(1)
        shown.set(loss=1)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress.track(range(3), stage="on a terminal")) == [0, 1, 2]
    assert "\ron a terminal: " in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
    assert capsys.readouterr().out == ""
