"""The README's examples run, and what it shows is what is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hessinf.interpreters import InfluenceInterpreter

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    assert found, f"the README has no {language} block"
    return found


def hessinf(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hessinf", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HESSINF_PROGRESS": "0"},
    )


def test_first_python_block_explains_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), names)
    assert len(capsys.readouterr().out.splitlines()) == 20
    assert names["scores"].shape == (20, 180)  # type: ignore[attr-defined]


def test_console_blocks_print_what_they_show(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for block in blocks("console"):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            words, _, shown = command.partition("\n")
            assert words.startswith("hessinf ")
            done = hessinf(re.sub(r"\s+#.*", "", words).split()[1:], tmp_path)
            if shown.strip():
                assert (done.stdout + done.stderr).strip() == shown.strip()
            else:
                assert done.returncode == 0, done.stderr


def test_demo_output_is_of_the_demo_config() -> None:
    """Its numbers are of one machine; its lines are those that a run prints."""
    shown = next(text for text in blocks("text") if "queries against" in text)
    assert '180 queries against 1,617 training examples with "simple-influence": finished' in shown
    assert "results in runs/demo:" in shown
    assert len(re.findall(r"^    digits/\d+ +\d ", shown, flags=re.MULTILINE)) == 6


def test_commands_and_methods_that_it_names_exist() -> None:
    for name in re.findall(r"^\| `hessinf ([a-z-]+)", README, flags=re.MULTILINE):
        assert hessinf([name, "--help"], ROOT).returncode == 0, name
    table = README[README.index("## Methods") :].partition("\n## ")[0]
    named = re.findall(r"^\| `([a-z-]+)`", table, flags=re.MULTILINE)
    assert sorted(named) == sorted(
        name
        for name, entry in InfluenceInterpreter.catalogue.entries.items()
        if entry.target.__module__.startswith("hessinf.")
    )
