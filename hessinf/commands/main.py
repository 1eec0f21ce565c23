"""The command line's entry: arguments, plugins, exit statuses, streams.

Results go to standard output; the log and progress bars to standard error. Exit status 0: done;
1: the run failed; 2: the config or the command line is wrong; 130: interrupted.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import inspect
import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from typing import NoReturn

import hessinf.commands  # noqa: F401 (registers the commands)
from hessinf.commands import completers
from hessinf.commands.command_groups import GroupedHelp, ordered
from hessinf.commands.full_disk import NO_SPACE
from hessinf.commands.help_format import ProseHelp
from hessinf.commands.subcommand import Subcommand
from hessinf.commands.unexpected_errors import unexpected
from hessinf.display.terminal import Style
from hessinf.errors import HessinfError
from hessinf.registry import docstring, import_plugins
from hessinf.registry.plugins import import_installed_plugins, import_listed_plugins
from hessinf.registry.suggestions import did_you_mean

RUNS = ("interpret", "train", "self-influence", "evaluate", "analyze", "compare")
"""The commands that go on with -r."""

INTERRUPTED = 130

EPILOG = """\
Start with a config of the repository, and open runs/digits/report.html in a browser:
  hessinf validate configs/digits/exact.jsonnet
  hessinf interpret configs/digits/exact.jsonnet -s runs/digits

