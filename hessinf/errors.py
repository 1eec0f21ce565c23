"""The root of every error that hessinf shows to a person without a traceback."""

from __future__ import annotations


class HessinfError(Exception):
    """An error whose message is meant for the user.

    The command line prints the message, without a traceback unless ``--debug`` was given, and
    ends with :attr:`exit_status`.
    """

    exit_status: int = 1
    """1: the run failed; subclasses for configs and command lines use 2."""
