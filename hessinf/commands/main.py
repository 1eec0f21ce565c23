"""The command line's entry: arguments, plugins, exit statuses, streams.

Results go to standard output; the log and progress bars to standard error. Exit status 0: done;
1: the run failed; 2: the config or the command line is wrong; 130: interrupted.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import hessinf.commands  # noqa: F401 (registers the commands)
from hessinf.commands.subcommand import Subcommand
from hessinf.errors import HessinfError
from hessinf.registry import docstring, import_plugins
from hessinf.registry.plugins import import_installed_plugins, import_listed_plugins
from hessinf.registry.suggestions import did_you_mean

ORDER = ("interpret", "train", "self-influence", "list", "describe", "validate", "schema")

INTERRUPTED = 130

EPILOG = """\
Start with a config of the repository:
  hessinf validate configs/digits/exact.jsonnet
  hessinf interpret configs/digits/exact.jsonnet -s runs/digits
Names, arguments and defaults: hessinf list, hessinf describe NAME.
Plugins may add commands: give --include-package PKG before --help to see theirs.
"""


class Terminated(KeyboardInterrupt):
    """SIGTERM: treated as ^C is."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        The arguments, without the program's name; those of the process when None.

    Returns
    -------
    int
        The exit status.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    common, _ = _common_parser().parse_known_args([word for word in words if word != "--help"])
    _set_up_logging(common.log_level)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(words, common)
    except HessinfError as error:
        if common.debug:
            raise
        print(error, file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt as interruption:
        what = "terminated" if isinstance(interruption, Terminated) else "interrupted"
        print(f"{what}; finished queries are kept: go on with -r", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has stopped: hessinf list | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if common.debug:
            raise
        print(f"{_unexpected(error)}; --debug shows the traceback", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, previous)


def _run(words: list[str], common: argparse.Namespace) -> int:
    import_plugins(common.include_package, route="--include-package")
    command = next((word for word in words if Subcommand.is_registered(word)), None)
    wants_help = not words or (command is None and any(word in ("-h", "--help") for word in words))
    if not wants_help and "--version" not in words:
        import_installed_plugins()
        import_listed_plugins()
    parser = build_parser()
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help()
        return 0
    subcommand: Subcommand = Subcommand.from_config(arguments.command)
    return subcommand.run(arguments)


def _common_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    group = parser.add_argument_group("for every command")
    group.add_argument(
        "--include-package",
        action="append",
        default=[],
        metavar="PKG",
        help="import a plugin: a module, a package with its submodules, or a .py file (repeatable)",
    )
    group.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    group.add_argument(
        "--log-level",
        default="WARNING",
        choices=["DEBUG", "INFO", "WARNING", "ERROR"],
        help="how much of the log is shown on standard error (log.txt has INFO and up; "
        "default: WARNING)",
    )
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser whose errors suggest what may have been meant."""

    def error(self, message: str) -> None:  # type: ignore[override]
        names = list(Subcommand.catalogue.entries)
        if "invalid choice" in message and "'" in message:
            word = message.split("'")[1]
            message = (
                f'there is no command "{word}"{did_you_mean(word, names)}; '
                f"commands: {', '.join(_ordered(names))}"
            )
        elif message.startswith("unrecognized arguments: "):
            word = message.removeprefix("unrecognized arguments: ").split()[0].partition("=")[0]
            options = [option for action in self._actions for option in action.option_strings]
            message += did_you_mean(word, options)
        self.exit(2, f"command line error: {message}\ntry: {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of all registered commands."""
    common = _common_parser()
    parser = _Parser(
        prog="hessinf",
        description="Which training examples helped a prediction, which harmed it, and how far to "
        "believe it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name in _ordered(Subcommand.catalogue.entries):
        target = Subcommand.by_name(name)
        subparser = subparsers.add_parser(
            name,
            help=docstring.summary(target.__doc__),
            description=inspect.cleandoc(target.__doc__ or ""),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[_quiet(_common_parser())],
            allow_abbrev=False,
        )
        Subcommand.from_config(name).add_arguments(subparser)
    return parser


def _quiet(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Let options stand before or after the command: absent, they leave what stood before."""
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    return parser


def _ordered(names: object) -> list[str]:
    known = list(names)  # type: ignore[call-overload]
    return [name for name in ORDER if name in known] + sorted(set(known) - set(ORDER))


class _Version(argparse.Action):
    """Print the version: looked up when it is asked for."""

    def __call__(self, *_: object, **__: object) -> None:
        from hessinf import __version__

        print(f"hessinf {__version__}")
        raise SystemExit(0)


def _set_up_logging(level: str) -> None:
    logger = logging.getLogger("hessinf")
    logger.setLevel(logging.DEBUG if level == "DEBUG" else logging.INFO)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.addHandler(handler)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def _unexpected(error: Exception) -> str:
    """Describe an error that nobody foresaw."""
    text = str(error).strip().partition("\n")[0]
    return f"unexpected error: {type(error).__name__}: {text}"
