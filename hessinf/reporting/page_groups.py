"""The influence of groups of training examples on a query, as a page is given it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hessinf.reporting.page_displays import shortened
from hessinf.reporting.page_examples import LONGEST_NAME
from hessinf.reporting.page_values import rounded

MOST_OF_A_SIDE = 10
"""Groups at either end of a longer list."""


def shown_groups(groups: Sequence[Mapping[str, Any]] | None) -> dict[str, Any] | None:
    """Return the groups of a query: names, sizes, scores and loss changes, the most helpful first.

    Parameters
    ----------
    groups
        As a line of ``interpretations.jsonl`` has them; None where none were asked for.

    Returns
    -------
    dict or None
        "groups", and how many between those most helpful and most harmful are "left_out".
    """
    if not groups:
        return None
    left_out = max(len(groups) - 2 * MOST_OF_A_SIDE, 0)
    kept = [*groups[:MOST_OF_A_SIDE], *groups[MOST_OF_A_SIDE:][left_out:]]
    return {
        "groups": [
            [
                shortened(str(group["group"]), LONGEST_NAME),
                group["size"],
                rounded(group["score"]),
                rounded(group["loss_change_if_removed"]),
            ]
            for group in kept
        ],
        "left_out": left_out,
    }
