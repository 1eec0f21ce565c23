"""Differences between rows, with intervals from resamples that all rows share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from hessinf.evaluation.change_agreement import percentiles
from hessinf.evaluation.metric import Judgement


def neighbours(judgements: Mapping[str, Judgement]) -> tuple[dict[str, Any], ...]:
    """Compare each row with the next better one.

    Parameters
    ----------
    judgements
        By row; ``arrays["replicates"]`` ``[B]`` are values of the same resamples for all.

    Returns
    -------
    tuple of dict
        From the best to the worst: ``"better"``, ``"worse"``, ``"difference"``, ``"interval"``.
        Rows without a value are left out.
    """
    defined = [row for row, found in judgements.items() if not math.isnan(found.summary["value"])]
    order = sorted(defined, key=lambda row: -judgements[row].summary["value"])
    found = []
    for better, worse in pairwise(order):
        first, second = judgements[better], judgements[worse]
        found.append(
            {
                "better": better,
                "worse": worse,
                "difference": first.summary["value"] - second.summary["value"],
                "interval": percentiles(first.arrays["replicates"] - second.arrays["replicates"]),
            }
        )
    return tuple(found)
