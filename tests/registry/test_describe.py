from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from hessinf.registry import AtLeast, Lazy, Registrable
from hessinf.registry.describe import describe


class Solver(Registrable):
    """Solve.

    Parameters
    ----------
    damping
        What is added to the diagonal.
    """

    default_implementation = "exact"
    injected = ("model",)

    def __init__(self, model: Any, damping: Annotated[float, AtLeast(0)] = 0.1) -> None: ...


@Solver.register("exact")
class Exact(Solver):
    """Solve exactly.

    Registered as a `Solver` with name "exact".

    Parameters
    ----------
    size
        How large
        it is.
    inner
        Another.

    Cost
    ----
    Cubic.
    """

    def __init__(
        self,
        size: int,
        inner: Lazy[Solver] | None = None,
        names: tuple[str, ...] = ("a",),
        **kwargs: Any,
    ) -> None: ...


@Solver.register("made")
def make(model: Any, steps: int = 3) -> Exact:
    """Make one."""
    return Exact(steps, model=model)


@Solver.register("fields")
@dataclass
class Fields(Solver):
    rates: list[float] = field(default_factory=lambda: [0.5])


def description(name: str):
    return describe(Solver.catalogue, Solver.catalogue.find(name))


def test_describe():
    about = description("exact")
    assert about.name == "exact"
    assert about.base == "Solver"
    assert about.qualified_name == f"{__name__}.Exact"
    assert re.fullmatch(re.escape(__file__) + r":\d+", about.location)
    assert about.summary == "Solve exactly."
    assert about.sections["Cost"] == "Cubic."
    assert about.is_default
    assert about.injected == ("model",)
    assert [(item.name, item.type, item.default_text(), item.text) for item in about.arguments] == [
        ("size", "int", "required", "How large it is."),
        ("inner", "Solver | null", "default null", "Another."),
        ("names", "tuple[str, ...]", 'default ["a"]', ""),
        ("damping", "float >= 0", "default 0.1", "What is added to the diagonal."),
    ]


def test_describe_a_function():
    about = description("made")
    assert [item.name for item in about.arguments] == ["steps"]
    assert about.injected == ("model",)
    assert about.summary == "Make one."
    assert not about.is_default


def test_describe_a_default_that_is_made_anew():
    (rates,) = description("fields").arguments
    assert rates.default == [0.5]
