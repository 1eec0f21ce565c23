"""Bounds on numbers, written in annotations: ``damping: Annotated[float, AtLeast(0)]``.

They are checked with the types, before anything is built, and appear in the JSON Schema.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Bound:
    """A condition that a number in a config must meet, or a text.

    Parameters
    ----------
    *limits
        The numbers that it compares with.
    """

    kinds: ClassVar[tuple[type, ...]] = (int, float)
    """The types of the values that it is about."""

    def __init__(self, *limits: float) -> None:
        self.limits = limits

    def holds(self, value: Any) -> bool:
        """Whether ``value`` meets the condition."""
        raise TypeError(f"{type(self).__name__} does not say when it holds: define holds()")

    def schema(self) -> dict[str, Any]:
        """Return the condition as keywords of JSON Schema."""
        raise TypeError(f"{type(self).__name__} has no JSON Schema: define schema()")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), self.limits))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.limits))})"


class AtLeast(Bound):
    """``value >= minimum``."""

    def __init__(self, minimum: float) -> None:
        super().__init__(minimum)
        self.minimum = minimum

    def holds(self, value: float) -> bool:
        """Whether ``value >= minimum``."""
        return value >= self.minimum

    def schema(self) -> dict[str, float]:
        """Return ``{"minimum": ...}``."""
        return {"minimum": self.minimum}

    def __str__(self) -> str:
        return f">= {self.minimum}"


class Above(Bound):
    """``value > limit``."""

    def __init__(self, limit: float) -> None:
        super().__init__(limit)
        self.limit = limit

    def holds(self, value: float) -> bool:
        """Whether ``value > limit``."""
        return value > self.limit

    def schema(self) -> dict[str, float]:
        """Return ``{"exclusiveMinimum": ...}``."""
        return {"exclusiveMinimum": self.limit}

    def __str__(self) -> str:
        return f"> {self.limit}"


class AtMost(Bound):
    """``value <= maximum``."""

    def __init__(self, maximum: float) -> None:
        super().__init__(maximum)
        self.maximum = maximum

    def holds(self, value: float) -> bool:
        """Whether ``value <= maximum``."""
        return value <= self.maximum

    def schema(self) -> dict[str, float]:
        """Return ``{"maximum": ...}``."""
        return {"maximum": self.maximum}

    def __str__(self) -> str:
        return f"<= {self.maximum}"


class Below(Bound):
    """``value < limit``."""

    def __init__(self, limit: float) -> None:
        super().__init__(limit)
        self.limit = limit

    def holds(self, value: float) -> bool:
        """Whether ``value < limit``."""
        return value < self.limit

    def schema(self) -> dict[str, float]:
        """Return ``{"exclusiveMaximum": ...}``."""
        return {"exclusiveMaximum": self.limit}

    def __str__(self) -> str:
        return f"< {self.limit}"


class Between(Bound):
    """``minimum <= value <= maximum``."""

    def __init__(self, minimum: float, maximum: float) -> None:
        super().__init__(minimum, maximum)
        self.minimum = minimum
        self.maximum = maximum

    def holds(self, value: float) -> bool:
        """Whether ``minimum <= value <= maximum``."""
        return self.minimum <= value <= self.maximum

    def schema(self) -> dict[str, float]:
        """Return ``{"minimum": ..., "maximum": ...}``."""
        return {"minimum": self.minimum, "maximum": self.maximum}

    def __str__(self) -> str:
        return f"between {self.minimum} and {self.maximum}"
