"""Influence factors that are not finite are refused, before anything is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hessinf.interpreters.errors import InterpreterError

if TYPE_CHECKING:
    from hessinf.gradients.gradients import Gradients


class FactorsNotFinite(InterpreterError):
    """The influence factors of a query are not finite.

    Parameters
    ----------
    place
        The query, by its place in the block.
    """

    def __init__(self, place: int) -> None:
        super().__init__(
            f"the influence factors of query {place} of the block are not finite; is damping too "
            "small, or the curvature singular?"
        )
        self.place = place


def require_finite_factors(factors: Gradients) -> None:
    """Refuse influence factors that are not finite.

    Raises
    ------
    FactorsNotFinite
        With the place of the first such query.
    """
    if bool(factors.bound().isfinite()):
        return
    finite = factors.flatten().isfinite().all(dim=1)  # [Q]
    if not bool(finite.all()):
        raise FactorsNotFinite(int((~finite).nonzero()[0]))
