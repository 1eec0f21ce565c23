"""How many steps LiSSA takes: AllenNLP's ``recursion_depth``, and ways to say it without doubt.

In AllenNLP a float is a share of an epoch and an int a number of steps. Jsonnet prints ``1.0`` as
``1``, so a float may arrive as an int. ``"100%"`` and ``{"epochs": 1}`` cannot be misread.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from hessinf.registry import Above, AtLeast, Matches

PERCENTAGE = r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*"


@dataclass(frozen=True)
class Depth:
    """A number of steps, said as epochs or as steps.

    Parameters
    ----------
    epochs
        Passes over the training data.
    steps
        Mini-batches.
    """

    epochs: Annotated[float, Above(0)] | None = None
    steps: Annotated[int, AtLeast(1)] | None = None

    def __post_init__(self) -> None:
        """Refuse both, neither, and numbers that give no step."""
        if (self.epochs is None) == (self.steps is None):
            raise ValueError('recursion_depth takes either {"epochs": ...} or {"steps": ...}')
        if self.epochs is not None and not (self.epochs > 0 and math.isfinite(self.epochs)):
            raise ValueError(f"recursion_depth must be more than 0 epochs, found {self.epochs}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"recursion_depth must be at least 1 step, found {self.steps}")

    def count(self, batches_per_epoch: int) -> int:
        """Return the number of steps: never zero, a part of a step counts as one."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        # A share such as 0.1 of 30 batches is 3 steps, though 0.1 * 30 is a little more in binary.
        return max(1, math.ceil(self.epochs * batches_per_epoch - 1e-9))


RecursionDepth = (
    Annotated[int, AtLeast(1)]
    | Annotated[float, Above(0)]
    | Annotated[str, Matches(PERCENTAGE, 'such as "25%"')]
    | Depth
)
"""What a config may say: steps, a share of an epoch, "25%", or a :class:`Depth`."""


def as_depth(value: Any) -> Depth:
    """Read a recursion depth.

    Parameters
    ----------
    value
        An int (steps), a float (share of an epoch), ``"25%"``, ``{"epochs": 0.25}``,
        ``{"steps": 500}``, or a :class:`Depth`.

    Raises
    ------
    ValueError
        When it is none of these, or not positive.
    """
    if isinstance(value, Depth):
        return value
    if isinstance(value, Mapping) and set(value) <= {"epochs", "steps"}:
        return Depth(**value)
    if isinstance(value, str):
        percent = re.fullmatch(PERCENTAGE, value)
        if percent:
            return Depth(epochs=float(percent[1]) / 100)
    elif isinstance(value, int) and not isinstance(value, bool):
        return Depth(steps=value)
    elif isinstance(value, float):
        return Depth(epochs=value)
    raise ValueError(
        "recursion_depth must be steps (an int), a share of an epoch (a float), a percentage such "
        f'as "25%", {{"epochs": ...}} or {{"steps": ...}}, found {value!r}'
    )
