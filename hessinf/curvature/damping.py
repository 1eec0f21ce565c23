"""Damping: the λ that is added to the curvature before it is inverted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any

from hessinf.curvature.errors import CurvatureError
from hessinf.registry import Above, AtLeast


@dataclass(frozen=True)
class RelativeDamping:
    """λ as a share of the mean eigenvalue of each block of the curvature.

    Parameters
    ----------
    relative
        The share: 0.1 stands for a tenth of the mean eigenvalue.
    """

    relative: Annotated[float, Above(0)]

    def __post_init__(self) -> None:
        """Refuse shares that are no positive number."""
        if not self.relative > 0:
            raise ValueError(f"relative damping must be > 0, found {self.relative}")


Damping = Annotated[float, AtLeast(0)] | RelativeDamping
"""λ itself, or :class:`RelativeDamping`."""


def as_damping(value: Any) -> float | RelativeDamping:
    """Accept a number, ``{"relative": share}`` or :class:`RelativeDamping`, as configs do.

    Raises
    ------
    ValueError
        When it is none of these, or negative.
    """
    if isinstance(value, RelativeDamping):
        return value
    if isinstance(value, Mapping) and set(value) == {"relative"}:
        if _is_number(value["relative"]):
            return RelativeDamping(float(value["relative"]))
    elif _is_number(value) and value >= 0:
        return float(value)
    raise ValueError(f'damping must be a number >= 0 or {{"relative": share}}, found {value!r}')


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def effective_damping(damping: float | RelativeDamping, trace: float, size: int) -> float:
    """Return λ for one block of the curvature.

    Parameters
    ----------
    damping
        What was asked for.
    trace
        The trace of the block, of which ``trace / size`` is the mean eigenvalue.
    size
        The number of rows of the block.

    Raises
    ------
    CurvatureError
        When the mean eigenvalue is not positive, so that a share of it means nothing.
    """
    if not isinstance(damping, RelativeDamping):
        return damping
    mean = trace / size
    if not mean > 0:
        raise CurvatureError(
            f"relative damping needs a positive mean eigenvalue, found {mean:.3g}; give damping as "
            "a number, or use a positive semidefinite curvature such as the Gauss-Newton matrix"
        )
    return damping.relative * mean
