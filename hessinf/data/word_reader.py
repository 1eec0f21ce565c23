"""The base of readers of texts: words become numbers, which the training data decide."""

from __future__ import annotations

from typing import Annotated, Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.text_encoding import TextEncoding, TextOptions
from hessinf.registry import AtLeast


class WordReader(DatasetReader):
    """Reads texts, whose words become numbers.

    A text is cut into words (runs of letters, digits and underscores, with apostrophes inside) and
    the other characters that are no blanks, one by one; Han characters and kana are a token each.

    Parameters
    ----------
    lowercase
        Whether words that differ in their capitals only are one.
    min_count
        Words that stand fewer times in the training data are unknown ones.
    max_words
        So many words are known, the most frequent ones; null for all.
    max_tokens
        Texts are cut after so many tokens.
    """

    def __init__(
        self,
        *,
        lowercase: bool = True,
        min_count: Annotated[int, AtLeast(1)] = 1,
        max_words: Annotated[int, AtLeast(1)] | None = None,
        max_tokens: Annotated[int, AtLeast(1)] = 256,
    ) -> None:
        self.options = TextOptions(lowercase, min_count, max_words, max_tokens)
        self._encoding: TextEncoding | None = None

    def state(self) -> dict[str, Any]:
        """Give what was learnt from the training data; empty before they were read."""
        return {} if self._encoding is None else self._encoding.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what a reader with the same arguments learnt from the training data.

        Parameters
        ----------
        state
            What :meth:`state` gave; empty to learn from what is read next.

        Raises
        ------
        DataError
            When it is of another kind of reader.
        """
        self._encoding = TextEncoding.from_state(self.options, state) if state else None
