"""What a report is made of: a run directory, read without changing it and without a model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hessinf.reporting.image_texts import parsed
from hessinf.reporting.ranked_lines import ranked_lines
from hessinf.reporting.report_error import NoRunError, ReportError
from hessinf.runtime.run_files import (
    COMPARISON,
    CONFIG,
    INTERPRETATIONS,
    LOG,
    METRICS,
    PROVENANCE,
    SELF_INFLUENCE,
    SHARDS,
    SPECTRUM,
)

WARNING_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING [\w.]+: (?P<text>.*)")
"""A warning in the log of a run."""

REQUIRED = {"query", "helpful", "harmful"}
"""Keys of an interpretation."""

FROM_HERE = ("interpret", "self-influence")
"""Commands whose runs a report shows."""


@dataclass(frozen=True)
class ReportedRun:
    """What a run left, as plain dicts and lists: files or made up.

    Parameters
    ----------
    interpretations
        The lines of ``interpretations.jsonl``, which are gone through once.
    metrics, config, provenance
        What ``metrics.json``, ``config.json`` and ``provenance.json`` say; empty where they are
        missing.
    self_influence
        The lines of ``self_influence.jsonl``; those beyond the first
        :data:`hessinf.reporting.ranked_lines.WHOLE` may lack id and display.
    spectrum
        What ``spectrum.json`` says, or None.
    warnings
        Warnings of the run's log, each once.
    """

    interpretations: Iterable[Mapping[str, Any]] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    self_influence: Iterable[Mapping[str, Any]] | None = None
    spectrum: Mapping[str, Any] | None = None
    warnings: Sequence[str] = ()

    @property
    def complete(self) -> bool:
        """Whether the run was finished."""
        return self.metrics.get("complete") is True

    @property
    def interpreter(self) -> str:
        """The name of the method; empty where nobody knows."""
        of_config = (self.config.get("interpreter") or {}).get("type", "")
        return str(self.metrics.get("interpreter", of_config))

    @property
    def title(self) -> str:
        """The config's name with its folder's; the method's where there is no config."""
        file = (self.provenance.get("config") or {}).get("file")
        if not isinstance(file, str) or not file:
            return self.interpreter or "Run"
        parts = [*Path(file).with_suffix("").parts[-2:]]
        return "/".join(part for part in parts if part.strip("/."))


def is_comparison(directory: Path) -> bool:
    """Whether a directory was left by ``hessinf compare``."""
    return (directory / COMPARISON).exists()


def read_reported_run(directory: str | Path) -> ReportedRun:
    """Read a run directory: finished or not, of this version or an earlier one.

    Parameters
    ----------
    directory
        Of ``hessinf interpret`` or ``hessinf self-influence``.

    Raises
    ------
    NoRunError
        Where there is no run.
    ReportError
        Where it has nothing to show, or a file of it cannot be read.
    """
    folder = Path(directory)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise NoRunError(f"{folder} {what}, expected the directory of a run (its -s)")
    provenance = read_object(folder / PROVENANCE)
    if "hessinf" not in provenance:
        raise NoRunError(
            f"{folder} is no run of hessinf's (it has no {PROVENANCE}); give the directory that "
            "was -s of hessinf interpret"
        )
    metrics = read_object(folder / METRICS)
    ranked = folder / SELF_INFLUENCE
    finished = metrics.get("complete") is True
    lines = _interpretations(folder, finished=finished)
    if not lines and not ranked.exists():
        raise ReportError(_nothing(folder, metrics))
    explained = finished and metrics.get("command") == FROM_HERE[0]
    return ReportedRun(
        interpretations=JsonLines(lines, metrics.get("queries") if explained else None, folder),
        metrics=metrics,
        config=read_object(folder / CONFIG),
        provenance=provenance,
        self_influence=ranked_lines(ranked) if ranked.exists() else None,
        spectrum=_spectrum(folder / SPECTRUM),
        warnings=_warnings(folder, metrics),
    )


def _interpretations(folder: Path, *, finished: bool) -> list[Path]:
    """List the files with the queries, in order; those of a killed run lie in shards."""
    shards = sorted((folder / SHARDS).glob("interpretations-*.jsonl"))
    if shards and not finished:
        return shards
    published = folder / INTERPRETATIONS
    return [published] if published.exists() and published.stat().st_size else []


def _spectrum(file: Path) -> dict[str, Any] | None:
    found = read_object(file)
    blocks = found.get("blocks", [])
    if not (isinstance(blocks, list) and all(map(_is_block, blocks))):
        raise ReportError(f"{file} holds no spectrum")
    return found or None


def _is_block(block: Any) -> bool:
    return (
        isinstance(block, dict)
        and {"name", "count"} <= block.keys()
        and all(isinstance(block.get(name), list) for name in ("ranks", "eigenvalues"))
    )


def _nothing(folder: Path, metrics: Mapping[str, Any]) -> str:
    command = metrics.get("command")
    if command is not None and command not in FROM_HERE:
        return (
            f"{folder} was left by hessinf {command}, which explains no predictions; a report "
            "shows runs of hessinf interpret, self-influence and compare"
        )
    return (
        f"{folder} has no results yet: the run ended before the first of them were finished; go "
        "on with it (-r)"
    )


def _warnings(folder: Path, metrics: Mapping[str, Any]) -> list[str]:
    """Return the warnings that the metrics list, or else those of the log."""
    found = metrics.get("warnings")
    if isinstance(found, list):
        return [str(text) for text in found]
    try:
        log = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    texts = (match["text"] for match in map(WARNING_LINE.fullmatch, log.split("\n")) if match)
    return list(dict.fromkeys(texts))


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON object; empty where there is no such file.

    Raises
    ------
    ReportError
        Where it is no JSON object.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot read {file}: {error}") from error
    if not isinstance(found, dict):
        raise ReportError(f"{file} holds no JSON object")
    return found


@dataclass(frozen=True)
class JsonLines:
    """The interpretations in files, a line each; read anew each time one goes through them.

    Parameters
    ----------
    files
        In their order.
    expected
        How many there must be; None where nobody knows.
    folder
        The run's.
    """

    files: Sequence[Path]
    expected: int | None
    folder: Path

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Read line by line."""
        count = 0
        for file in self.files:
            with open(file, "rb") as lines:
                for number, line in enumerate(lines, 1):
                    found = parsed_line(line, file, number)
                    if not _is_interpretation(found):
                        raise ReportError(f"{file}, line {number}: this is no interpretation")
                    yield found
                    count += 1
        if self.expected is not None and count != self.expected:
            raise ReportError(
                f"{self.folder / INTERPRETATIONS} has {count:,} of the {self.expected:,} "
                f"interpretations that {METRICS} counts; was it cut off? Copy the run again, or "
                "make it again (hessinf interpret -f)"
            )


def _is_interpretation(line: Mapping[str, Any]) -> bool:
    return (
        line.keys() >= REQUIRED
        and isinstance(line["query"], dict)
        and all(isinstance(line[side], list) for side in ("helpful", "harmful"))
        and all(isinstance(one, dict) for one in (*line["helpful"], *line["harmful"]))
    )


def parsed_line(line: bytes, file: Path, number: int) -> dict[str, Any]:
    """Parse a line of a file as a JSON object.

    Raises
    ------
    ReportError
        Where it is none.
    """
    try:
        found = parsed(line)
    except ValueError as error:
        raise ReportError(f"cannot read {file}, line {number}: {error}") from error
    if not isinstance(found, dict):
        raise ReportError(f"{file}, line {number}: this is no JSON object")
    return found
