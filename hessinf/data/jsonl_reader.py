"""Tables in JSON lines files: an object a line."""

from __future__ import annotations

import json
from typing import Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import quoted
from hessinf.data.input_file import check_encoding, read_text
from hessinf.data.raw_table import ABSENT, RawTable
from hessinf.data.table_reader import TableReader


@DatasetReader.register("jsonl")
class JsonlReader(TableReader):
    """Reads a JSON lines file, an object a line, an example an object.

    Registered as a `DatasetReader` with name "jsonl".

    Empty lines are skipped.

    Parameters
    ----------
    encoding
        How the file's bytes spell characters.
    """

    def __init__(self, *, encoding: str = "utf-8", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_encoding(encoding)
        self.encoding = encoding

    def parse(self, path: str) -> RawTable:
        """Read the objects; columns are all their keys."""
        rows: list[dict[str, Any]] = []
        places: list[int] = []
        problems: list[tuple[int, str]] = []
        # Not splitlines(): JSON strings may hold other line separators as they are.
        for place, line in enumerate(read_text(path, self.encoding).split("\n"), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=_unique_keys)
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", error)
                column = getattr(error, "colno", 1)
                found = f": found {quoted(line.strip())}, expected a JSON object; "
                problems.append((place, f"{found}{reason} (character {column})"))
                continue
            if not isinstance(row, dict):
                found = f": found {quoted(row)}, expected a JSON object"
                problems.append((place, f'{found}; write {{"column": value, ...}} on each line'))
                continue
            rows.append(row)
            places.append(place)
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [_stripped(row.get(name, ABSENT)) for row in rows] for name in names}
        table = RawTable(path, columns, places)
        for place, problem in problems:
            table.note(place, problem)
        return table


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says a key twice: nobody knows which value was meant."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the key {quoted(name)} is given twice")
    return dict(pairs)


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value
