"""Files of rows of numbers whose columns are known by their order."""

from __future__ import annotations

from collections.abc import Sequence

from hessinf.data.errors import DataError, counted
from hessinf.data.input_file import read_text
from hessinf.data.raw_table import RawTable, parse_number

DELIMITERS = (",", ";", "\t")


def read_number_rows(path: str, names: Sequence[str]) -> RawTable:
    """Read a file with a number for each name in a row.

    Parameters
    ----------
    path
        The file. Values stand between commas, semicolons, tabs or blanks; a first line without any
        number is a header, and skipped, as empty lines are.
    names
        What the columns are, in order.

    Returns
    -------
    RawTable
        Which has noted the lines with more or fewer values.

    Raises
    ------
    DataError
        When it has no rows.
    """
    rows: list[list[str]] = []
    places: list[int] = []
    wrong: list[tuple[int, int]] = []
    first = True
    for place, line in enumerate(read_text(path, "utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        row = _values(line)
        is_header = first and all(parse_number(value) is None for value in row)
        first = False
        if is_header:
            continue
        if len(row) == len(names):
            rows.append(row)
            places.append(place)
        else:
            wrong.append((place, len(row)))
    if not rows and not wrong:
        raise DataError(f"{path} has no rows, expected at least one")
    table = RawTable(path, {name: [row[i] for row in rows] for i, name in enumerate(names)}, places)
    for place, count in wrong:
        table.note(
            place, f": found {counted(count, 'value')}, expected {len(names)}: {', '.join(names)}"
        )
    return table


def _values(line: str) -> list[str]:
    for delimiter in DELIMITERS:
        if delimiter in line:
            return [value.strip() for value in line.split(delimiter)]
    return line.split()
