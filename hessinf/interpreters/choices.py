"""Arguments that are one of a few names.

A config is checked before anything is built; from Python, a misspelt choice would mean another one.
"""

from __future__ import annotations


def require_choice(name: str, choice: str | None, choices: tuple[str | None, ...]) -> None:
    """Refuse an argument that is none of those that are known.

    Parameters
    ----------
    name
        Of the argument.
    choice
        Its value.
    choices
        What it may be.

    Raises
    ------
    ValueError
        Which lists them.
    """
    if choice not in choices:
        raise ValueError(f"{name} must be one of {choices}, found {choice!r}")
