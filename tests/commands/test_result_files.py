"""What a run says about its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from hessinf.commands.result_files import next_steps
from hessinf.display.terminal import PLAIN, Style


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("my  run")  # two blanks: a path that is shown is one that can be copied
    folder.mkdir()
    (folder / "report.html").write_text("page")
    return folder


def test_what_to_open_next_fits_the_terminal(run: Path) -> None:
    assert next_steps(run, PLAIN, 60)[:3] == [
        "open my  run/report.html in a browser: every query with its",
        "  training examples, the suspects, plots",
        "results in my  run:",
    ]
    assert next_steps(run, PLAIN, 100)[0] == next_steps(run)[0]


def test_a_path_is_never_broken(run: Path) -> None:
    assert next_steps(run, PLAIN, 20)[0] == "open my  run/report.html in"


def test_the_path_is_what_is_seen_first(run: Path) -> None:
    colored = next_steps(run, Style(True), 60)
    assert colored[0].startswith("open \x1b[1mmy  run/report.html\x1b[0m in a browser: every query")
    assert colored[1] == "  training examples, the suspects, plots"
