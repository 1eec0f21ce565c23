"""The fenced blocks of a page, and what each of them promises.

python          runs, all blocks of a page in one namespace, in order
text, after it  is what that block prints; ``...`` stands for anything
console         each ``$`` line runs, and prints what is shown; alone, it has to end well
sh              its ``hessinf`` lines have a right command line and a config that validates
jsonnet         is a config, or keys of one
title="FILE"    the block is also a file of that name, beside the page's others

Numbers that are printed may differ where ``OTHER_NUMBERS`` stands before a block.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


OTHER_NUMBERS = "<!-- numbers differ between machines -->"
"""Stands before a block whose numbers are those of one machine."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Parameters
    ----------
    language
        The first word behind the fence; empty without one.
    title
        The file that it is, or None.
    text
        Its lines.
    line
        Where it begins.
    previous
        The language of a block directly before it.
    numbers
        Whether numbers that are printed have to be those that are shown.
    """

    language: str
    title: str | None
    text: str
    line: int
    previous: str | None
    numbers: bool = True


def blocks(source: str) -> list[Block]:
    """Find the fenced blocks of a page."""
    found: list[Block] = []
    end = 0
    for match in FENCE.finditer(source):
        language, _, options = match["info"].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', options)
        between = source[end : match.start()]
        found.append(
            Block(
                language,
                None if title is None else title[1],
                textwrap.dedent(match["text"]),
                source.count("\n", 0, match.start()) + 1,
                found[-1].language if found and not between.strip() else None,
                not between.rstrip().endswith(OTHER_NUMBERS),
            )
        )
        end = match.end()
    return found


def blocks_of(page: str) -> list[Block]:
    """Find the fenced blocks of a page of the documentation."""
    return blocks((DOCS / page).read_text(encoding="utf-8"))


def commands(text: str) -> Iterator[tuple[list[str], str]]:
    """Split a console block into commands, as words, and what each is said to print."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        while line.endswith("\\"):
            further, _, shown = shown.partition("\n")
            line = f"{line[:-1]} {further}"
        yield shlex.split(line, comments=True), shown


def shell_commands(text: str) -> Iterator[list[str]]:
    """List the ``hessinf`` commands among lines of shell, as words."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):  # a variable of the environment
            words.pop(0)
        if words and words[0] == "hessinf":
            yield words[: words.index(">")] if ">" in words else words


def matches(shown: str, printed: str, *, numbers: bool = True) -> bool:
    """Whether a program printed what a page shows.

    Parameters
    ----------
    shown, printed
        What the page says, and what came; ``...`` stands for anything in a line, and on a line of
        its own for any lines.
    numbers
        Whether numbers have to be the same; those of a network that was trained depend on the
        machine.
    """
    wanted, got = (
        "".join(f"{line.rstrip()}\n" for line in text.strip().splitlines())
        for text in (shown, printed)
    )
    if not numbers:
        wanted, got = (without_numbers(text) for text in (wanted, got))
    pattern = "".join(
        "(?:.*\n)*" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + "\n"
        for line in wanted.splitlines()
    )
    return re.fullmatch(pattern, got) is not None


def without_numbers(text: str) -> str:
    """Put one sign for every number with its unit, and one blank for several."""
    text = re.sub(r"[-+]?\d[\d,.]*(e[-+]?\d+)?( (ms|s|min|KiB|MiB|GiB|%)\b)?", "#", text)
    return re.sub(r" +", " ", text)
