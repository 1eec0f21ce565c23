"""A table as it stands in a file: columns of unchecked values that know their lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.data.errors import DataError, counted, list_problems, listed, quoted
from hessinf.registry.suggestions import did_you_mean
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")


class _Absent:
    """A column that a row does not have."""


ABSENT = _Absent()

FILL_IN = "fill in the value, or remove the row"


class RawTable:
    """Columns of values with the place of each row in the file.

    Converting a column notes every bad value; :meth:`raise_problems` then shows them together.

    Parameters
    ----------
    path
        What messages call the file.
    columns
        N values a column: text, numbers, None where a value is missing, :data:`ABSENT` where the
        row lacks the column.
    places
        The number of each row's line in the file, or of the row itself.
    noun
        What places count: ``line`` or ``row``.
    """

    def __init__(
        self,
        path: str,
        columns: Mapping[str, Sequence[Any]],
        places: Sequence[int],
        noun: str = "line",
    ) -> None:
        self.path = path
        self.columns = columns
        self.places = places
        self.noun = noun
        self._problems: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self.places)

    def note(self, place: int, problem: str) -> None:
        """Note what is wrong at a place of the file."""
        self._problems.append((place, f"{self.noun} {place}{problem}"))

    def note_value(self, row: int, column: str, problem: str) -> None:
        """Note what is wrong with the value of one row and column."""
        self.note(self.places[row], f", column {quoted(column)}: {problem}")

    def raise_problems(self) -> None:
        """Raise a DataError with all problems noted, in the order of the file."""
        if self._problems:
            problems = [text for _, text in sorted(self._problems, key=lambda problem: problem[0])]
            headline = f"{self.path}: found {counted(len(problems), 'problem')}"
            raise DataError(list_problems(headline, problems))

    def numbers(self, column: str, *, hint: str = "") -> np.ndarray:
        """Convert a column to numbers.

        Parameters
        ----------
        column
            Its name.
        hint
            What to try when values are text.

        Returns
        -------
        ndarray
            ``[N]``, float64; NaN where a problem was noted.
        """
        values = self.columns[column]
        numbers = np.full(len(self), np.nan)  # [N]
        texts = []
        for row, value in enumerate(values):
            if _is_missing(value):
                self._note_missing(row, column, "a number")
                continue
            number = parse_number(value)
            if number is None:
                texts.append(row)
            elif not math.isfinite(number):
                problem = f"found {_shown(value)}, expected a finite number; {FILL_IN}"
                self.note_value(row, column, problem)
            else:
                numbers[row] = number
        if len(texts) == len(self) > 1:
            found = _shown(values[0])
            problem = f"found {found}, and no numbers in the other rows, expected numbers{hint}"
            self.note_value(0, column, problem)
        else:
            for row in texts:
                problem = f"found {_shown(values[row])}, expected a number{hint}"
                self.note_value(row, column, problem)
        return numbers

    def texts(self, column: str, expected: str) -> list[str | None]:
        """Convert a column to text, with None where it is missing and noted."""
        texts: list[str | None] = []
        for row, value in enumerate(self.columns[column]):
            if _is_missing(value):
                self._note_missing(row, column, expected)
                texts.append(None)
            elif isinstance(value, list | dict):
                problem = f"found {_shown(value)}, expected {expected}, as text or a number"
                self.note_value(row, column, problem)
                texts.append(None)
            else:
                texts.append(as_text(value))
        return texts

    def codes(self, column: str, accepted: Sequence[str], expected: str, hint: str) -> np.ndarray:
        """Convert a column to the places of its values in ``accepted``.

        Parameters
        ----------
        column
            Its name.
        accepted
            The values that may occur, as text.
        expected, hint
            How messages say what is accepted, and what to try.

        Returns
        -------
        ndarray
            ``[N]``, int64; -1 where a problem was noted.
        """
        place = {text: index for index, text in enumerate(accepted)}
        codes = np.full(len(self), -1, dtype=np.int64)  # [N]
        for row, text in enumerate(self.texts(column, expected)):
            if text in place:
                codes[row] = place[text]
            elif text is not None:
                self.note_value(
                    row,
                    column,
                    f"found {quoted(text)}, expected {expected} ({listed(accepted)})"
                    f"{did_you_mean(text, accepted) or hint}",
                )
        return codes

    def ids(self, column: str | None) -> list[str]:
        """Read the ids of rows; those that stand twice are noted.

        Parameters
        ----------
        column
            The column with the ids; None numbers the rows, ``train/0``, ``train/1``, ... for a file
            train.csv.
        """
        if column is None:
            return [f"{Path(self.path).stem}/{row}" for row in range(len(self))]
        first: dict[str, int] = {}
        ids = [text or "" for text in self.texts(column, "an id")]
        for row, id in enumerate(ids):
            if id and first.setdefault(id, row) != row:
                used = f"{self.noun} {self.places[first[id]]}"
                problem = f"found {quoted(id)} again, expected ids that differ; {used} has it too"
                self.note_value(row, column, problem)
        return ids

    def names(self, column: str) -> list[str]:
        """List the different values of a column as text, in order; problems are not noted."""
        # Missing values are noted when the column is converted, not here.
        scratch = RawTable(self.path, self.columns, self.places)
        return in_order({text for text in scratch.texts(column, "") if text is not None})

    def classes(self, column: str, labels: Sequence[str]) -> np.ndarray:
        """Convert a column to the numbers of classes, as :meth:`codes` does."""
        hint = "; correct it, or add it to `labels` or to the training file"
        return self.codes(column, labels, "one of the labels", hint)  # [N]

    def require_classes(self, column: str, codes: np.ndarray, labels: Sequence[str]) -> None:
        """Refuse a training file with one class, of which nothing can be learnt."""
        found = set(codes.tolist())
        if len(found) == 1:
            raise DataError(
                f"{self.path}: {counted(len(self), 'row')} and one label in column "
                f"{quoted(column)}, {quoted(labels[found.pop()])}; expected two classes or "
                "more to train on; check `target`, or the file"
            )

    def _note_missing(self, row: int, column: str, expected: str) -> None:
        found = "no such column" if self.columns[column][row] is ABSENT else "no value"
        self.note_value(row, column, f"found {found}, expected {expected}; {FILL_IN}")


def parse_number(value: Any) -> float | None:
    """Read a number: text as in a file, or a number that is no truth value; None for the rest."""
    if isinstance(value, str):
        try:
            # Python takes 1_000 for a number; people who write it mean something else.
            return None if "_" in value else float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def as_text(value: Any) -> str:
    """Write a value as the name of a class or category: ``1.0`` is ``"1"``, ``true`` ``"true"``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def in_order(texts: set[str]) -> list[str]:
    """Sort names: as numbers where all are numbers, else as text."""
    numbers = {text: parse_number(text) for text in texts}
    if all(number is not None for number in numbers.values()):
        return sorted(texts, key=lambda text: (numbers[text], text))
    return sorted(texts)


def as_json(value: Any) -> Any:
    """Turn a value into one that JSON has: others, NaN and infinity become text, missing None."""
    if value is ABSENT:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


def _is_missing(value: Any) -> bool:
    return value is None or value is ABSENT or value == ""


def _shown(value: Any) -> str:
    finite = not isinstance(value, float) or math.isfinite(value)
    return quoted(value) if finite else str(value)
