"""What a terminal can show: colors, its width, and texts that leave it as it is."""

from __future__ import annotations

import os
import sys
import textwrap
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

WIDTH = 100
"""Columns where nobody has said how many there are, as in a pipe."""

NARROWEST = 40
"""Columns below which lines are not made shorter."""


@dataclass(frozen=True)
class Style:
    """How texts look on one stream.

    Parameters
    ----------
    colored
        Whether to write codes for colors and weights; without, texts stay as they are.
    """

    colored: bool = False

    @classmethod
    def of(cls, stream: TextIO | None, environment: Mapping[str, str] | None = None) -> Style:
        """Return the style of a stream: colors at a terminal, and nowhere else.

        NO_COLOR, set to anything, turns them off, and FORCE_COLOR on (unless it is 0); NO_COLOR is
        the stronger one. A terminal that calls itself ``dumb`` has none.

        Parameters
        ----------
        stream
            Standard output or standard error: each is asked for itself.
        environment
            The environment variables; those of the process when None.
        """
        said = os.environ if environment is None else environment
        if said.get("NO_COLOR"):
            return cls(False)
        if said.get("FORCE_COLOR"):
            return cls(said["FORCE_COLOR"] != "0")
        return cls(is_terminal(stream) and said.get("TERM") != "dumb")

    def bold(self, text: str) -> str:
        """Return what is read first."""
        return self._coded("1", text)

    def quiet(self, text: str) -> str:
        """Return what may be overlooked."""
        return self._coded("2", text)

    def good(self, text: str) -> str:
        """Return good news, in green."""
        return self._coded("32", text)

    def bad(self, text: str) -> str:
        """Return bad news, in red."""
        return self._coded("31", text)

    def warning(self, text: str) -> str:
        """Return what needs care, in yellow."""
        return self._coded("33", text)

    def _coded(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colored and text else text


PLAIN = Style()
"""Texts without codes."""


def is_terminal(stream: TextIO | None) -> bool:
    """Say whether somebody reads a stream at a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False


def columns(stream: TextIO | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Return how many columns a line may take.

    Parameters
    ----------
    stream
        Where it will be written; standard output when None.
    environment
        The environment variables; those of the process when None. COLUMNS says it for terminals
        and pipes alike.
    """
    said = (os.environ if environment is None else environment).get("COLUMNS", "")
    if said.isascii() and said.isdigit() and int(said) > 0:
        return max(int(said), NARROWEST)
    target = sys.stdout if stream is None else stream
    if is_terminal(target):
        try:
            found = os.get_terminal_size(target.fileno()).columns
        except OSError:
            found = 0
        if found > 0:
            return max(found, NARROWEST)
    return WIDTH


def wrapped(text: str, width: int, first: str = "", indent: str = "") -> list[str]:
    """Break prose into lines; names of options and paths stay whole.

    Parameters
    ----------
    text
        What to break, anywhere between its words.
    width
        Columns that a line may take; prose takes no more than :data:`WIDTH`.
    first, indent
        What stands before the first line, and before the others.
    """
    return textwrap.wrap(
        " ".join(text.split()),
        min(width, WIDTH),
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def visible(text: str) -> str:
    r"""Return a text from data so that a terminal only shows it.

    Control characters (which move the cursor, or color what follows), codes that turn the
    direction of writing, and half characters are written as escapes; a line break is one blank.

    Parameters
    ----------
    text
        Anything.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, " ".join(text.splitlines())))


def _shown(character: str) -> str:
    if character == "\t":
        return " "
    if unicodedata.category(character) in {"Cc", "Cs"} or _turns_direction(character):
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character


def _turns_direction(character: str) -> bool:
    # The marks and the embeddings, overrides and isolates of the bidirectional algorithm.
    return unicodedata.bidirectional(character) in {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    }  # fmt: skip
