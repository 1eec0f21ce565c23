"""Every registered method goes through the conformance suite: a class each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import pytest

from hessinf.interpreters import InfluenceInterpreter
from hessinf.testing import InterpreterConformance, Tolerance


class TestExact(InterpreterConformance):
    name = "exact"
    curvature = "hessian"
    tolerance = Tolerance(relative=1e-8)


class TestSimpleInfluence(InterpreterConformance):
    """All examples in each step: what is left is the number of steps."""

    name = "simple-influence"
    arguments: ClassVar = {"lissa_batch_size": 1000, "recursion_depth": {"steps": 240}}
    curvature = "ggn"
    tolerance = Tolerance(relative=1e-6, spearman=0.9999, norm_ratio=1e-6)


class TestSimpleInfluenceMiniBatches(InterpreterConformance):
    """Mini-batches, the last of each epoch short: the noise of the recursion is part of it."""

    name = "simple-influence"
    arguments: ClassVar = {"lissa_batch_size": 16, "recursion_depth": {"steps": 200}}
    curvature = "ggn"
    tolerance = Tolerance(spearman=0.97, norm_ratio=0.05)
    order_tolerance = Tolerance(spearman=0.97, norm_ratio=0.05)


def conforming(cls: type[InterpreterConformance] = InterpreterConformance) -> Iterator[type]:
    """All subclasses of the suite that this process knows."""
    for subclass in cls.__subclasses__():
        yield subclass
        yield from conforming(subclass)


def names_without_suite(names: Iterable[str], suites: Iterable[type]) -> list[str]:
    covered = {getattr(suite, "name", None) for suite in suites}
    return sorted(set(names) - covered)


def test_every_registered_name_has_a_suite() -> None:
    own = [
        name
        for name in InfluenceInterpreter.list_available()
        if InfluenceInterpreter.by_name(name).__module__.startswith("hessinf.interpreters")
    ]
    assert {"exact", "simple-influence"} <= set(own)
    here = [suite for suite in conforming() if suite.__module__ == __name__]
    missing = names_without_suite(own, here)
    assert missing == [], f"write a subclass of InterpreterConformance here for: {missing}"


def test_a_name_without_a_suite_is_noticed() -> None:
    assert names_without_suite(["exact", "kfac"], [TestExact]) == ["kfac"]


@pytest.mark.parametrize("wrong", [{}, {"relative": None}])
def test_a_tolerance_asks_for_something(wrong: dict[str, None]) -> None:
    with pytest.raises(ValueError, match="at least one of relative, spearman and norm_ratio"):
        Tolerance(**wrong)
