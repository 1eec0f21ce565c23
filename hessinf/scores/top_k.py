"""Both ends of a ranking, kept while scores stream by."""

from __future__ import annotations

import torch

from hessinf.scores.errors import ScoreError

SUMMED_AT_ONCE = 1 << 17
"""So many scores are widened to float64 together."""


class TopK:
    """The k largest and the k smallest scores of each query, and the sum of all.

    Ties are broken by training index, the smaller first, at both ends. Blocks of scores must come
    in the order of the training examples.

    Parameters
    ----------
    k
        How many to keep at each end; all, when there are fewer.
    deferred
        Whether scores that are not finite are reported with the results only, so that no block
        makes the CPU wait for the device; by default everywhere but on the CPU.
    """

    def __init__(self, k: int, *, deferred: bool | None = None) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, found {k}")
        self.k = k
        self.count = 0
        self._deferred = deferred
        self._next = 0
        self._total: torch.Tensor | None = None
        self._ends: dict[bool, tuple[torch.Tensor, torch.Tensor]] = {}
        self._unchecked: list[tuple[int, torch.Tensor, torch.Tensor]] = []

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
            When a score is not finite. It is never ranked. With a deferred check it is raised when
            results are asked for.
        ValueError
            When the block stands before one that was added.
        """
        start = self._next if first_index is None else first_index
        if start < self._next:
            raise ValueError(
                f"blocks of scores must come in the order of the training examples: expected "
                f"{self._next} or more as the first index, found {start}"
            )
        deferred = scores.device.type != "cpu" if self._deferred is None else self._deferred
        total = _sums(scores)  # [Q]
        if deferred:
            self._unchecked.append((start, *_first_not_finite(scores)))
        elif not bool(total.isfinite().all()):  # one that is not makes the sum so
            require_finite(scores, start)
        for descending in (True, False):
            values, places = _end_of_block(scores, self.k, descending, waits=not deferred)
            self._ends[descending] = self._merge(values, places + start, descending)
        self._total = total if self._total is None else self._total + total
        self.count += scores.shape[1]
        self._next = start + scores.shape[1]

    def _merge(
        self, values: torch.Tensor, indices: torch.Tensor, descending: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rank scores ``[Q, k]``, whose indices ascend, together with what was kept before."""
        if descending in self._ends:
            kept_values, kept_indices = self._ends[descending]
            values = torch.cat([kept_values, values], dim=1)  # [Q, 2k]
            indices = torch.cat([kept_indices, indices], dim=1)  # [Q, 2k]
        # What is kept stands before what is new, and has smaller indices: a stable sort keeps that.
        values, order = values.sort(dim=1, descending=descending, stable=True)
        return values[:, : self.k], indices.gather(1, order[:, : self.k])

    def _check(self) -> None:
        """Raise what was deferred: one wait for the device, whatever the number of blocks."""
        unchecked, self._unchecked = self._unchecked, []
        if not unchecked:
            return
        places = torch.stack([place for _, place, _ in unchecked]).tolist()
        for (start, _, value), (query, column) in zip(unchecked, places, strict=True):
            if query >= 0:
                raise _not_finite(start + column, query, float(value))

    def helpful(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the k largest scores, descending, and their indices: ``[Q, min(k, N)]`` each."""
        return self._end(descending=True)

    def harmful(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the k smallest scores, ascending, and their indices: ``[Q, min(k, N)]`` each."""
        return self._end(descending=False)

    def _end(self, descending: bool) -> tuple[torch.Tensor, torch.Tensor]:
        self._check()
        if descending not in self._ends:
            raise ScoreError("no scores were added")
        return self._ends[descending]

    def mean(self) -> torch.Tensor:
        """Return the mean score of each query over all training examples, ``[Q]``, float64."""
        self._check()
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
    if bool(scores.sum().isfinite()):  # one that is not makes the sum so
        return
    finite = scores.isfinite()  # [Q, B]
    if not bool(finite.all()):
        query, column = (int(place) for place in (~finite).nonzero()[0])
        raise _not_finite(first_index + column, query, scores[query, column].item())


def _not_finite(index: int, query: int, value: float) -> ScoreError:
    return ScoreError(
        f"scoring: the score of training example {index} for query {query} of the block is "
        f"{value}; likely causes: damping too small for the precision, or gradients that overflow"
    )


def _first_not_finite(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the first score that is not finite, without waiting for the device.

    Returns
    -------
    torch.Tensor
        Its query and column, ``[2]``; the query is -1 where all are finite.
    torch.Tensor
        Its value, ``[]``.
    """
    bad = ~scores.isfinite().flatten()  # [Q·B]
    place = bad.byte().argmax()
    query = torch.where(bad.take(place), place // scores.shape[1], -1)
    return torch.stack([query, place % scores.shape[1]]), scores.take(place)


def _sums(scores: torch.Tensor) -> torch.Tensor:
    """Add up the scores of each query in float64, ``[Q]``, without a copy of all of them."""
    columns = max(SUMMED_AT_ONCE // max(len(scores), 1), 1)
    starts = range(0, max(scores.shape[1], 1), columns)
    parts = [scores[:, start : start + columns] for start in starts]
    return torch.stack([part.sum(dim=1, dtype=torch.float64) for part in parts]).sum(dim=0)


def _end_of_block(
    scores: torch.Tensor, k: int, descending: bool, *, waits: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the k largest (or smallest) of each row; of equal ones those that stand first.

    Parameters
    ----------
    scores
        ``[Q, B]``.
    k
        How many; all, when there are fewer.
    descending
        Whether the largest are wanted.
    waits
        Whether to look if ties need a second pass (the CPU waits for the device), not to make it
        in any case.

    Returns
    -------
    torch.Tensor
        The values, ``[Q, min(k, B)]``, in the order of their columns.
    torch.Tensor
        Their columns, ascending.
    """
    count = scores.shape[1]
    if count <= k:
        return scores, torch.arange(count, device=scores.device).expand_as(scores)
    values, columns = scores.topk(k + 1, dim=1, largest=descending)  # [Q, k + 1], sorted
    last = values[:, k - 1 : k]  # [Q, 1]
    crossing = values[:, k:] == last  # equal ones inside and outside: any may have been taken
    values, columns = values[:, :k], columns[:, :k]
    if not waits or bool(crossing.any()):
        all_columns = torch.arange(count, device=scores.device)  # [B]
        equal = torch.where(scores == last, all_columns, count)  # [Q, B]
        first = equal.topk(k, dim=1, largest=False).values  # [Q, k], ascending
        beyond = (values != last).sum(dim=1, keepdim=True)  # [Q, 1], fewer than k
        rank = torch.arange(k, device=scores.device) - beyond  # [Q, k]
        columns = torch.where(rank < 0, columns, first.gather(1, rank.clamp(min=0)))
    columns, order = columns.sort(dim=1)
    return values.gather(1, order), columns
