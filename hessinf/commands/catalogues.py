"""All catalogues: every base class with registered names, plugins included."""

from __future__ import annotations

import importlib

from hessinf.registry import ConfigError, Registrable
from hessinf.registry.suggestions import did_you_mean

ROOMS = (
    "data",
    "models",
    "training",
    "execution",
    "curvature",
    "interpreters",
    "evaluation",
    "commands",
)
"""The rooms that register names."""


def all_catalogues() -> dict[str, type[Registrable]]:
    """Import every room, and return the base classes by their names, in alphabetical order.

    A plugin's base class whose name is taken goes by its qualified name.
    """
    for room in ROOMS:
        importlib.import_module(f"hessinf.{room}")
    bases = [base for base in Registrable.__subclasses__() if base.catalogue.entries]
    bases.sort(key=lambda base: not base.__module__.startswith("hessinf."))
    named: dict[str, type[Registrable]] = {}
    for base in bases:
        taken = base.__name__ in named
        named[f"{base.__module__}.{base.__qualname__}" if taken else base.__name__] = base
    return dict(sorted(named.items()))


def find_base(name: str) -> type[Registrable]:
    """Find a base class by its name, however it is written: ``DatasetReader``, ``dataset-reader``.

    Raises
    ------
    ConfigError
        When there is none of this name.
    """
    bases = all_catalogues()
    folded = {_fold(key): base for key, base in bases.items()}
    if _fold(name) not in folded:
        raise ConfigError(
            f'there is no catalogue "{name}"{did_you_mean(name, bases)}\n'
            f"there are: {', '.join(bases)}"
        )
    return folded[_fold(name)]


def _fold(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