What a config may say: hessinf list, hessinf describe NAME.
What a command takes and prints: hessinf COMMAND --help. With --json it prints JSON.
The tab key completes all of it: hessinf completion --help.
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
    if argv is None:
        # What is left at the end of a process needs no search for cycles: half a second for torch.
        atexit.register(gc.freeze)
    _prepare_streams()
    if completers.VARIABLE in os.environ:
        _complete()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        common, others = _common_parser().parse_known_args(words)
    except SystemExit as end:
        return _status(end)
    _set_up_logging(common.log_level)
    try:
        with _termination_as_interrupt():
            try:
                return _run(words, common, others)
            finally:
                sys.stdout.flush()  # here, where a reader that has gone away is no error
    except SystemExit as end:  # help, version and errors of the command line
        return _status(end)
    except HessinfError as error:
        if common.debug:
            traceback.print_exc()
        else:
            print(error, file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt as interruption:
        if argv is None:
            # A second ^C while the process ends would take its status away.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        what = "terminated" if isinstance(interruption, Terminated) else "interrupted"
        hint = "; what is finished is kept: go on with -r" if _command(others) in RUNS else ""
        print(f"{what}{hint}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has stopped: hessinf list | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if common.debug:
            traceback.print_exc()
            return 1
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            print(f"cannot write the output: {error.strerror}; free some space", file=sys.stderr)
            return 1
        print(f"{unexpected(error)}; --debug shows the traceback", file=sys.stderr)
        return 1


def _complete() -> None:
    """Answer a shell that asks for completions, and end the process."""
    with contextlib.suppress(HessinfError):  # a plugin that cannot be imported
        import_installed_plugins()
    parser = build_parser()
    completers.complete(parser.commands.values(), parser)


def _status(end: SystemExit) -> int:
    """Return the exit status of a parser, or of a plugin's command, that ended the program."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    raise end


def _run(words: list[str], common: argparse.Namespace, others: list[str]) -> int:
    import_plugins(common.include_package, route="--include-package")
    if _command(others) is not None:
        # Help of all commands and the version wait for no plugin.
        import_installed_plugins()
        import_listed_plugins()
    parser = build_parser(words)
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        parser.of(arguments.command).refuse(unknown)
    if arguments.command is None:
        parser.print_help()
        return 0
    subcommand: Subcommand = Subcommand.from_config(arguments.command)
    return subcommand.run(arguments)


def _command(others: list[str]) -> str | None:
    """Find the command among the words that are no common options."""
    return next((word for word in others if not word.startswith("-")), None)


def _common_parser() -> _Parser:
    parser = _Parser(prog="hessinf", add_help=False, allow_abbrev=False)
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

    words: Sequence[str] = ()
    """The whole command line, for errors."""

    commands: dict[str, _Parser]
    """The parsers of the commands, by name."""

    def of(self, command: str | None) -> _Parser:
        """Return the parser of a command; this one without a command."""
        return self if command is None else self.commands[command]

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """End with what is unknown on the command line, and what may have been meant."""
        lines = [f'there is no option "{word}"{hint}' for word, hint in self._strangers(unknown)]
        if not lines:
            found = ", ".join(f'"{word}"' for word in unknown)
            lines = [f"found {found}, which is one word too many"]
            if len(unknown) > 1:
                lines = [f"found {found}, which are too many words"]
        self.error("\n  ".join(lines))

    def _strangers(self, words: Iterable[str]) -> list[tuple[str, str]]:
        """Return the options among some words that are not this parser's, each with a hint."""
        options = [option for action in self._actions for option in action.option_strings]
        names = [word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1]
        return [(name, did_you_mean(name, options)) for name in names if name not in options]

    def error(self, message: str) -> NoReturn:
        """End with status 2, a message, and where to read on."""
        if message.startswith("argument COMMAND: invalid choice: "):
            names = ordered(Subcommand.catalogue.entries)
            word = message.split("'")[1]
            message = (
                f'there is no command "{word}"{did_you_mean(word, names)}\n'
                f"  commands: {', '.join(names)}"
            )
        elif message.startswith("the following arguments are required: "):
            for word, hint in self._strangers(self.words):
                if hint:
                    message += f'\n  there is no option "{word}"{hint}'
        self.exit(2, f"command line error: {message}\ntry: {self.prog} --help\n")


def build_parser(words: Sequence[str] = ()) -> _Parser:
    """Make the parser of all registered commands.

    Parameters
    ----------
    words
        What will be parsed, for errors.
    """
    common = _common_parser()
    parser = _Parser(
        prog="hessinf",
        description="Which training examples helped a prediction, which harmed it, and how far to "
        "believe it.",
        epilog=EPILOG,
        formatter_class=GroupedHelp,
        parents=[common],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    parser._positionals.title = "commands"  # the group that is shown first
    for name in ordered(Subcommand.catalogue.entries):
        target = Subcommand.by_name(name)
        subparser = subparsers.add_parser(
            name,
            help=docstring.summary(target.__doc__).replace("%", "%%"),  # argparse formats it
            description=inspect.cleandoc(target.__doc__ or ""),
            formatter_class=ProseHelp,
            parents=[_quiet(_common_parser())],
            allow_abbrev=False,
        )
        Subcommand.from_config(name).add_arguments(subparser)
        subparser.words = words
    parser.commands = dict(subparsers.choices)
    return parser


def _quiet(parser: _Parser) -> _Parser:
    """Let options stand before or after the command: absent, they leave what stood before."""
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    return parser


class _Version(argparse.Action):
    """Print the version: looked up when it is asked for."""

    def __call__(self, *_: object, **__: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            text = version("hessinf")
        except PackageNotFoundError:
            text = "run from its source tree, not installed"
        print(f"hessinf {text}")
        raise SystemExit(0)


def _prepare_streams() -> None:
    """Write to nowhere where the caller has closed a stream: ``hessinf list >&-``.

    What an encoding does not have is written as an escape, to standard output as well.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


class _LogLine(logging.Formatter):
    """A line of the log: its level, in color at a terminal, and its message."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self.colors = {logging.WARNING: style.warning, logging.ERROR: style.bad}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        color = self.colors.get(record.levelno, str)
        return f"{color(record.levelname)}: {super().format(record)}"


def _set_up_logging(level: str) -> None:
    logger = logging.getLogger("hessinf")
    logger.setLevel(logging.DEBUG if level == "DEBUG" else logging.INFO)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level)
    handler.setFormatter(_LogLine(Style.of(sys.stderr)))
    handler.addFilter(lambda record: not getattr(record, "for_file_only", False))
    logger.addHandler(handler)


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hears signals in its main thread only
        return
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated
