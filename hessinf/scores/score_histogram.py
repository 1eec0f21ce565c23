"""How all scores of a query are distributed, counted while they stream by."""

from __future__ import annotations

from typing import Any

import torch

from hessinf.scores.errors import ScoreError

COUNTED_AT_ONCE = 1 << 16
"""So many scores are looked at together: what is made of them stays in the cache."""

BITS = 52
"""Of the mantissa of a float64."""

BIAS = 1023
"""The exponent of 1."""

BINS = 2 << 11
"""Two for each exponent."""

TO_ROOT_OF_TWO = (1 << BITS) - 1865452045155277
"""What takes the mantissa of √2, rounded up, to the next power of two."""


class ScoreDistribution:
    """Count, mean, standard deviation and histogram of the scores of each of Q queries.

    Bin ``b`` of the histogram holds the magnitudes in ``[2^(b/2), 2^((b+1)/2))``: two bins for each
    doubling. It is found from the bits of a number, not by a logarithm, so that it is the same on
    every device and for every order of the blocks.

    Parameters
    ----------
    queries
        Q.
    device
        Where the scores are.
    """

    def __init__(self, queries: int, device: torch.device | str = "cpu") -> None:
        self.count = 0
        self._counts = torch.zeros(queries, 2 * BINS, dtype=torch.int64, device=device)
        self._mean = torch.zeros(queries, dtype=torch.float64, device=device)  # [Q]
        self._spread = torch.zeros_like(self._mean)  # [Q]

    def add(self, scores: torch.Tensor) -> None:
        """Take in a block.

        Parameters
        ----------
        scores
            ``[Q, B]``, of any B training examples. Those that are not finite are for others to
            refuse.
        """
        columns = max(COUNTED_AT_ONCE // max(len(scores), 1), 1)
        for start in range(0, scores.shape[1], columns):
            some = scores[:, start : start + columns].double()  # [Q, b]
            bins = _bins(some)  # [Q, b]
            self._counts.scatter_add_(1, bins, torch.ones_like(bins[:, :1]).expand_as(bins))
            if scores.dtype == torch.float64:
                # No square of a score in units of the largest is too large or too small.
                unit = some.abs().amax(dim=1).clamp(min=torch.finfo(some.dtype).tiny)  # [Q]
                mean, spread = _moments(some / unit[:, None])
                self._join(some.shape[1], mean * unit, spread * unit)
            else:
                self._join(some.shape[1], *_moments(some))

    def _join(self, number: int, mean: torch.Tensor, spread: torch.Tensor) -> None:
        """Add a number of scores with their mean, and the norm of what is beside it, ``[Q]``.

        Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm, 1979.
        """
        total = self.count + number
        step = mean - self._mean  # [Q]
        between = step.abs() * (self.count * number / total) ** 0.5  # [Q]
        self._spread = torch.hypot(torch.hypot(self._spread, spread), between)
        self._mean = self._mean + step * (number / total)
        self.count = total

    def to_json(self) -> list[dict[str, Any]]:
        """Describe the scores of each query, as JSON objects.

        Returns
        -------
        list of dict
            One a query: "count", "mean", "standard_deviation" (that of all of them: divided by
            their number), "histogram" with "positive" and "negative", which have the numbers of
            scores by bin, the smallest magnitudes first, and "zero", the number of those that are
            0 (or below 2^-1022).

        Raises
        ------
        ScoreError
            When no scores were added.
        """
        if self.count == 0:
            raise ScoreError("no scores were added")
        negative, positive = self._counts.view(-1, 2, BINS).unbind(1)  # [Q, BINS] each
        zero = (positive[:, :2] + negative[:, :2]).sum(dim=1).tolist()  # Q
        ups, downs = _by_bin(positive), _by_bin(negative)
        means = self._mean.tolist()
        deviations = (self._spread / self.count**0.5).tolist()
        return [
            {
                "count": self.count,
                "mean": means[row],
                "standard_deviation": deviations[row],
                "histogram": {"positive": ups[row], "negative": downs[row], "zero": zero[row]},
            }
            for row in range(len(means))
        ]


def _bins(scores: torch.Tensor) -> torch.Tensor:
    """Find the bin of each score: those of positive ones begin at BINS, each sign's with its zeros.

    Parameters
    ----------
    scores
        ``[Q, B]``, float64.

    Returns
    -------
    torch.Tensor
        ``[Q, B]``, int64, below 2·BINS.
    """
    bits = scores.contiguous().view(torch.int64)  # [Q, B]
    # The exponent, and once more with one added from √2 on. A sign takes 2^11 from each.
    bins = (bits + TO_ROOT_OF_TWO).bitwise_right_shift_(BITS)  # [Q, B]
    return bins.add_(bits >> BITS).add_(BINS)


def _moments(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the means of scores ``[Q, B]``, and the norms of what is beside them: ``[Q]``."""
    mean = scores.mean(dim=1, keepdim=True)  # [Q, 1]
    return mean[:, 0], torch.linalg.vector_norm(scores - mean, dim=1)


def _by_bin(counts: torch.Tensor) -> list[dict[str, int]]:
    """Name the bins that are not empty, ``[Q, BINS]``."""
    found: list[dict[str, int]] = [{} for _ in range(len(counts))]
    rows, places = counts[:, 2:].nonzero(as_tuple=True)
    numbers = counts[:, 2:][rows, places]
    for row, place, number in zip(rows.tolist(), places.tolist(), numbers.tolist(), strict=True):
        found[row][str(place + 2 - 2 * BIAS)] = number
    return found
