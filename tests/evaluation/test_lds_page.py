from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "evaluation" / "lds.md"


def test_the_example_of_the_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    expected = re.findall(r"^# (.*)$", code, re.MULTILINE)
    exec(code, {})
    assert capsys.readouterr().out.splitlines() == expected
