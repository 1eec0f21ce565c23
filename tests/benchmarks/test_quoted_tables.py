"""The docs quote headline tables as they were committed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.tables import definition, quoted

ROOT = Path(__file__).parents[2]
QUOTING = ("docs/measured.md", "docs/better_curvature.md")
PARTS = [
    (file, table, name, text)
    for file in QUOTING
    for table, name, text in re.findall(
        r"<!-- (t\d): (\w+) -->\n(.*?)\n<!-- end -->",
        (ROOT / file).read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
]


@pytest.mark.parametrize(("file", "table", "name", "text"), PARTS)
def test_is_what_the_table_says(file: str, table: str, name: str, text: str) -> None:
    assert text == quoted.part(table, name)


def test_all_parts_are_quoted() -> None:
    assert {(table, name) for _, table, name, _ in PARTS} == {
        (table, name) for table, parts in quoted.QUOTED.items() for name in parts
    }


@pytest.mark.parametrize("table", definition.NAMES)
def test_names_no_place_of_one_machine(table: str) -> None:
    results = (quoted.RESULTS / f"{table}.json").read_text(encoding="utf-8")
    assert re.findall(r'"/[^" ]+/', results) == []


@pytest.mark.parametrize("table", definition.NAMES)
def test_is_committed(table: str) -> None:
    made = quoted.RESULTS / f"{table}.md"
    assert made.read_text(encoding="utf-8").startswith(f"# {definition.load(table).title}\n")
