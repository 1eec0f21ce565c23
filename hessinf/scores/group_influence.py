"""The influence of groups of training examples on queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.scores import group_influence_html
else:
    np = lazy_import("numpy")
    group_influence_html = lazy_import("hessinf.scores.group_influence_html")


@dataclass(frozen=True, eq=False)
class GroupInfluence:
    """What groups of training examples do to queries.

    Parameters
    ----------
    names
        The G groups.
    sizes
        How many training examples each has, ``[G]``.
    scores
        ``[Q, G]``: the sum of the scores of a group's members. Positive where training more on all
        of them would make the model better on the query.
    loss_changes
        ``[Q, G]``: what the query's loss gains, to first order, when the model is trained again
        without the whole group; None where no loss changes follow from the scores.
    """

    names: tuple[str, ...]
    sizes: np.ndarray
    scores: np.ndarray
    loss_changes: np.ndarray | None

    def to_json(self, row: int) -> list[dict[str, Any]]:
        """Return the groups as they influence one query, the most helpful first.

        Parameters
        ----------
        row
            Which of the queries.
        """
        changes = None if self.loss_changes is None else self.loss_changes[row].tolist()
        order = np.argsort(-self.scores[row], kind="stable").tolist()
        return [
            {
                "group": self.names[place],
                "size": int(self.sizes[place]),
                "score": float(self.scores[row, place]),
                "loss_change_if_removed": None if changes is None else changes[place],
            }
            for place in order
        ]

    def _repr_html_(self) -> str:
        return group_influence_html.group_influence_html(
            self.names, self.sizes.tolist(), self.scores.tolist()
        )
