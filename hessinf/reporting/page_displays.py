"""What a page shows of examples: images by number, texts that are not endless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hessinf.display.example_text import are_texts
from hessinf.display.numbers import counted
from hessinf.reporting.page_images import ImageStore
from hessinf.runtime.finite_json import finite_json

LONGEST_TEXT = 20_000
"""Characters of a text, at most."""

CHARACTERS_PER_TOKEN = 5
"""A text of so many times as many characters has as many tokens in a page as it may have."""

MOST_TOKENS = LONGEST_TEXT // CHARACTERS_PER_TOKEN

MOST_HELD = 40_000_000
"""Characters of all texts of a page; beyond, each may be half as long."""

LONGEST_FACT = 2_000
"""Characters of any other text."""

MOST_ITEMS = 100
"""Columns of a row, and items of any other list."""


@dataclass
class _Text:
    """A text with its tokens, and how much of them there was."""

    text: str | None
    characters: int
    tokens: list[str] | None
    count: int

    def cut(self, longest: int) -> None:
        """Keep so many characters at most, and tokens of as many."""
        if self.text is not None:
            self.text = self.text[:longest]
        if self.tokens is not None:
            self.tokens = self.tokens[: max(longest // CHARACTERS_PER_TOKEN, 1)]

    @property
    def held(self) -> int:
        """Characters that are held."""
        return len(self.text or "") + sum(map(len, self.tokens or ()))

    def shown(self) -> dict[str, Any]:
        """Return what the page is given."""
        found: dict[str, Any] = {}
        if self.text is not None:
            found["text"] = self.text + _more(self.characters - len(self.text), "character")
        if self.tokens is not None:
            found["tokens"] = self.tokens
            if more := _more(self.count - len(self.tokens), "token"):
                found["…"] = more.strip()
        return found


class DisplayStore:
    """What is shown of examples, by number, in the order in which they came.

    Parameters
    ----------
    images
        Takes their images.
    """

    def __init__(self, images: ImageStore) -> None:
        self._images = images
        self._others: list[dict[str, Any]] = []
        self._texts: dict[int, _Text] = {}
        self._longest = LONGEST_TEXT
        self._held = 0

    def __len__(self) -> int:
        return len(self._others)

    def add(self, display: Mapping[str, Any]) -> int:
        """Keep what is shown of an example, and return its number."""
        others: dict[str, Any] = {}
        text = tokens = None
        for key, value in display.items():
            if key == "image" and (number := self._images.add(value)) is not None:
                others["image"] = number
            elif key == "text" and isinstance(value, str):
                text = value
            elif key == "tokens" and are_texts(value):
                tokens = value
            else:
                others[str(key)] = shortened(value)
        self._others.append(others)
        if text is not None or tokens is not None:
            self._keep(_Text(text, len(text or ""), tokens, len(tokens or ())))
        return len(self._others) - 1

    def _keep(self, text: _Text) -> None:
        text.cut(self._longest)
        self._texts[len(self._others) - 1] = text
        self._held += text.held
        while self._held > MOST_HELD and self._longest > LONGEST_FACT:
            self._longest //= 2
            for one in self._texts.values():
                one.cut(self._longest)
            self._held = sum(one.held for one in self._texts.values())

    def shown(self, number: int) -> dict[str, Any]:
        """Return what the page is given of an example."""
        text = self._texts.get(number)
        return {**({} if text is None else text.shown()), **self._others[number]}

    def searched(self, number: int, longest: int) -> str:
        """Return the text that a search goes through, in small letters."""
        text = self._texts.get(number)
        parts = [] if text is None else [text.text or " ".join(text.tokens or ())]
        parts += _texts_in(self._others[number])
        return " ".join(parts)[:longest].lower()


def shortened(value: Any, longest: int = LONGEST_FACT) -> Any:
    """Cut long texts and lists in JSON, with a mark; what is not finite becomes a text."""
    if isinstance(value, str):
        return value[:longest] + _more(len(value) - longest, "character")
    if isinstance(value, Mapping):
        found = {str(key): shortened(item, longest) for key, item in [*value.items()][:MOST_ITEMS]}
        more = _more(len(value) - MOST_ITEMS, "value")
        return {**found, "…": more.strip()} if more else found
    if isinstance(value, list | tuple):
        more = _more(len(value) - MOST_ITEMS, "value")
        kept = [shortened(item, longest) for item in value[:MOST_ITEMS]]
        return [*kept, more.strip()] if more else kept
    return finite_json(value)


def _more(count: int, what: str) -> str:
    """Mark what was left out; nothing where all of it is there."""
    return "" if count <= 0 else f" … ({counted(count, f'more {what}')})"


def _texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts_in(item)]
    return []
