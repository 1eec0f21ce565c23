"""The training examples of a page: each once, with every query that it helps or harms."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from hessinf.reporting.page_displays import DisplayStore, shortened
from hessinf.reporting.page_values import rounded, shown_target
from hessinf.reporting.ranked_lines import WHOLE

SUSPECTS = WHOLE
"""Examples of the ranking by self-influence that a page shows."""

LONGEST_NAME = 300
"""Characters of an id or a label."""

CHUNK = 256
"""Examples of one segment."""


class Ranked(NamedTuple):
    """An example of the ranking.

    Parameters
    ----------
    training_index
        Its place in the training data.
    value
        What it is ranked by: self-influence, or the loss where that is not known.
    loss
        Its loss.
    """

    training_index: int
    value: float
    loss: float


class ExampleStore:
    """Training examples by place: in the order in which they came, first those of lists.

    Parameters
    ----------
    displays
        Takes what is shown of them.
    """

    def __init__(self, displays: DisplayStore) -> None:
        self._displays = displays
        self._places: dict[int, int] = {}  # by training index
        self._display_numbers: list[int] = []
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("index", "id", "target", "label", "loss", "flipped_from")
        }
        self._self_influence: dict[int, float | None] = {}  # by training index
        self._ranks: dict[int, int] = {}  # by training index
        # Of the entries of all lists: place and query, one after the other, and score.
        self._pairs, self._scores = array("q"), array("d")
        self.suspects: list[int] = []

    def __len__(self) -> int:
        return len(self._places)

    def place(self, example: Mapping[str, Any]) -> int:
        """Keep an example, and return its place.

        Parameters
        ----------
        example
            "index", "id", "display", "target" and "loss".
        """
        index = example["index"]
        place = self._places.get(index)
        if place is not None:
            return place
        display = example["display"]
        label = display.get("label")
        flipped = display.get("flipped_from")
        for name, value in (
            ("index", index),
            ("id", shortened(example["id"], LONGEST_NAME)),
            ("target", shown_target(example["target"])),
            ("label", None if label is None else shortened(str(label), LONGEST_NAME)),
            ("loss", rounded(example["loss"])),
            ("flipped_from", None if flipped is None else shortened(str(flipped), LONGEST_NAME)),
        ):
            self._columns[name].append(value)
        self._display_numbers.append(self._displays.add(display))
        return self._places.setdefault(index, len(self._places))

    def add_entry(self, place: int, query: int, score: float) -> None:
        """Keep that an example is in the lists of a query."""
        self._pairs.extend((place, query))
        self._scores.append(score)

    def add_ranking(self, ranking: Iterable[Mapping[str, Any]]) -> list[Ranked]:
        """Keep the first of a ranking as suspects, and the rank of every example of the page.

        Parameters
        ----------
        ranking
            The lines of ``self_influence.jsonl``; those after the first :data:`SUSPECTS` need
            "index", "self_influence" and "loss" only.

        Returns
        -------
        list of Ranked
            In its order.
        """
        found: list[Ranked] = []
        for rank, line in enumerate(ranking):
            value = line["self_influence"]
            if rank < SUSPECTS:
                self.suspects.append(self.place(line))
            if line["index"] in self._places:
                self._self_influence[line["index"]] = rounded(value)
                self._ranks[line["index"]] = rank
            loss = line["loss"]
            found.append(Ranked(line["index"], loss if value is None else value, loss))
        return found

    def columns(self) -> dict[str, Any]:
        """Return what the index says of all examples; None for a column in which nothing stands."""
        indices = self._columns["index"]
        found = {
            **self._columns,
            "self_influence": [self._self_influence.get(index) for index in indices],
            "suspect_rank": [self._ranks.get(index) for index in indices],
        }
        always = ("index", "id", "target", "loss")
        return {
            name: column if name in always or any(item is not None for item in column) else None
            for name, column in found.items()
        }

    def chunks(self) -> Iterator[list[dict[str, Any]]]:
        """Return what the segments say: display, and the queries helped and harmed."""
        queries: list[list[list[Any]]] = [[] for _ in self._display_numbers]
        pairs = zip(self._pairs[::2], self._pairs[1::2], strict=True)
        for (place, query), score in zip(pairs, self._scores, strict=True):
            queries[place].append([query, rounded(score)])
        for start in range(0, len(self), CHUNK):
            yield [self._shown(place, queries[place]) for place in range(len(self))[start:][:CHUNK]]

    def _shown(self, place: int, entries: list[list[Any]]) -> dict[str, Any]:
        by_score = sorted(entries, key=lambda entry: (-entry[1], entry[0]))
        return {
            "display": self._displays.shown(self._display_numbers[place]),
            "helps": [entry for entry in by_score if entry[1] > 0],
            "harms": [entry for entry in reversed(by_score) if entry[1] < 0],
        }
