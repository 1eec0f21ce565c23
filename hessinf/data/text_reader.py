"""Texts with labels, in JSON lines, CSV and TSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from hessinf.data.csv_reader import CsvReader
from hessinf.data.dataset import Dataset
from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError, list_problems, listed, quoted
from hessinf.data.jsonl_reader import JsonlReader
from hessinf.data.raw_table import RawTable
from hessinf.data.table_reader import TableReader
from hessinf.data.text_encoding import TextEncoding
from hessinf.data.word_reader import WordReader
from hessinf.registry.suggestions import did_you_mean

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
"""What the names of files end in."""

DELIMITERS = {"csv": ",", "tsv": "\t"}


@DatasetReader.register("text")
class TextReader(WordReader):
    """Reads texts with labels from a JSON lines, CSV or TSV file; paths are files.

    Registered as a `DatasetReader` with name "text".

    The first file read must be the training file: from it the reader learns the words and the label
    names, and uses them for every file. Words that it does not have are unknown ones, all of them
    one number.

    Parameters
    ----------
    text
        The column, or key, with the text.
    target
        The one with the label.
    id
        The one with a text or number that differs in every row; null numbers the rows,
        "train/0", "train/1", ... for a file train.csv.
    labels
        The names of the classes in the order in which they are numbered; null sorts what the
        training file has (as numbers if all are).
    format
        "jsonl": a JSON object a line. "csv" and "tsv": a table with a header, its values between
        commas or tabs. null goes by what the name of the file ends in.
    delimiter
        What stands between the values of a table instead: one character.
    encoding
        How the file's bytes spell characters.
    **kwargs
        What every reader of texts takes.
    """

    def __init__(
        self,
        *,
        text: str = "text",
        target: str = "label",
        id: str | None = None,
        labels: list[str] | None = None,
        format: Literal["jsonl", "csv", "tsv"] | None = None,
        delimiter: str | None = None,
        encoding: str = "utf-8",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        columns = {"text": text, "target": target, "id": id}
        for name, column in columns.items():
            others = {other: value for other, value in columns.items() if other != name}
            if column is not None and column in others.values():
                raise ValueError(f"{name} {quoted(column)} is also another column")
        self.text = text
        self.format = format
        self.id = id
        self.target = target
        self.labels = labels
        self._tables: dict[str, TableReader] = {
            "jsonl": JsonlReader(target=target, labels=labels, encoding=encoding)
        } | {
            name: CsvReader(
                target=target, labels=labels, encoding=encoding, delimiter=delimiter or usual
            )
            for name, usual in DELIMITERS.items()
        }

    def read(self, path: str) -> Dataset:
        """Read a file.

        Parameters
        ----------
        path
            The file, relative to the working directory; the training file first.

        Returns
        -------
        Dataset
            Inputs are ``{"tokens": [S]}``, token numbers; each example shows its text and tokens.

        Raises
        ------
        DataError
            With all problems of the file, up to ten in full: file, line, column, the value found,
            what was expected and what to try.
        """
        reader = self._tables[self._format_of(path)]
        table = reader.parse(path)
        if not len(table):
            table.raise_problems()
            raise DataError(f"{path} has no rows, expected at least one")
        self._require_columns(table, reader)
        texts = [text or "" for text in table.texts(self.text, "a text")]
        encoding = self._encoding or TextEncoding.learn(
            self.options, texts, self.labels or table.names(self.target)
        )
        classes = table.classes(self.target, encoding.labels)  # [N]
        ids = table.ids(self.id)
        table.raise_problems()
        if self._encoding is None:
            table.require_classes(self.target, classes, encoding.labels)
        self._encoding = encoding
        return encoding.dataset(texts, classes.tolist(), ids, path)

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what a reader with the same arguments learnt; see the base."""
        super().load_state(state)
        if self._encoding is not None and self.labels is not None:
            self._encoding.require_labels(self.labels)

    def _format_of(self, path: str) -> str:
        if self.format is not None:
            return self.format
        ending = Path(path).suffix.lower()
        if ending not in FORMATS:
            raise DataError(
                f"the format of {path} is not known: its name ends in {quoted(ending)}, expected "
                f"one of {listed(FORMATS)}; set format"
            )
        return FORMATS[ending]

    def _require_columns(self, table: RawTable, reader: TableReader) -> None:
        wanted = {"text": self.text, "target": self.target, "id": self.id}
        missing = [
            f"{argument}: no column {quoted(name)}{did_you_mean(name, table.columns)}"
            for argument, name in wanted.items()
            if name is not None and name not in table.columns
        ]
        if missing:
            headline = f"{table.path} has the columns {listed(table.columns)}"
            raise DataError(list_problems(headline, missing) + reader.column_hint(table))
