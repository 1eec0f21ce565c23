"""The one family of errors that configs, names and plugins raise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hessinf.errors import HessinfError

WIDEST_COLUMN = 48
"""Paths that are longer push their message to the right instead of everybody's."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong at one place of a config.

    Parameters
    ----------
    path
        Where, as dotted keys and list indices: ``"model.hidden_sizes.1"``; empty for the whole.
    message
        What is wrong: the value found, what was expected, what to try. One line.
    details
        Further lines, shown below the message.
    origin
        Where the value came from, when that is not the config file itself: ``"--set a.b=3"``.
    """

    path: str
    message: str
    details: tuple[str, ...] = ()
    origin: str | None = None

    def below(self, prefix: str) -> Problem:
        """Return the same problem, seen from one level further up."""
        path = ".".join(part for part in (prefix, self.path) if part)
        return replace(self, path=path)


class ConfigError(HessinfError):
    """What is wrong with a config: every problem at once, each with its place.

    Parameters
    ----------
    problems
        All problems, or one message about the whole.
    source
        The config they were found in, usually a file's path.
    """

    exit_status = 2
    kind = "config error"

    def __init__(self, problems: Sequence[Problem] | str, source: str | None = None) -> None:
        if isinstance(problems, str):
            problems = [Problem("", problems)]
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.source = source
        super().__init__(self._render())

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...], str | None]]:
        """Survive the way back from another process."""
        return type(self), (self.problems, self.source)

    @property
    def path(self) -> str:
        """The place of the first problem."""
        return self.problems[0].path

    def _render(self) -> str:
        if len(self.problems) == 1 and not self.problems[0].path:
            problem = self.problems[0]
            place = f" {self.source}:" if self.source else ""
            message, *further = _lines(problem)
            return "\n".join([f"{self.kind}:{place} {message}", *(f"  {x}" for x in further)])
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        place = f" in {self.source}" if self.source else ""
        width = min(WIDEST_COLUMN, max(len(problem.path) for problem in self.problems))
        lines = [f"{self.kind}: {count} {noun}{place}"]
        for problem in self.problems:
            message, *further = _lines(problem)
            lines.append(f"  {problem.path:<{width}}   {message}")
            lines.extend(f"  {'':<{width}}   {line}" for line in further)
        return "\n".join(lines)


def _lines(problem: Problem) -> list[str]:
    """Return the message, with its origin, and what stands below it."""
    first, *further = problem.message.splitlines() or [""]
    origin = f"   [from {problem.origin}]" if problem.origin else ""
    return [first + origin, *further, *problem.details]


class RegistrationError(ConfigError):
    """A class cannot be registered as asked."""

    kind = "registration error"


class UnknownNameError(ConfigError):
    """No class is registered under a name."""

    kind = "unknown name"


class PluginError(ConfigError):
    """A plugin cannot be imported."""

    kind = "plugin error"


class JsonnetError(ConfigError):
    """A Jsonnet text cannot be evaluated."""
