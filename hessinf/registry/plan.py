"""A plan: a config after it was checked, as a tree that can be built, again and again."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hessinf.errors import HessinfError
from hessinf.registry.catalogue import injected_names, qualified_name
from hessinf.registry.errors import ConfigError, Problem
from hessinf.registry.lazy import Lazy
from hessinf.registry.signatures import MadeAnew, constructor_arguments


class Plan:
    """One place of a config: what is to stand there."""

    def build(self, injected: Mapping[str, Any]) -> Any:
        """Build the value, passing ``injected`` to every constructor that declares it."""
        raise TypeError(f"{type(self).__name__} defines no build()")

    def resolved(self) -> Any:
        """Return the place as JSON, with every default written out."""
        raise TypeError(f"{type(self).__name__} defines no resolved()")


@dataclass(frozen=True)
class Constant(Plan):
    """A value that is ready."""

    value: Any

    def build(self, injected: Mapping[str, Any]) -> Any:
        """Return the value: JSON containers anew each time, so that nobody shares them."""
        return _copied(self.value)

    def resolved(self) -> Any:
        """Return the value as JSON."""
        return as_json(self.value)


@dataclass(frozen=True)
class Items(Plan):
    """A list, tuple or set."""

    container: Callable[[list[Any]], Any]
    items: tuple[Plan, ...]

    def build(self, injected: Mapping[str, Any]) -> Any:
        """Build the items in order."""
        return self.container([item.build(injected) for item in self.items])

    def resolved(self) -> list[Any]:
        """Return a JSON list."""
        return [item.resolved() for item in self.items]


@dataclass(frozen=True)
class Entries(Plan):
    """A dict."""

    entries: Mapping[Any, Plan]

    def build(self, injected: Mapping[str, Any]) -> dict[Any, Any]:
        """Build the values in order."""
        return {key: value.build(injected) for key, value in self.entries.items()}

    def resolved(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {str(as_json(key)): value.resolved() for key, value in self.entries.items()}


@dataclass(frozen=True)
class Construction(Plan):
    """An object that a constructor makes.

    Parameters
    ----------
    factory
        What makes it.
    label
        How errors name it: ``"kfac" (hessinf.interpreters.kfac.Kfac)``.
    path
        Its place in the config.
    arguments
        The arguments that the config gives.
    injectable
        The arguments that code passes; True for those without a default.
    defaults
        The arguments that neither gives, with their defaults.
    type_name
        What ``type`` says, or None where there is no choice.
    source
        The config it comes from.
    declared
        Every name that code may pass to objects of its kind, whether this one takes it or not.
    order
        The arguments in the constructor's order: the config is written out in it, whatever the
        order in which it was given.
    """

    factory: Callable[..., Any]
    label: str
    path: str
    arguments: Mapping[str, Plan]
    injectable: Mapping[str, bool] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    type_name: str | None = None
    source: str | None = None
    declared: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    def build(self, injected: Mapping[str, Any]) -> Any:
        """Build the arguments, then the object."""
        return self.construct(injected, {})

    def construct(self, injected: Mapping[str, Any], overriding: Mapping[str, Any]) -> Any:
        """Build the object with some arguments given by code instead of the config."""
        keywords = {
            name: argument.build(injected)
            for name, argument in self.arguments.items()
            if name not in overriding
        }
        for name, required in self.injectable.items():
            if name in injected:
                keywords[name] = injected[name]
            elif required and name not in overriding:
                raise ConfigError([missing_injected(self.label, self.path, name)], self.source)
        keywords.update(overriding)
        try:
            return self.factory(**keywords)
        except HessinfError:
            raise
        except (ValueError, TypeError) as error:
            message = f"{self.label} refused its arguments: {error}"
            raise ConfigError([Problem(self.path, message)], self.source) from error

    def accepts(self, name: str) -> bool:
        """Whether the constructor takes an argument of this name."""
        return name in self.arguments or name in self.injectable or name in self.defaults

    def resolved(self) -> dict[str, Any]:
        """Return a JSON object, ``type`` first, defaults written out."""
        spec: dict[str, Any] = {} if self.type_name is None else {"type": self.type_name}
        values = {name: argument.resolved() for name, argument in self.arguments.items()}
        values |= {name: as_json(default) for name, default in self.defaults.items()}
        places = {name: place for place, name in enumerate(self.order)}
        return spec | dict(sorted(values.items(), key=lambda item: places.get(item[0], 0)))


@dataclass(frozen=True)
class Deferred(Plan):
    """An object that is checked now and built later, by whoever has what is injected."""

    inner: Plan

    def build(self, injected: Mapping[str, Any]) -> Lazy[Any]:
        """Return a :class:`Lazy` of the plan."""
        return Lazy(LaterBuild(self.inner, injected), spec=self.inner.resolved())

    def resolved(self) -> Any:
        """Return what will be built."""
        return self.inner.resolved()


@dataclass(frozen=True)
class LaterBuild:
    """What a :class:`Lazy` calls; a class, so that it can be sent to another process.

    Parameters
    ----------
    inner
        What is to be built.
    injected
        What was injected where the :class:`Lazy` stands.
    """

    inner: Plan
    injected: Mapping[str, Any]

    def __call__(self, **arguments: Any) -> Any:
        """Build it, some arguments given by code."""
        inner = self.inner
        overriding: dict[str, Any] = {}
        if isinstance(inner, Construction):
            overriding = {
                name: value
                for name, value in arguments.items()
                if inner.accepts(name) and name not in inner.injectable
            }
        strangers = set(arguments) - set(overriding) - declared_names(inner)
        if strangers:
            label = inner.label if isinstance(inner, Construction) else "construct()"
            raise TypeError(f"{label} takes no argument {', '.join(map(repr, sorted(strangers)))}")
        given = {**self.injected, **arguments}
        if isinstance(inner, Construction):
            return inner.construct(given, overriding)
        return inner.build(given)


def declared_names(plan: Plan) -> set[str]:
    """Return every name that code may inject somewhere in a plan."""
    if isinstance(plan, Construction):
        return set(plan.declared).union(*map(declared_names, plan.arguments.values()))
    if isinstance(plan, Deferred):
        return declared_names(plan.inner)
    if isinstance(plan, Items):
        return set().union(*map(declared_names, plan.items))
    if isinstance(plan, Entries):
        return set().union(*map(declared_names, plan.entries.values()))
    return set()


def missing_injected(label: str, path: str, name: str) -> Problem:
    """Describe an argument that code should have passed."""
    return Problem(
        ".".join(part for part in (path, name) if part),
        f"{label} needs this argument, which the program passes, not the config: "
        f"from_config(..., {name}=...)",
    )


def as_json(value: Any) -> Any:
    """Return a value of a plan as JSON; what has no JSON form as its text."""
    if isinstance(value, MadeAnew):
        return as_json(value.factory())
    if isinstance(value, enum.Enum):
        return as_json(value.value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(as_json(key)): as_json(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((as_json(item) for item in value), key=str)  # the same in every process
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, Lazy):
        return _lazy_as_json(value)
    if isinstance(value, type):
        return qualified_name(value)
    name = registered_name(type(value))
    if name is not None or hasattr(value, "__dataclass_fields__"):
        spec: dict[str, Any] = {} if name is None else {"type": name}
        hidden = injected_names(type(value))
        for argument in constructor_arguments(type(value)):
            if argument not in hidden and hasattr(value, argument):
                spec[argument] = as_json(getattr(value, argument))
        return spec
    return qualified_name(value)


def _lazy_as_json(value: Lazy[Any]) -> Any:
    """Return what a :class:`Lazy` will build; one made in code is read off its constructor."""
    if value.spec is not None or isinstance(value.constructor, LaterBuild):
        return value.spec
    target = value.constructor
    name = registered_name(target) if isinstance(target, type) else None
    hidden = injected_names(target)
    spec: dict[str, Any] = {"type": name or qualified_name(target)}
    for argument in constructor_arguments(target).values():
        if argument.name in value.arguments:
            spec[argument.name] = as_json(value.arguments[argument.name])
        elif not argument.required and argument.name not in hidden:
            spec[argument.name] = as_json(argument.default)
    return spec


def _copied(value: Any) -> Any:
    """Copy dicts and lists as JSON has them; leave objects that are ready as they are."""
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    if type(value) is list:
        return [_copied(item) for item in value]
    return value


def registered_name(cls: type) -> str | None:
    """Return the name under which a class is registered, or None."""
    catalogue = getattr(cls, "catalogue", None)
    for name, registration in getattr(catalogue, "entries", {}).items():
        if registration.target is cls:
            return str(name)
    return None
