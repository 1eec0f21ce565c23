"""The commands as ``hessinf --help`` shows them: by what they are for."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping

from hessinf.commands.help_format import ProseHelp

GROUPS: Mapping[str, tuple[str, ...]] = {
    "explain predictions": ("interpret", "self-influence", "report"),
    "judge explanations": ("evaluate", "compare", "analyze"),
    "make models": ("train",),
    "write configs": ("validate", "list", "describe", "schema"),
    "work in a shell": ("completion",),
}

OTHERS = "of plugins"


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Put the names of commands into groups, in the order in which they are shown."""
    there = list(names)
    groups = {title: [name for name in known if name in there] for title, known in GROUPS.items()}
    known = {name for group in GROUPS.values() for name in group}
    groups[OTHERS] = sorted(set(there) - known)
    return {title: group for title, group in groups.items() if group}


def ordered(names: Iterable[str]) -> list[str]:
    """Return the names of commands in the order in which they are shown."""
    return [name for group in grouped(names).values() for name in group]


class GroupedHelp(ProseHelp):
    """Shows commands under the titles of their groups."""

    def _format_action(self, action: argparse.Action) -> str:
        shown = super()._format_action
        if not isinstance(action, argparse._SubParsersAction):
            return shown(action)
        lines = {one.dest: one for one in action._choices_actions}
        parts = []
        for title, names in grouped(lines).items():
            parts.append(f"{' ' * self._current_indent}{title}:\n")
            self._indent()
            parts += [shown(lines[name]) for name in names]
            self._dedent()
        return "".join(parts)
