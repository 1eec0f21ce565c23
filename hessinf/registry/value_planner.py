"""Checking values against annotations: scalars, containers, unions. Objects are the planner's."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import math
import types
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from hessinf.registry.annotations import is_instance, plain
from hessinf.registry.bounds import Bound
from hessinf.registry.catalogue import catalogue_of
from hessinf.registry.errors import Problem
from hessinf.registry.json_text import found, type_name
from hessinf.registry.jsonnet import LARGEST_INTEGER
from hessinf.registry.lazy import Lazy
from hessinf.registry.plan import Constant, Deferred, Entries, Items, Plan
from hessinf.registry.signatures import Unresolved, constructor_arguments
from hessinf.registry.suggestions import did_you_mean

LISTS = (list, abc.Sequence, abc.Iterable, abc.Collection, abc.MutableSequence)
SETS = {set: set, frozenset: frozenset, abc.Set: frozenset}
DICTS = (dict, abc.Mapping, abc.MutableMapping)


class ValuePlanner:
    """Walks values and annotations together, and collects problems.

    Parameters
    ----------
    inside_lazy
        Whether what is checked is built later, by somebody who has more to inject.
    """

    def __init__(self, inside_lazy: bool = False) -> None:
        self.problems: list[Problem] = []
        self.inside_lazy = inside_lazy

    def trial(self) -> Self:
        """Return a planner of the same kind that collects problems of its own."""
        return type(self)(self.inside_lazy)

    def registrable(self, annotation: type, value: Any, path: str) -> Plan:
        """Check an object of a registrable class."""
        raise TypeError(f"{type(self).__name__} plans no objects")

    def dataclass(self, annotation: type, value: Any, path: str) -> Plan:
        """Check an object of a dataclass."""
        raise TypeError(f"{type(self).__name__} plans no objects")

    def fail(self, path: str, message: str, *details: str) -> Plan:
        """Note a problem, and return a plan to go on with."""
        self.problems.append(Problem(path, message, details))
        return Constant(None)

    def expected(
        self,
        annotation: Any,
        value: Any,
        path: str,
        hint: str = "",
        details: Iterable[str] = (),
    ) -> Plan:
        """Note that a value has the wrong type."""
        message = f"expected {type_name(annotation)}, found {found(value)}{hint}"
        return self.fail(path, message, *details)

    # -- by the kind of annotation -------------------------------------------------------------

    def value(self, annotation: Any, value: Any, path: str) -> Plan:
        """Check one value against one annotation."""
        annotation = plain(annotation)
        if annotation is Any or annotation is object:
            return Constant(value)
        if isinstance(annotation, Unresolved):
            return self.fail(
                path,
                f'the annotation "{annotation.text}" cannot be resolved ({annotation.reason}); '
                "import its names where the class is defined, outside TYPE_CHECKING",
            )
        origin = get_origin(annotation)
        if origin is Annotated:
            return self._annotated(annotation, value, path)
        if origin in (Union, types.UnionType):
            return self._union(annotation, value, path)
        if origin is Literal:
            return self._literal(annotation, value, path)
        if annotation is None or annotation is type(None):
            return Constant(None) if value is None else self.expected(annotation, value, path)
        if origin is Lazy or annotation is Lazy:
            return self._lazy(annotation, value, path)
        if (origin or annotation) in (*LISTS, tuple, *SETS):
            return self._items(annotation, value, path)
        if (origin or annotation) in DICTS:
            return self._entries(annotation, value, path)
        kind = origin or annotation
        if isinstance(kind, type):
            return self._class(kind, value, path)
        return self._not_configurable(annotation, value, path)

    def _class(self, annotation: type, value: Any, path: str) -> Plan:
        if annotation in (bool, int, float, str):
            return self._scalar(annotation, value, path)
        if issubclass(annotation, enum.Enum):
            return self._enum(annotation, value, path)
        if annotation is Path:
            is_path = isinstance(value, str | Path)
            return Constant(Path(value)) if is_path else self.expected(annotation, value, path)
        if is_instance(value, annotation):
            return Constant(value)  # configs in Python may hold objects that are ready
        if catalogue_of(annotation) is not None:
            return self.registrable(annotation, value, path)
        if dataclasses.is_dataclass(annotation):
            return self.dataclass(annotation, value, path)
        return self._not_configurable(annotation, value, path)

    def _not_configurable(self, annotation: Any, value: Any, path: str) -> Plan:
        return self.fail(
            path,
            f"cannot be given in a config: it is annotated as {type_name(annotation)}, which is "
            f"neither JSON, nor registrable, nor a dataclass; found {found(value)}",
        )

    def _scalar(self, annotation: type, value: Any, path: str) -> Plan:
        if annotation is float and type(value) in (int, float):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return Constant(number)
            return self.expected(annotation, value, path, "; JSON has no such number")
        if type(value) is annotation:
            return Constant(value)
        hint = ""
        if annotation is int and type(value) is float and abs(value) >= LARGEST_INTEGER:
            hint = "; Jsonnet's numbers lose digits from 2^53 on"
        return self.expected(annotation, value, path, hint)

    def _enum(self, annotation: type[enum.Enum], value: Any, path: str) -> Plan:
        if isinstance(value, annotation):
            return Constant(value)
        for member in annotation:
            if type(member.value) is type(value) and member.value == value:
                return Constant(member)
        if isinstance(value, str) and value in annotation.__members__:
            return Constant(annotation[value])
        names = [member.value for member in annotation if isinstance(member.value, str)]
        hint = did_you_mean(value, names) if isinstance(value, str) else ""
        return self.expected(annotation, value, path, hint)

    def _literal(self, annotation: Any, value: Any, path: str) -> Plan:
        choices = get_args(annotation)
        for choice in choices:
            if type(choice) is type(value) and choice == value:
                return Constant(choice)
        names = [choice for choice in choices if isinstance(choice, str)]
        hint = did_you_mean(value, names) if isinstance(value, str) else ""
        return self.expected(annotation, value, path, hint)

    def _annotated(self, annotation: Any, value: Any, path: str) -> Plan:
        inner, *notes = get_args(annotation)
        before = len(self.problems)
        planned = self.value(inner, value, path)
        if len(self.problems) > before or not isinstance(planned, Constant):
            return planned
        scalar = planned.value
        for note in notes:
            if isinstance(note, Bound) and type(scalar) in note.kinds and not note.holds(scalar):
                return self.expected(annotation, value, path)
        return planned

    def _items(self, annotation: Any, value: Any, path: str) -> Plan:
        kind = get_origin(annotation) or annotation
        arguments = get_args(annotation)
        if not isinstance(value, list | tuple):
            hint = ""
            if isinstance(value, str):
                hint = f'; did you mean ["{value}"]?'
            elif isinstance(value, int | float) and not isinstance(value, bool):
                hint = f"; did you mean [{value}]?"
            return self.expected(annotation, value, path, hint)
        if kind is tuple and arguments and arguments[-1] is not Ellipsis:
            wanted = list(arguments)
            if len(value) != len(wanted):
                return self.fail(
                    path,
                    f"expected {type_name(annotation)} with {len(wanted)} items, "
                    f"found {len(value)} items: {found(value)}",
                )
        else:
            wanted = [arguments[0] if arguments else Any] * len(value)
        items = [
            self.value(item_type, item, join_path(path, index))
            for index, (item_type, item) in enumerate(zip(wanted, value, strict=True))
        ]
        if kind in SETS:
            for index, (item, source) in enumerate(zip(items, value, strict=True)):
                if isinstance(source, list | Mapping) and not _hashable(item):
                    self.fail(join_path(path, index), f"cannot be in a set, found {found(source)}")
        container: Callable[[list[Any]], Any] = list
        if kind is tuple:
            container = tuple
        elif kind in SETS:
            container = SETS[kind]
        return Items(container, tuple(items))

    def _entries(self, annotation: Any, value: Any, path: str) -> Plan:
        if not isinstance(value, Mapping):
            return self.expected(annotation, value, path)
        key_type, value_type = get_args(annotation) or (str, Any)
        entries: dict[Any, Plan] = {}
        for key, item in value.items():
            place = join_path(path, key)
            entries[self._key(key_type, key, place)] = self.value(value_type, item, place)
        return Entries(entries)

    def _key(self, key_type: Any, key: Any, path: str) -> Any:
        """Check a key; JSON writes numbers as text there."""
        if key_type in (int, float) and isinstance(key, str):
            with contextlib.suppress(ValueError):  # no number: the check below says so
                key = json.loads(key)
        trial = self.trial()
        planned = trial.value(key_type, key, path)
        if trial.problems:
            self.fail(path, f"as a key, {trial.problems[0].message}")
        return planned.value if isinstance(planned, Constant) else key

    def _lazy(self, annotation: Any, value: Any, path: str) -> Plan:
        if isinstance(value, Lazy):
            return Constant(value)
        arguments = get_args(annotation)
        outside, self.inside_lazy = self.inside_lazy, True
        try:
            return Deferred(self.value(arguments[0] if arguments else Any, value, path))
        finally:
            self.inside_lazy = outside

    # -- unions --------------------------------------------------------------------------------

    def _union(self, annotation: Any, value: Any, path: str) -> Plan:
        branches = list(get_args(annotation))
        if value is None and type(None) in branches:
            return Constant(None)
        # 1 fits both int and float: the branch of the value's own type goes first.
        branches.sort(key=lambda branch: _kind(branch) is not type(value))
        failures: list[tuple[Any, list[Problem]]] = []
        for branch in branches:
            trial = self.trial()
            planned = trial.value(branch, value, path)
            if not trial.problems:
                return planned
            if branch is not type(None):
                failures.append((branch, trial.problems))
        meant = [item for item in failures if _is_meant(item[0], value)]
        if len(meant) > 1 and isinstance(value, Mapping):
            meant = [item for item in meant if _is_named(item[0], value)]
        choices = [choice for branch in branches for choice in _choices(branch)]
        if len(meant) == 1:
            self.problems.extend(_beside(choices, *meant[0], value))
        elif not isinstance(value, Mapping | list):
            hint = did_you_mean(value, choices) if isinstance(value, str) else ""
            self.expected(annotation, value, path, hint)
        else:
            lines = [
                f"as {type_name(branch)}: "
                + "; ".join(
                    (f"{problem.path[len(path) :].lstrip('.')}: " if problem.path != path else "")
                    + problem.message
                    for problem in problems
                )
                for branch, problems in failures
            ]
            self.expected(annotation, value, path, details=lines)
        return Constant(None)


def _kind(branch: Any) -> Any:
    inner = plain(get_args(branch)[0] if get_origin(branch) in (Annotated, Lazy) else branch)
    return get_origin(inner) or inner


def _is_meant(branch: Any, value: Any) -> bool:
    """Whether a value, by its JSON type, is written for one branch of a union."""
    kind = _kind(branch)
    if isinstance(value, Mapping):
        is_object = catalogue_of(kind) is not None or dataclasses.is_dataclass(kind)
        return is_object or kind in DICTS
    if isinstance(value, list):
        return kind in (*LISTS, tuple, *SETS)
    if isinstance(value, str):
        return catalogue_of(kind) is not None
    return type(value) is kind or (kind is float and type(value) is int)


def _is_named(branch: Any, value: Mapping[str, Any]) -> bool:
    """Whether an object names the class of a branch, or has keys of its dataclass."""
    kind = _kind(branch)
    catalogue = catalogue_of(kind)
    if catalogue is not None:
        name = value.get("type")
        return isinstance(name, str) and name.replace("_", "-") in catalogue.entries
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return "type" not in value and bool(set(value) & set(constructor_arguments(kind)))
    return False


def _beside(choices: list[str], branch: Any, problems: list[Problem], value: Any) -> list[Problem]:
    """Name a union's own words too where a text is none of them, and not registered either."""
    catalogue = catalogue_of(_kind(branch))
    if not choices or catalogue is None or not isinstance(value, str):
        return problems
    return [
        catalogue.unknown(value, problem.path, besides=choices)
        if problem == catalogue.unknown(value, problem.path)
        else problem
        for problem in problems
    ]


def _choices(branch: Any) -> list[str]:
    if get_origin(branch) is not Literal:
        return []
    return [choice for choice in get_args(branch) if isinstance(choice, str)]


def _hashable(item: Plan) -> bool:
    """Whether what a list or object of a config becomes can be in a set."""
    if isinstance(item, Items):
        return item.container in (tuple, frozenset) and all(map(_hashable, item.items))
    if isinstance(item, Constant):
        return not isinstance(item.value, list | dict)
    return not isinstance(item, Entries)


def join_path(path: str, key: Any) -> str:
    """Return the path of an item one level further down."""
    return f"{path}.{key}" if path else str(key)
