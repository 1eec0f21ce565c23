"""Late imports: name a heavy module at the top of a file, pay for it when it is first used.

Checking a config imports every file that registers a class, and must not cost seconds. A file that
registers classes therefore writes::

    if TYPE_CHECKING:
        import torch
    else:
        torch = lazy_import("torch")

Dependencies stay visible at the top of the file, type checkers see the real module, and torch is
imported by the first line of code that touches it.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


class LazyModule:
    """A stand-in that imports its module at the first attribute access, then steps aside."""

    def __init__(self, name: str, namespace: dict[str, Any]) -> None:
        self.__dict__["_name"] = name
        self.__dict__["_namespace"] = namespace

    def __getattr__(self, attribute: str) -> Any:
        module = importlib.import_module(self._name)
        # The calling file gets the real module, so that later uses cost nothing extra.
        for key, value in list(self._namespace.items()):
            if value is self:
                self._namespace[key] = module
        return getattr(module, attribute)

    def __repr__(self) -> str:
        return f"<module {self._name!r}, not imported yet>"


def lazy_import(name: str) -> Any:
    """Return the module ``name``, or a stand-in that imports it when first used.

    Parameters
    ----------
    name
        The dotted name of the module, as ``import`` takes it.

    Returns
    -------
    module or LazyModule
        The module itself when it is imported already, else the stand-in.
    """
    if name in sys.modules:
        return sys.modules[name]
    return LazyModule(name, sys._getframe(1).f_globals)
