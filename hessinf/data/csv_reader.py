"""Tables in CSV files."""

from __future__ import annotations

import csv
import io
from typing import Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError, counted, quoted
from hessinf.data.input_file import check_encoding, read_text
from hessinf.data.raw_table import RawTable
from hessinf.data.table_reader import TableReader

USUAL_DELIMITERS = (",", ";", "\t", "|")


@DatasetReader.register("csv")
class CsvReader(TableReader):
    """Reads a CSV file with a header, an example a row.

    Registered as a `DatasetReader` with name "csv".

    Blanks around values do not count; empty lines are skipped.

    Parameters
    ----------
    delimiter
        What stands between values: one character.
    encoding
        How the file's bytes spell characters.
    """

    def __init__(self, *, delimiter: str = ",", encoding: str = "utf-8", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if len(delimiter) != 1 or delimiter in '\r\n"':
            raise ValueError(f"delimiter must be one character, found {quoted(delimiter)}")
        check_encoding(encoding)
        self.delimiter = delimiter
        self.encoding = encoding

    def parse(self, path: str) -> RawTable:
        """Read header and rows; a row is at the line where it begins."""
        text = io.StringIO(read_text(path, self.encoding), newline="")
        lines = csv.reader(text, delimiter=self.delimiter, skipinitialspace=True, strict=True)
        rows: list[list[str]] = []
        places: list[int] = []
        begin = 1
        broken: str | None = None
        try:
            for row in lines:
                if row:
                    rows.append([value.strip() for value in row])
                    places.append(begin)
                begin = lines.line_num + 1
        except csv.Error as error:
            broken = f": {error}; check the quotes from here on"
        if not rows:
            raise DataError(f"{path}, line {begin}{broken}" if broken else f"{path} is empty")
        header = self._header(path, rows[0])
        kept = [i for i in range(1, len(rows)) if len(rows[i]) == len(header)]
        table = RawTable(
            path,
            {name: [rows[i][column] for i in kept] for column, name in enumerate(header)},
            [places[i] for i in kept],
        )
        for row, place in zip(rows[1:], places[1:], strict=True):
            if len(row) != len(header):
                table.note(
                    place,
                    f": found {counted(len(row), 'value')}, expected {len(header)} as in the "
                    "header; put values that contain the delimiter in quotes",
                )
        if broken:
            table.note(begin, broken)
        return table

    def _header(self, path: str, header: list[str]) -> list[str]:
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated:
            raise DataError(
                f"{path}: the header has {quoted(repeated[0])} twice, expected names that differ; "
                "is the first line a header?"
            )
        return header

    def column_hint(self, table: RawTable) -> str:
        """Recognise a file that uses another delimiter."""
        name = next(iter(table.columns))
        for delimiter in USUAL_DELIMITERS:
            if len(table.columns) == 1 and delimiter in name and delimiter != self.delimiter:
                return f"\n  the header has {quoted(delimiter)}; set delimiter: {quoted(delimiter)}"
        return ""
