"""``Catalogue``: the names of one base class, and what stands behind each."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hessinf.registry.errors import Problem, RegistrationError, UnknownNameError
from hessinf.registry.plugins import (
    describe_import_error,
    module_exists,
    note_registered,
    plugins_hint,
)
from hessinf.registry.suggestions import did_you_mean

_KEBAB_CASE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Registration:
    """What stands behind a registered name.

    Parameters
    ----------
    name
        The name, in kebab-case.
    target
        The class, or a function that makes an object.
    constructor
        The class method that builds the object, or None for ``__init__``.
    location
        The file and line of the call to ``register``.
    local_names
        The names that were visible there, where the class was defined inside a function.
    base
        The base class in whose catalogue it stands; None where it has no name of its own.
    """

    name: str
    target: Callable[..., Any]
    constructor: str | None
    location: str
    local_names: Mapping[str, Any] | None = None
    base: type | None = None

    @property
    def injected(self) -> tuple[str, ...]:
        """The arguments that code passes, as declared over the whole hierarchy."""
        return injected_names(self.target if isinstance(self.target, type) else self.base)

    @property
    def factory(self) -> Callable[..., Any]:
        """What makes the object when it is called."""
        if self.constructor is None:
            return self.target
        factory: Callable[..., Any] = getattr(self.target, self.constructor)
        return factory

    @property
    def qualified_name(self) -> str:
        """``package.module.Class``."""
        return qualified_name(self.target)

    def is_same_as(self, other: Registration) -> bool:
        """Whether both are one class: registered again by a reload, a notebook, ``__main__``."""
        if self.constructor != other.constructor:
            return False
        if self.target is other.target:
            return True
        name, other_name = (getattr(item.target, "__qualname__", None) for item in (self, other))
        if name is None or name != other_name:
            return False
        if self.target.__module__ == other.target.__module__:
            return True
        # A script's own classes live in __main__ and, once imported, under the module's name too.
        files = {os.path.realpath(item.location.rpartition(":")[0]) for item in (self, other)}
        return len(files) == 1


@dataclass
class Catalogue:
    """The names of one base class.

    Parameters
    ----------
    base
        The base class.
    entries
        What is registered, by name, in the order of registration.
    """

    base: type
    entries: dict[str, Registration] = field(default_factory=dict)

    @property
    def default(self) -> str | None:
        """The name that is meant where a config gives none."""
        default: str | None = self.base.default_implementation  # type: ignore[attr-defined]
        return None if default is None else default.replace("_", "-")

    def add(self, registration: Registration, *, exist_ok: bool) -> None:
        """Add a name; refuse one that belongs to another class."""
        self._check_target(registration)
        taken = self.entries.get(registration.name)
        if taken is not None and not exist_ok and not taken.is_same_as(registration):
            raise RegistrationError(
                f"cannot register {registration.qualified_name} ({registration.location}) as "
                f'"{registration.name}": the name belongs to {taken.qualified_name} '
                f"({taken.location}); choose another name, or pass exist_ok=True to take it over"
            )
        self.entries[registration.name] = registration
        if not registration.target.__module__.startswith("hessinf."):
            note_registered(f'{self.base.__name__} "{registration.name}"')

    def _check_target(self, registration: Registration) -> None:
        target = registration.target
        if isinstance(target, type) and not issubclass(target, self.base):
            raise RegistrationError(
                f'cannot register {registration.qualified_name} as "{registration.name}": '
                f"it is no subclass of {self.base.__module__}.{self.base.__qualname__}"
            )
        constructor = registration.constructor
        if constructor is None:
            return
        owners = [owner for owner in getattr(target, "__mro__", ()) if constructor in vars(owner)]
        if not owners or not isinstance(vars(owners[0])[constructor], classmethod | staticmethod):
            raise RegistrationError(
                f'cannot register {registration.qualified_name} as "{registration.name}": '
                f'it has no class method "{constructor}"'
            )

    def find(self, name: str) -> Registration:
        """Find a registered name, or a class by its qualified name.

        Raises
        ------
        UnknownNameError
            When nothing is found, or what is found is no subclass of the base.
        """
        found = self.entries.get(name.replace("_", "-"))
        if found is not None:
            return found
        if "." in name or ":" in name:
            return self._import_qualified(name)
        raise UnknownNameError([self.unknown(name)])

    def unknown(self, name: str, path: str = "", *, besides: Sequence[str] = ()) -> Problem:
        """Describe a name that is not registered: what is close, what there is, what to load.

        ``besides`` are names that mean something in this place only.
        """
        names = sorted(self.entries)
        if names:
            details = [f"registered: {', '.join(names)}"]
        else:
            details = [f"no {self.base.__name__} is registered yet"]
        if besides:
            details.insert(0, f"names in this place: {', '.join(besides)}")
        details.append(plugins_hint())
        hint = did_you_mean(name, [*besides, *names])
        return Problem(
            path,
            f'no {self.base.__name__} is registered as "{name}"{hint}',
            tuple(details),
        )

    def names(self) -> list[str]:
        """List the names: the default first, the others in the order of registration."""
        if self.default is None:
            return list(self.entries)
        if self.default not in self.entries:
            raise RegistrationError(
                f'the default implementation "{self.default}" of {self.base.__name__} is not '
                f"registered; registered: {', '.join(self.entries) or 'nothing'}"
            )
        return [self.default, *(name for name in self.entries if name != self.default)]

    def _import_qualified(self, name: str) -> Registration:
        """Find ``package.module.Class`` or ``package.module:Class``; check what it is."""
        module_name, _, attribute = name.rpartition(":" if ":" in name else ".")
        try:
            if not module_name or not module_exists(module_name):
                raise UnknownNameError(
                    f'cannot find "{name}": there is no module "{module_name}"; '
                    "is its folder on PYTHONPATH, or its package installed?"
                )
            target: Any = importlib.import_module(module_name)
        except UnknownNameError:
            raise
        except (Exception, SystemExit) as error:
            raise UnknownNameError(
                f'cannot import "{name}": {describe_import_error(error)}'
            ) from error
        for part in attribute.split("."):
            if not hasattr(target, part):
                candidates = [key for key in vars(target) if not key.startswith("_")]
                raise UnknownNameError(
                    f'module "{module_name}" has no "{attribute}"{did_you_mean(part, candidates)}'
                )
            target = getattr(target, part)
        if not (isinstance(target, type) and issubclass(target, self.base)):
            raise UnknownNameError(
                f'"{name}" is no {self.base.__name__}: expected a subclass of '
                f"{self.base.__module__}.{self.base.__qualname__}"
            )
        file = getattr(sys.modules.get(target.__module__), "__file__", None)
        return Registration(name, target, None, f"{file or target.__module__}:1", base=self.base)


def injected_names(target: Any) -> tuple[str, ...]:
    """List the arguments that code passes to a class, as declared over its whole hierarchy."""
    names: dict[str, None] = {}
    for owner in reversed(getattr(target, "__mro__", ())):
        names.update(dict.fromkeys(vars(owner).get("injected", ())))
    return tuple(names)


def qualified_name(target: Any) -> str:
    """Return ``package.module.Class``; for a callable without a name, that of its class."""
    if not hasattr(target, "__qualname__"):
        target = type(target)
    return f"{target.__module__}.{target.__qualname__}"


def catalogue_of(annotation: Any) -> Catalogue | None:
    """Return the catalogue that a class belongs to, or None when it belongs to none."""
    catalogue = getattr(annotation, "catalogue", None) if isinstance(annotation, type) else None
    return catalogue if isinstance(catalogue, Catalogue) else None


def checked_name(name: str) -> str:
    """Return a name in kebab-case, ``_`` turned into ``-``; refuse what cannot be one."""
    if not isinstance(name, str):
        raise RegistrationError(
            f'register expects a name, found {name!r}; write @Base.register("my-name")'
        )
    key = name.replace("_", "-")
    if not _KEBAB_CASE.fullmatch(key):
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
        suggestion = re.sub(r"[^a-z0-9]+", "-", words).strip("-") or "my-name"
        raise RegistrationError(
            f'cannot register "{name}": a name is kebab-case, lower-case letters and digits '
            f'joined by "-"; try "{suggestion}"'
        )
    return key
