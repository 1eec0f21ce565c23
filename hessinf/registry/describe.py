"""What there is to know about a registered name: its arguments, defaults, texts and origin."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hessinf.registry import docstring
from hessinf.registry.catalogue import Catalogue, Registration
from hessinf.registry.json_text import type_name
from hessinf.registry.plan import as_json
from hessinf.registry.signatures import constructor_arguments


@dataclass(frozen=True)
class ArgumentDescription:
    """One argument of a registered class.

    Parameters
    ----------
    name
        Its name.
    type
        Its type, in words.
    required
        Whether a config must give it.
    default
        Its default as JSON; None where it is required.
    text
        What the docstring says of it.
    """

    name: str
    type: str
    required: bool
    default: Any
    text: str

    def default_text(self) -> str:
        """Return ``required``, or the default as JSON."""
        return "required" if self.required else f"default {json.dumps(self.default)}"


@dataclass(frozen=True)
class Description:
    """A registered name.

    Parameters
    ----------
    name, base
        The name, and the base class in whose catalogue it stands.
    qualified_name, location
        The class, and the file and line where it was registered.
    summary
        The first paragraph of its docstring.
    explanation
        The paragraphs of its docstring that follow, before any section.
    sections
        The titled sections of its docstring, such as ``Cost``.
    arguments
        What a config may give.
    injected
        What the program passes.
    is_default
        Whether it is meant where a config names no type.
    """

    name: str
    base: str
    qualified_name: str
    location: str
    summary: str
    explanation: tuple[str, ...]
    sections: dict[str, str]
    arguments: tuple[ArgumentDescription, ...]
    injected: tuple[str, ...]
    is_default: bool


def describe(catalogue: Catalogue, registration: Registration) -> Description:
    """Describe what is registered under a name."""
    target = registration.target
    signature = constructor_arguments(target, registration.constructor, registration.local_names)
    injected = tuple(name for name in registration.injected if name in signature)
    texts: dict[str, str] = {}
    for owner in reversed(getattr(target, "__mro__", (target,))):
        texts.update(
            docstring.parameters(
                vars(owner).get("__doc__") if isinstance(owner, type) else owner.__doc__
            )
        )
    arguments = tuple(
        ArgumentDescription(
            argument.name,
            type_name(argument.type()),
            argument.required,
            None if argument.required else as_json(argument.default),
            texts.get(argument.name, ""),
        )
        for argument in signature.values()
        if argument.name not in injected
    )
    return Description(
        name=registration.name,
        base=catalogue.base.__name__,
        qualified_name=registration.qualified_name,
        location=registration.location,
        summary=docstring.summary(target.__doc__),
        explanation=docstring.explanation(target.__doc__),
        sections=docstring.sections(target.__doc__),
        arguments=arguments,
        injected=injected,
        is_default=registration.name == catalogue.default,
    )
