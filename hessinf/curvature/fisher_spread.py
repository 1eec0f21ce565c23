"""How far a sampled Fisher may be from its expectation."""

from __future__ import annotations

import math
from typing import Any

import torch

from hessinf.execution.executor import add


class TraceSpread:
    """Traces of blocks, and how they vary over the targets that were drawn, over one batch.

    With several samples of each example, what counts is how they differ within the example. With
    one, the differences between examples stand for it: too large, never too small, since examples
    also differ in their expectations.
    """

    def __init__(self) -> None:
        self._traces: list[list[torch.Tensor]] = []
        self._sums: dict[str, Any] | None = None

    def add(self, traces: list[torch.Tensor]) -> None:
        """Take in the traces of K columns, ``[K, B]`` for each block."""
        self._traces.append([trace.double() for trace in traces])

    def end_examples(self) -> None:
        """Learn that all columns of the examples were there; others follow, or none."""
        samples = sum(len(part[0]) for part in self._traces)
        columns = [torch.cat(parts) for parts in zip(*self._traces, strict=True)]  # [M, B] each
        stacked = torch.stack(columns)  # [blocks, M, B]
        means = stacked.sum(dim=1)  # [blocks, B], columns carry 1/√M
        found: dict[str, Any] = {
            "examples": stacked.shape[2],
            "sum": means.sum(dim=1),  # [blocks]
            "squares": means.square().sum(dim=1),  # [blocks]
        }
        if samples > 1:
            variances = (samples * stacked).var(dim=1) / samples  # [blocks, B]
            found["variances"] = variances.sum(dim=1)  # [blocks]
        self._traces = []
        self._sums = found if self._sums is None else add(self._sums, found)

    def result(self) -> dict[str, Any]:
        """Return sums over the examples."""
        assert self._sums is not None
        return self._sums


def relative_standard_errors(sums: dict[str, Any]) -> list[float]:
    """Return the standard error of each block's trace, as a share of the trace.

    Parameters
    ----------
    sums
        Of :meth:`TraceSpread.result`, over all examples.

    Returns
    -------
    list of float
        One a block; zero where the trace is, and for a single example with a single sample.
    """
    count = sums["examples"]
    totals = sums["sum"]  # [blocks]
    if "variances" in sums:
        variances = sums["variances"]  # [blocks], of the sum over examples
    else:
        between = (sums["squares"] - totals.square() / count).clamp(min=0)  # [blocks]
        variances = between * (count / max(count - 1, 1))
    errors = variances.sqrt() / torch.where(totals > 0, totals, math.inf)  # [blocks]
    found: list[float] = errors.tolist()
    return found
