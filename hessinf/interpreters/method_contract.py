"""What is checked of a method's class, so that an author's slip is named where it was made."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hessinf.interpreters.errors import InterpreterError
from hessinf.registry.signatures import constructor_arguments

if TYPE_CHECKING:
    from hessinf.interpreters.fitted_method import FittedMethod


def given_by_name(
    cls: type[FittedMethod], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """List what a constructor was called with, by name.

    Parameters
    ----------
    cls
        The method's class.
    args, kwargs
        What its constructor was called with.
    """
    return {**dict(zip(_positional_names(cls), args, strict=False)), **kwargs}


def config_arguments(cls: type[FittedMethod], given: Mapping[str, Any]) -> dict[str, Any]:
    """List what a config may say of an interpreter, as it was made: defaults included.

    Parameters
    ----------
    cls
        The method's class.
    given
        From :func:`given_by_name`.
    """
    hidden = cls.injected_names()
    return {
        name: given.get(name, argument.default)
        for name, argument in constructor_arguments(cls).items()
        if name not in hidden
    }


def _positional_names(cls: type) -> list[str]:
    """List the arguments that may be given by position, also behind ``*args``."""
    names: list[str] = []
    for owner in cls.__mro__:
        if "__init__" not in vars(owner):
            continue
        parameters = list(inspect.signature(vars(owner)["__init__"]).parameters.values())[1:]
        kinds = {parameter.kind for parameter in parameters}
        names += [
            parameter.name
            for parameter in parameters
            if parameter.kind
            in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        ]
        if inspect.Parameter.VAR_POSITIONAL not in kinds:
            break
    return names


def require_initialized(interpreter: FittedMethod) -> None:
    """Refuse an interpreter whose constructor did not call the base's."""
    if "fitted" not in vars(interpreter):
        name = type(interpreter).__name__
        raise InterpreterError(
            f"{name}.__init__() has to call super().__init__(*args, **kwargs), and to take *args "
            "and **kwargs for it"
        )


def checked_fit(fit: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wrap a method's ``fit``: checks around it, evaluation mode during it, itself as the result.

    Parameters
    ----------
    fit
        The method's own.
    """

    @functools.wraps(fit)
    def wrapped(self: FittedMethod) -> FittedMethod:
        require_initialized(self)
        self.ensure_checked()
        if self.members:  # each learns from its own checkpoint
            for member in self.members:
                member.fit()
            self.fitted = True
            return self
        before = dict(vars(self))
        with self.model.evaluating():
            fit(self)
        _check_learnt(self, before)
        self.fitted = True
        return self

    return wrapped


def recorded_damping_change(change: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Wrap a method's ``change_damping``: only after ``fit``, and recorded for the fingerprint.

    Parameters
    ----------
    change
        The method's own.
    """

    @functools.wraps(change)
    def wrapped(self: FittedMethod, damping: Any) -> None:
        if not self.fitted:
            raise InterpreterError("there is no damping to change yet: call fit() first")
        if self.members:
            for member in self.members:
                member.change_damping(damping)
        else:
            change(self, damping)
        self.arguments["damping"] = damping

    return wrapped


def _check_learnt(interpreter: FittedMethod, before: Mapping[str, Any]) -> None:
    """Refuse what ``fit`` learnt under a name that would not be saved."""
    cls = type(interpreter)
    for name, value in vars(interpreter).items():
        if name.endswith("_") or name.startswith("_") or name in ("fitted", "reports"):
            continue
        if isinstance(getattr(cls, name, None), functools.cached_property):
            continue
        if name not in before or before[name] is not value:
            raise InterpreterError(
                f"{cls.__name__}.fit() sets self.{name}: the name of what fit() learns ends in _ "
                f"(self.{name}_), so that it is saved with the factors and found again"
            )
