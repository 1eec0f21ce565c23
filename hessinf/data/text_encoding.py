"""What readers of texts learn from the training data: the words, and the names of the classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hessinf.data.dataset import Dataset
from hessinf.data.errors import DataError, listed, quoted
from hessinf.data.instance import Instance
from hessinf.data.tokenization import tokens_of
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

PADDING, UNKNOWN = "<padding>", "<unknown>"
"""The names of the token numbers 0 and 1; no word of a text is written so."""

TOKENS = "tokens"
"""The input that holds token numbers, and what is shown of them."""


@dataclass(frozen=True)
class TextOptions:
    """How texts become numbers: the arguments of :class:`~hessinf.data.word_reader.WordReader`."""

    lowercase: bool
    min_count: int
    max_words: int | None
    max_tokens: int


@dataclass(frozen=True)
class TextEncoding:
    """How texts become token numbers, and labels become classes.

    Parameters
    ----------
    options
        As the config says.
    words
        The known words, in the order of their numbers, which begin with 2.
    labels
        The names of the classes, in order.
    """

    options: TextOptions
    words: tuple[str, ...]
    labels: tuple[str, ...]

    @classmethod
    def learn(
        cls, options: TextOptions, texts: Iterable[str], labels: Sequence[str]
    ) -> TextEncoding:
        """Learn which words there are: the most frequent first, ties by the alphabet."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(_spelled(token, options) for token in _cut(text, options))
        words = [word for word, count in counts.items() if count >= options.min_count]
        words.sort(key=lambda word: (-counts[word], word))
        return cls(options, tuple(words[: options.max_words]), tuple(labels))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The name of each token number."""
        return (PADDING, UNKNOWN, *self.words)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=2)}

    def numbers(self, tokens: Iterable[str]) -> list[int]:
        """Return the number of each token; 1 for words that are not known."""
        return [self._numbers.get(_spelled(token, self.options), 1) for token in tokens]

    def dataset(
        self,
        texts: Sequence[str],
        classes: Sequence[int],
        ids: Sequence[str],
        name: str,
    ) -> Dataset:
        """Make a data set.

        Parameters
        ----------
        texts
            Each with a token at least.
        classes
            The class of each, by number.
        ids, name
            As of a :class:`Dataset`.

        Returns
        -------
        Dataset
            Inputs are ``{"tokens": [S]}``, int64; texts differ in length. Feature names are the
            vocabulary.
        """
        instances = []
        for text, label, id in zip(texts, classes, ids, strict=True):
            tokens = _cut(text, self.options)
            instances.append(
                Instance(
                    inputs={TOKENS: torch.tensor(self.numbers(tokens))},  # [S]
                    target=torch.tensor(label),  # []
                    id=id,
                    display={"text": text, TOKENS: tokens, "label": self.labels[label]},
                )
            )
        return Dataset(instances, label_names=self.labels, feature_names=self.vocabulary, name=name)

    def state(self) -> dict[str, Any]:
        """Write what was learnt in JSON values."""
        return {"words": list(self.words), "labels": list(self.labels)}

    @classmethod
    def from_state(cls, options: TextOptions, state: dict[str, Any]) -> TextEncoding:
        """Read what :meth:`state` wrote; a DataError where it is something else."""
        if state.keys() != {"words", "labels"}:
            raise DataError(
                f'this is not the state of a reader of texts: expected "words" and "labels", found '
                f"{listed(state)}; was it saved by another reader?"
            )
        return cls(options, tuple(state["words"]), tuple(state["labels"]))

    def require_labels(self, labels: Sequence[str]) -> None:
        """Refuse a saved state with other classes than the config's."""
        if self.labels != tuple(labels):
            raise DataError(
                f"the reader's saved state has labels {quoted(list(self.labels))}, the config has "
                f"{quoted(list(labels))}; use the config it was saved with"
            )


def _cut(text: str, options: TextOptions) -> list[str]:
    return tokens_of(text)[: options.max_tokens]


def _spelled(token: str, options: TextOptions) -> str:
    return token.lower() if options.lowercase else token
