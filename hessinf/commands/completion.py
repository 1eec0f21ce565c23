"""``hessinf completion``."""

from __future__ import annotations

import argparse

from hessinf.commands.json_output import add_json_argument, print_json
from hessinf.commands.subcommand import Subcommand


@Subcommand.register("completion")
class Completion(Subcommand):
    """Print what makes a shell complete commands, options, names, configs and settings.

    Put one of these lines where your shell starts (zsh: after compinit), and open a new terminal:

      bash, in ~/.bashrc                    eval "$(hessinf completion bash)"
      zsh, in ~/.zshrc                      eval "$(hessinf completion zsh)"
      fish, in ~/.config/fish/config.fish   hessinf completion fish | source

    After that the tab key completes: commands and options; names after describe and list; configs
    and directories; after --set the keys of the config on the line, and the values that can be
    counted. Installed plugins are known to it, those of .hessinf_plugins are not.

    With --json: one object with "shell" and "script".

    Examples
    --------
    hessinf completion bash
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare SHELL."""
        parser.add_argument(
            "shell", metavar="SHELL", choices=["bash", "zsh", "fish"], help="bash, zsh or fish"
        )
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the script."""
        from argcomplete.shell_integration import shellcode

        script = shellcode(["hessinf"], shell=arguments.shell).strip()
        if arguments.json:
            print_json({"shell": arguments.shell, "script": script})
        else:
            print(script)
        return 0
