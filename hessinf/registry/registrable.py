"""``Registrable``: base classes whose subclasses are found by name.

A base class is a direct subclass of :class:`Registrable`; it keeps one catalogue of names, which
all its subclasses share::

    class Solver(Registrable):
        default_implementation = "lissa"

    @Solver.register("lissa")
    class Lissa(Solver): ...

    Solver.by_name("lissa")            # <class Lissa>
    Solver.from_config({"type": "lissa", "damping": 1e-3})
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from hessinf.registry.catalogue import (
    Catalogue,
    Registration,
    checked_name,
    injected_names,
)
from hessinf.registry.errors import RegistrationError
from hessinf.registry.load import Config, load_config
from hessinf.registry.plan import registered_name
from hessinf.registry.planner import plan

Registered = TypeVar("Registered", bound=Callable[..., Any])


class Registrable:
    """A base class whose implementations are registered under names.

    Subclass it directly to open a catalogue, then register implementations with
    :meth:`register`.
    """

    default_implementation: ClassVar[str | None] = None
    """The name that is meant where a config gives none."""

    injected: ClassVar[tuple[str, ...]] = ()
    """Constructor arguments that code passes, never a config. Subclasses add to those of their
    base."""

    catalogue: ClassVar[Catalogue]
    """The names of the base class; its subclasses share it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Open a catalogue for a direct subclass."""
        super().__init_subclass__(**kwargs)
        if isinstance(cls.injected, str):
            raise RegistrationError(
                f"{cls.__module__}.{cls.__qualname__}.injected must be a tuple of names, "
                f'found "{cls.injected}"; write ("{cls.injected}",)'
            )
        if Registrable in cls.__bases__:
            cls.catalogue = Catalogue(cls)

    @classmethod
    def register(
        cls, name: str, constructor: str | None = None, exist_ok: bool = False
    ) -> Callable[[Registered], Registered]:
        """Register the class below under a name (a decorator that returns the class unchanged).

        Parameters
        ----------
        name
            The name in kebab-case; ``_`` is taken for ``-``.
        constructor
            The name of a class method that builds the object, instead of ``__init__``.
        exist_ok
            Take the name over from another class that has it.

        Raises
        ------
        RegistrationError
            When the name is taken by another class, is not kebab-case, or what is registered is
            no subclass.
        """
        catalogue = cls._own_catalogue("register")
        key = checked_name(name)
        frame = sys._getframe(1)
        location = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        local_names = None if frame.f_locals is frame.f_globals else dict(frame.f_locals)

        def decorator(target: Registered) -> Registered:
            registration = Registration(
                key, target, constructor, location, local_names, catalogue.base
            )
            catalogue.add(registration, exist_ok=exist_ok)
            return target

        return decorator

    @classmethod
    def _own_catalogue(cls, method: str) -> Catalogue:
        if cls is Registrable:
            raise RegistrationError(
                f"Registrable itself has no names: call {method} on a subclass of it"
            )
        return cls.catalogue

    @classmethod
    def by_name(cls, name: str) -> Callable[..., Any]:
        """Find what is registered under a name.

        Parameters
        ----------
        name
            A registered name, or a class anywhere as ``package.module.Class`` or
            ``package.module:Class``.

        Returns
        -------
        class or callable
            The class; its alternative constructor, where it was registered with one.

        Raises
        ------
        UnknownNameError
            When nothing is found, or what is found is no subclass of the base.
        """
        return cls._own_catalogue("by_name").find(name).factory

    @classmethod
    def is_registered(cls, name: str) -> bool:
        """Whether a name is registered; ``_`` is taken for ``-``."""
        return name.replace("_", "-") in cls._own_catalogue("is_registered").entries

    @classmethod
    def injected_names(cls) -> tuple[str, ...]:
        """List the constructor arguments that code passes, over the whole class hierarchy."""
        return injected_names(cls)

    @classmethod
    def registered_name(cls) -> str:
        """Return the name under which this class is registered, or its qualified name."""
        return registered_name(cls) or f"{cls.__module__}.{cls.__qualname__}"

    @classmethod
    def list_available(cls) -> list[str]:
        """List the registered names: the default first, the others in order of registration."""
        return cls._own_catalogue("list_available").names()

    @classmethod
    def from_config(
        cls, config: str | os.PathLike[str] | Mapping[str, Any] | Config, **injected: Any
    ) -> Any:
        """Build an object from a config.

        Parameters
        ----------
        config
            ``{"type": name, ...arguments}``, a bare name, or the path of a Jsonnet file (a
            ``Path``, or a text ending in ``.jsonnet`` or ``.json``). Called on a registered class,
            ``type`` may be left out.
        **injected
            What code passes: the arguments that the base class declares in ``injected``, at any
            depth.

        Returns
        -------
        object
            An instance of the class that the config names.

        Raises
        ------
        ConfigError
            With every problem of the config at once.
        """
        cls._own_catalogue("from_config")
        if isinstance(config, os.PathLike):
            config = load_config(os.fspath(config))
        elif isinstance(config, str) and config.endswith((".jsonnet", ".json")):
            config = load_config(config)
        return plan(cls, config, injected=injected.keys()).build(injected)

    from_params = from_config
    """The same, for users of AllenNLP."""
