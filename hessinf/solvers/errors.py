"""The errors of this room."""

from __future__ import annotations

from hessinf.errors import HessinfError


class SolverError(HessinfError):
    """A solver cannot do what it was asked for."""


class DivergenceError(SolverError):
    """An iterative solver ran away instead of converging."""


class NegativeCurvatureError(SolverError):
    """A matrix that has to be positive has a negative direction.

    Parameters
    ----------
    message
        What was met, and where.
    quotient
        The smallest ``vᵀ A v / vᵀ v`` that was met: a bound from above on the smallest eigenvalue.
    """

    def __init__(self, message: str, quotient: float) -> None:
        super().__init__(message)
        self.quotient = quotient
