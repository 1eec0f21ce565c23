"""``Subcommand``: one command of the command line. Plugins may register their own."""

from __future__ import annotations

import argparse
from abc import abstractmethod

from hessinf.registry import Registrable


class Subcommand(Registrable):
    """A command: its arguments, and what it does.

    The first line of the class's docstring is its line in ``hessinf --help``, the whole its own
    ``--help``.
    """

    @abstractmethod
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments.

        Parameters
        ----------
        parser
            The command's own parser.
        """

    @abstractmethod
    def run(self, arguments: argparse.Namespace) -> int:
        """Do what the command is for.

        Parameters
        ----------
        arguments
            What was given.

        Returns
        -------
        int
            The exit status: 0 where all is well. Errors are raised, not returned.
        """
