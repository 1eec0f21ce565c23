"""A user's own network."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hessinf.models.errors import ModelError
from hessinf.models.model import Model
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


@Model.register("module")
class ModuleModel(Model):
    """A network of your own: any ``torch.nn.Module`` class that can be imported.

    Registered as a `Model` with name "module".

    Constructor parameters called ``in_features``, ``out_features`` or ``input_shape`` that
    ``arguments`` leaves out are given what the data and the objective need.

    Parameters
    ----------
    constructor
        Where the class is: ``"package.module:Class"``. A function that returns a module needs
        ``trust: true``, because a config could name any function.
    arguments
        What the constructor is called with, by name.
    **kwargs
        What every model takes: ``dtype``, ``weights``, ``trust``, and what code passes.
    """

    def __init__(
        self, constructor: str, arguments: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        module_name, _, attribute = constructor.partition(":")
        if not module_name or not attribute:
            raise ValueError(f'constructor has to be "package.module:Class", found "{constructor}"')
        self.constructor = constructor
        self.arguments = {} if arguments is None else arguments

    def build(self) -> torch.nn.Module:
        """Import the class and call it."""
        constructor = self._find()
        arguments = {**self._sizes(constructor), **self.arguments}
        try:
            module = constructor(**arguments)
        except Exception as error:
            given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            raise ModelError(
                f"{self.constructor}({given}) failed: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(module, torch.nn.Module):
            raise ModelError(
                f"{self.constructor} gave a {type(module).__name__}, expected a torch.nn.Module"
            )
        return module

    def _find(self) -> Callable[..., Any]:
        module_name, _, attribute = self.constructor.partition(":")
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise ModelError(
                    f'importing "{module_name}" for {self.described} failed: '
                    f"{type(error).__name__}: {error}"
                ) from error
            raise ModelError(
                f'there is no module "{error.name}" for the constructor "{self.constructor}"; '
                "install its package, or put its folder on PYTHONPATH"
            ) from error
        except Exception as error:
            raise ModelError(
                f'importing "{module_name}" for {self.described} failed: '
                f"{type(error).__name__}: {error}"
            ) from error
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise ModelError(
                    f'"{module_name}" has no "{attribute}", which the constructor '
                    f'"{self.constructor}" names'
                )
            found = getattr(found, part)
        is_class = isinstance(found, type) and issubclass(found, torch.nn.Module)
        if not is_class and not (self.trust and callable(found)):
            raise ModelError(
                f"{self.constructor} is no torch.nn.Module class; name a class, or say "
                '"trust": true for a function that returns a module'
            )
        constructor: Callable[..., Any] = found
        return constructor

    def _sizes(self, constructor: Callable[..., Any]) -> dict[str, Any]:
        """Return the sizes that the constructor asks for by name."""
        asked = inspect.signature(constructor).parameters.keys()
        sizes: dict[str, Any] = {}
        if "in_features" in asked and "in_features" not in self.arguments:
            sizes["in_features"] = self.required_in_features()
        if "out_features" in asked and "out_features" not in self.arguments:
            sizes["out_features"] = self.required_out_features()
        if "input_shape" in asked and self.input_shape is not None:
            sizes["input_shape"] = self.input_shape
        return sizes
