"""Colors, widths, and texts that leave a terminal as it is."""

from __future__ import annotations

import io
import os
import pty
import sys

import pytest

from hessinf.display.terminal import Style, columns, visible, wrapped


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestStyle:
    @pytest.mark.parametrize(
        ("environment", "colored"),
        [
            ({}, True),
            ({"TERM": "xterm-256color"}, True),
            ({"TERM": "dumb"}, False),
            ({"NO_COLOR": "1"}, False),
            ({"NO_COLOR": "0"}, False),
            ({"NO_COLOR": ""}, True),
            ({"FORCE_COLOR": "0"}, False),
            ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
            ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ],
    )
    def test_at_a_terminal(self, environment, colored):
        assert Style.of(Terminal(), environment).colored is colored

    @pytest.mark.parametrize(
        ("environment", "colored"),
        [({}, False), ({"TERM": "xterm"}, False), ({"FORCE_COLOR": "1"}, True)],
    )
    def test_in_a_pipe(self, environment, colored):
        assert Style.of(io.StringIO(), environment).colored is colored

    def test_streams_that_are_not_there(self):
        closed = io.StringIO()
        closed.close()
        assert Style.of(closed, {}).colored is False
        assert Style.of(None, {}).colored is False

    def test_the_environment_is_that_of_the_process(self, monkeypatch):
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert Style.of(io.StringIO()).colored is True
        monkeypatch.setenv("NO_COLOR", "1")
        assert Style.of(io.StringIO()).colored is False

    def test_codes(self):
        style = Style(colored=True)
        assert style.bold("a") == "\x1b[1ma\x1b[0m"
        assert style.quiet("a") == "\x1b[2ma\x1b[0m"
        assert style.good("a") == "\x1b[32ma\x1b[0m"
        assert style.bad("a") == "\x1b[31ma\x1b[0m"
        assert style.warning("a") == "\x1b[33ma\x1b[0m"
        assert style.bold("") == ""

    def test_without_codes(self):
        style = Style()
        for kind in (style.bold, style.quiet, style.good, style.bad, style.warning):
            assert kind("a") == "a"


class TestColumns:
    @pytest.mark.parametrize(
        ("said", "found"),
        [("120", 120), ("12", 40), ("0", 100), ("", 100), ("-5", 100), ("wide", 100), ("²", 100)],
    )
    def test_by_the_environment(self, said, found):
        assert columns(io.StringIO(), {"COLUMNS": said}) == found

    def test_of_a_terminal(self):
        import fcntl
        import struct
        import termios

        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 77, 0, 0))
        with os.fdopen(master, "rb"), os.fdopen(slave, "w") as stream:
            assert columns(stream, {}) == 77
            assert columns(stream, {"COLUMNS": "90"}) == 90

    def test_of_a_terminal_that_does_not_say(self):
        assert columns(Terminal(), {}) == 100

    def test_of_standard_output(self, monkeypatch):
        monkeypatch.delenv("COLUMNS", raising=False)
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        assert columns() == 100


def test_wrapped():
    text = "see hessinf describe\n  EK-FAC and --set interpreter.damping=0.1"
    assert wrapped(text, 24, "- ", "  ") == [
        "- see hessinf describe",
        "  EK-FAC and --set",
        "  interpreter.damping=0.1",
    ]


def test_prose_is_never_wider_than_can_be_read():
    assert max(map(len, wrapped("word " * 100, 300))) == 99


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("a\nb\r\nc\td\x0be", "a b c d e"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x00\x07\x7f\x9b", "\\x00\\x07\\x7f\\x9b"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\ud800", "\\ud800"),
        ("猫 שלום 🙂 é e\u0301", "猫 שלום 🙂 é e\u0301"),
        ("C:\\x1b", "C:\\x1b"),
    ],
)
def test_visible(text, shown):
    assert visible(text) == shown
