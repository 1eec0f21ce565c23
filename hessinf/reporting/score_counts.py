"""How scores are spread: counts by magnitude and sign, over any number of queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIGNS = ("negative", "positive")

MOST_BINS = 48
"""Bins below the largest magnitude, seven powers of ten; what is smaller is counted in words."""


class ScoreCounts:
    """Scores counted in bins: bin b holds magnitudes in ``[2^(b/2), 2^((b+1)/2))``."""

    def __init__(self) -> None:
        self.bins: dict[str, dict[int, int]] = {sign: {} for sign in SIGNS}
        self.zeros = 0
        self.queries = 0

    def add(self, scores: Mapping[str, Any] | None) -> None:
        """Add the scores of one query.

        Parameters
        ----------
        scores
            "histogram" with "positive", "negative" (by b the count) and "zero"; None where it was
            not kept.
        """
        if not scores:
            return
        histogram = scores["histogram"]
        self.queries += 1
        self.zeros += histogram.get("zero", 0)
        for sign, bins in self.bins.items():
            for place, count in histogram.get(sign, {}).items():
                bins[int(place)] = bins.get(int(place), 0) + count

    def ends(self) -> tuple[int, int]:
        """Return the first and the last bin that are shown, on both sides alike.

        There is a score that is not 0.
        """
        places = [place for bins in self.bins.values() for place in bins]
        last = max(places)
        return max(min(places), last - MOST_BINS + 1), last

    @property
    def total(self) -> int:
        """How many scores were counted."""
        return self.zeros + sum(sum(bins.values()) for bins in self.bins.values())
