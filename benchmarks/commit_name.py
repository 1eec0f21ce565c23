"""Which commit is measured."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def commit() -> str:
    """Name the commit that is measured, and say whether there are changes on top."""

    def git(*arguments: str) -> str:
        ended = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return ended.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--", "hessinf") else ""
    return (git("rev-parse", "--short", "HEAD") or "an unknown commit") + changed
