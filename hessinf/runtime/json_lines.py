"""One JSON value a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def json_line(value: Any) -> str:
    """Return a value as a line of JSON; what is not finite is refused."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # JSON leaves these as they are; some readers take them for ends of lines.
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085")
    return text + "\n"


def read_lines(file: Path) -> Iterator[Any]:
    """Read a file of such lines, one by one."""
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
