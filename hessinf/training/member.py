"""``Member``: one of many models that are trained on parts of one data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Member:
    """One of many models: which examples it is trained on, and its seed.

    Parameters
    ----------
    indices
        Places in the data set, ascending, ``[n]``.
    seed
        The seed of its initial weights and of the order of its examples.
    """

    indices: Sequence[int]
    seed: int


def name_of(place: int, member: Member) -> str:
    """Say which member an error is about."""
    return f"member {place} (seed {member.seed}): "
