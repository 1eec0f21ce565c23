"""Both ends of a ranking, kept while scores stream by."""

from __future__ import annotations

import torch

from hessinf.scores.errors import ScoreError


class TopK:
    """The k largest and the k smallest scores of each query, and the sum of all.

    Ties are broken by training index, the smaller first, at both ends. Blocks of scores must come
    in the order of the training examples.

    Parameters
    ----------
    k
        How many to keep at each end; all, when there are fewer.
    """

    def __init__(self, k: int) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, found {k}")
        self.k = k
        self.count = 0
        self._next = 0
        self._total: torch.Tensor | None = None
        self._ends: dict[bool, tuple[torch.Tensor, torch.Tensor]] = {}

    def add(self, scores: torch.Tensor, first_index: int | None = None) -> None:
        """Take in a block.

        Parameters
        ----------
        scores
            ``[Q, B]``, of the next B training examples.
        first_index
            The training index of the first column; the one after the last when left out.

        Raises
        ------
        ScoreError
            When a score is not finite. It is never ranked.
        ValueError
            When the block stands before one that was added.
        """
        start = self._next if first_index is None else first_index
        if start < self._next:
            raise ValueError(
                f"blocks of scores must come in the order of the training examples: expected "
                f"{self._next} or more as the first index, found {start}"
            )
        require_finite(scores, start)
        indices = torch.arange(start, start + scores.shape[1], device=scores.device)  # [B]
        block = (scores, indices.expand_as(scores))
        for descending in (True, False):
            self._ends[descending] = self._merge(block, descending)
        total = scores.sum(dim=1, dtype=torch.float64)  # [Q]
        self._total = total if self._total is None else self._total + total
        self.count += scores.shape[1]
        self._next = start + scores.shape[1]

    def _merge(
        self, block: tuple[torch.Tensor, torch.Tensor], descending: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        values, indices = block
        if descending in self._ends:
            kept_values, kept_indices = self._ends[descending]
            values = torch.cat([kept_values, values], dim=1)  # [Q, k + B]
            indices = torch.cat([kept_indices, indices], dim=1)  # [Q, k + B]
        # What is kept stands before what is new, and has smaller indices: a stable sort keeps that.
        values, order = values.sort(dim=1, descending=descending, stable=True)
        return values[:, : self.k], indices.gather(1, order[:, : self.k])

    def helpful(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the k largest scores, descending, and their indices: ``[Q, min(k, N)]`` each."""
        return self._end(descending=True)

    def harmful(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the k smallest scores, ascending, and their indices: ``[Q, min(k, N)]`` each."""
        return self._end(descending=False)

    def _end(self, descending: bool) -> tuple[torch.Tensor, torch.Tensor]:
        if descending not in self._ends:
            raise ScoreError("no scores were added")
        return self._ends[descending]

    def mean(self) -> torch.Tensor:
        """Return the mean score of each query over all training examples, ``[Q]``, float64."""
        if self._total is None or self.count == 0:
            raise ScoreError("no scores were added")
        return self._total / self.count


def require_finite(scores: torch.Tensor, first_index: int) -> None:
    """Refuse scores that are not finite.

    Parameters
    ----------
    scores
        ``[Q, B]``.
    first_index
        The training index of the first column.

    Raises
    ------
    ScoreError
        With the place of the first of them.
    """
    if not bool(scores.isfinite().all()):
        query, column = (int(place) for place in (~scores.isfinite()).nonzero()[0])
        raise ScoreError(
            f"scoring: the score of training example {first_index + column} for query {query} of "
            f"the block is {scores[query, column].item()}; likely causes: damping too small for "
            "the precision, or gradients that overflow"
        )
