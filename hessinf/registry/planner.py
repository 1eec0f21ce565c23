"""From a config to a plan: every place is checked against the constructor that will read it.

Nothing is built, no data, model or device is touched; all problems are collected before any is
reported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Self

from hessinf.registry.catalogue import Catalogue, Registration, catalogue_of
from hessinf.registry.errors import ConfigError, UnknownNameError
from hessinf.registry.json_text import found, type_name, with_article
from hessinf.registry.load import Config
from hessinf.registry.plan import Constant, Construction, Plan, missing_injected
from hessinf.registry.plugins import plugins_hint
from hessinf.registry.signatures import Argument, constructor_arguments
from hessinf.registry.suggestions import did_you_mean
from hessinf.registry.value_planner import ValuePlanner, join_path


def plan(
    target: Any,
    config: Config | Any,
    *,
    injected: Collection[str] = (),
    label: str | None = None,
) -> Plan:
    """Check a config against what will read it.

    Parameters
    ----------
    target
        A registrable base class, a registered class, a dataclass, or any type that an annotation
        can name.
    config
        A :class:`Config`, or plain JSON values.
    injected
        The names that will be passed to :meth:`Plan.build`.
    label
        How errors name the outermost object, instead of its class.

    Returns
    -------
    Plan
        What :meth:`Plan.build` builds.

    Raises
    ------
    ConfigError
        With every problem at once.
    """
    data = config.data if isinstance(config, Config) else config
    source = config.source if isinstance(config, Config) else None
    planner = Planner(frozenset(injected), source, label)
    planned = planner.value(target, data, "")
    if planner.problems:
        problems = planner.problems
        if isinstance(config, Config):
            problems = [config.with_origin(problem) for problem in problems]
        raise ConfigError(problems, source)
    return planned


class Planner(ValuePlanner):
    """Checks objects: which class, which arguments, what is missing, what is unknown.

    Parameters
    ----------
    injected
        The names that the program will pass.
    source
        The config's name.
    label
        How errors name the outermost object, instead of its class.
    inside_lazy
        Whether what is checked is built later, by somebody who has more to inject.
    """

    def __init__(
        self,
        injected: frozenset[str],
        source: str | None,
        label: str | None = None,
        inside_lazy: bool = False,
    ) -> None:
        super().__init__(inside_lazy)
        self.injected = injected
        self.source = source
        self.label = label

    def trial(self) -> Self:
        """Return a planner with the same settings that collects problems of its own."""
        return type(self)(self.injected, self.source, self.label, self.inside_lazy)

    def registrable(self, annotation: type, value: Any, path: str) -> Plan:
        """Check ``{"type": name, ...}`` or a bare name against the class behind the name."""
        catalogue = catalogue_of(annotation)
        assert catalogue is not None
        if isinstance(value, str):
            value = {"type": value}
        if not isinstance(value, Mapping):
            hint = f'; write a registered name, or {{"type": name, ...}} ({_some(catalogue)})'
            return self.expected(annotation, value, path, hint)
        arguments = dict(value)
        name = arguments.pop("type", None)
        if "type" not in value:
            own = [item for item in catalogue.entries.values() if item.target is annotation]
            if own:
                return self._construct(own[0], arguments, path, name=own[0].name)
            is_base = annotation is catalogue.base
            if not is_base and not getattr(annotation, "__abstractmethods__", None):
                return self._construct(unnamed(annotation), arguments, path)
            name = catalogue.default
            if name is None:
                hints = () if catalogue.entries else (plugins_hint(),)
                return self.fail(
                    join_path(path, "type"),
                    f"missing: which {annotation.__name__}? ({_some(catalogue)})",
                    *hints,
                )
        if not isinstance(name, str):
            return self.fail(
                join_path(path, "type"),
                f"expected the name of {with_article(catalogue.base.__name__)}, "
                f"found {found(name)}",
            )
        try:
            registration = catalogue.find(name)
        except UnknownNameError as error:
            if "." in name or ":" in name:
                return self.fail(join_path(path, "type"), error.problems[0].message)
            self.problems.append(catalogue.unknown(name, join_path(path, "type")))
            return Constant(None)
        target = registration.target
        if isinstance(target, type) and not issubclass(target, annotation):
            return self.fail(
                join_path(path, "type"),
                f'"{name}" is {with_article(catalogue.base.__name__)}, '
                f"but no {annotation.__name__}, "
                "which is expected here",
            )
        return self._construct(registration, arguments, path, name=registration.name)

    def dataclass(self, annotation: type, value: Any, path: str) -> Plan:
        """Check an object against the fields of a dataclass."""
        if not isinstance(value, Mapping):
            names = ", ".join(constructor_arguments(annotation))
            return self.expected(annotation, value, path, f"; write an object with {names}")
        return self._construct(unnamed(annotation), dict(value), path)

    def _construct(
        self, registration: Registration, given: dict[str, Any], path: str, name: str | None = None
    ) -> Plan:
        target = registration.target
        signature = constructor_arguments(
            target, registration.constructor, registration.local_names
        )
        declared = registration.injected
        injectable = {
            argument: signature[argument].required for argument in declared if argument in signature
        }
        label = self._label(registration, path, name)
        missing = getattr(target, "__abstractmethods__", None)
        if missing:
            self.fail(path, f"{label} is abstract: it does not define {', '.join(sorted(missing))}")
        accepted = [argument for argument in signature if argument not in injectable]
        arguments: dict[str, Plan] = {}
        for key, value in given.items():
            place = join_path(path, key)
            argument = signature.get(str(key)) or signature.get(str(key).replace("-", "_"))
            if argument is not None and argument.name in arguments:
                self.fail(place, f'the same argument as "{argument.name}"; give it once')
            elif argument is None:
                listed = ", ".join(sorted(accepted)) or "nothing"
                self.fail(
                    place,
                    f"unknown argument of {label}{did_you_mean(str(key), accepted)}",
                    f"accepts: {listed}",
                )
            elif argument.name in injectable:
                self.fail(
                    place,
                    f"the program passes this argument to {label}; leave it out, "
                    f"found {found(value)}",
                )
            else:
                arguments[argument.name] = self._argument(argument, value, place)
        for argument_name in accepted:
            argument = signature[argument_name]
            if argument.required and argument_name not in arguments:
                self.fail(
                    join_path(path, argument_name),
                    f"missing required argument of {label}, expected {type_name(argument.type())}",
                )
        if not self.inside_lazy:
            for argument_name, required in injectable.items():
                if required and argument_name not in self.injected:
                    self.problems.append(missing_injected(label, path, argument_name))
        defaults = {
            argument: signature[argument].default
            for argument in accepted
            if argument not in arguments and not signature[argument].required
        }
        return Construction(
            registration.factory,
            label,
            path,
            arguments,
            injectable,
            defaults,
            name,
            self.source,
            declared,
            tuple(accepted),
        )

    def _argument(self, argument: Argument, value: Any, path: str) -> Plan:
        return self.value(argument.type(), value, path)

    def _label(self, registration: Registration, path: str, name: str | None) -> str:
        if not path and self.label is not None:
            return self.label
        qualified = registration.qualified_name
        return f'"{name}" ({qualified})' if name and name != qualified else qualified


def unnamed(target: type) -> Registration:
    """Return a registration for a class that has no name of its own."""
    return Registration(f"{target.__module__}.{target.__qualname__}", target, None, "")


def _some(catalogue: Catalogue) -> str:
    names = sorted(catalogue.entries)
    return f"registered: {', '.join(names)}" if names else "nothing is registered yet"
