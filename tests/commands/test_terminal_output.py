"""What commands write to a terminal, to a pipe, and where colors are not wanted."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

COLORS = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM")

Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(workplace: Path) -> Run:
    """Run a command line with a terminal or a file at each stream; return what came there."""

    def at(
        line: str,
        *,
        terminals: tuple[str, ...] = ("stdout", "stderr"),
        width: int = 80,
        **environment: str,
    ) -> tuple[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in COLORS}
        ends, streams = {}, {}
        for name in ("stdout", "stderr"):
            reading, writing = pty.openpty() if name in terminals else os.pipe()
            if name in terminals:
                fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
            ends[name], streams[name] = reading, writing
        done = subprocess.Popen(
            [sys.executable, "-m", "hessinf", *line.split()],
            env={**kept, "TERM": "xterm", "PYTHONPATH": str(ROOT), **environment},
            **streams,
        )
        for writing in streams.values():
            os.close(writing)
        shown = tuple(_all_of(end) for end in ends.values())
        done.wait(60)
        return shown[0], shown[1]

    return at


def _all_of(end: int) -> str:
    parts = []
    with open(end, "rb", buffering=0) as stream:
        while True:
            try:
                part = stream.read(65536)
            except OSError:  # how a terminal says that nobody writes any more
                part = b""
            if not part:
                return b"".join(parts).decode(errors="replace").replace("\r\n", "\n")
            parts.append(part)


def test_colors_at_a_terminal(run):
    assert run("validate a.jsonnet") == ("a.jsonnet: \x1b[32mvalid\x1b[0m\n", "")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"FORCE_COLOR": "0"}])
def test_none_where_they_are_not_wanted(run, environment):
    assert run("validate a.jsonnet", **environment) == ("a.jsonnet: valid\n", "")


def test_none_in_a_pipe(run):
    assert run("validate a.jsonnet", terminals=()) == ("a.jsonnet: valid\n", "")
    forced = run("validate a.jsonnet", terminals=(), FORCE_COLOR="1")
    assert forced == ("a.jsonnet: \x1b[32mvalid\x1b[0m\n", "")


def test_none_in_json(run):
    shown, _ = run("validate a.jsonnet --json", FORCE_COLOR="1")
    assert "\x1b" not in shown


def test_each_stream_is_asked_for_itself(run):
    warning = "import logging\nlogging.getLogger('hessinf.mine').warning('mind this')\n"
    Path("warns.py").write_text(warning)
    line = "validate a.jsonnet --include-package ./warns.py"
    colored, plain = "\x1b[33mWARNING\x1b[0m: mind this\n", "WARNING: mind this\n"
    assert run(line, terminals=("stderr",)) == ("a.jsonnet: valid\n", colored)
    assert run(line, terminals=("stdout",)) == ("a.jsonnet: \x1b[32mvalid\x1b[0m\n", plain)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_fit_the_terminal(run, width):
    shown, _ = run("list DatasetReader", width=width, NO_COLOR="1")
    longest = max(map(len, shown.splitlines()))
    assert longest <= width
    assert longest > min(width, 100) - 20
    described, _ = run("describe csv", width=width, NO_COLOR="1")
    prose = [line for line in described.splitlines() if "  registered  " not in line]
    assert max(map(len, prose)) <= width


@pytest.mark.parametrize("line", ["--help", "interpret --help", "list --help"])
def test_the_prose_of_help_fits_the_terminal(run, line):
    whole, _ = run(line, terminals=())
    shown, _ = run(line, width=60)
    texts = [
        one.partition("\n\n")[2].partition("positional arguments:")[0].partition("Examples\n---")[0]
        for one in (whole, shown)
    ]
    lines = [one for one in texts[1].splitlines() if not one.startswith("  hessinf ")]
    assert max(map(len, lines)) <= 60
    assert max(map(len, texts[0].splitlines())) > 60
    assert texts[1].split() == texts[0].split()
    assert not set(_command_lines(texts[0])) - set(_command_lines(texts[1]))


def _command_lines(text):
    return [line for line in text.splitlines() if line.startswith("  hessinf ")]


def test_a_line_a_name_in_a_pipe(run):
    shown, _ = run("list DatasetReader", terminals=())
    assert len(shown.splitlines()) == 1 + len(
        [line for line in shown.splitlines() if line.startswith("  ")]
    )
    assert "  csv " in shown
    again, _ = run("list DatasetReader", terminals=(), COLUMNS="50")
    assert again == shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_stream_cannot_say_is_an_escape(run, encoding):
    shown, errors = run("describe exact", terminals=(), PYTHONIOENCODING=encoding)
    assert "\\u03bb, or {" in shown
    assert errors == ""
