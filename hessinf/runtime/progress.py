"""Progress bars: one for every long stage, on standard error, named after the stage."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import tqdm
else:
    tqdm = lazy_import("tqdm")

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0
"""Where standard error is a file, a bar prints a line at most this often."""


class _Lines:
    """What stands for a bar where standard error is a file: whole lines, few of them."""

    def __init__(self, stage: str, total: int | None, unit: str) -> None:
        self.stage, self.total, self.unit = stage, total, unit
        self.done = 0
        self.shown: int | None = None
        self.postfix: dict[str, Any] = {}
        self.started = self.last = time.monotonic()

    def update(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.last >= SECONDS_BETWEEN_LINES:
            self.last = now
            self._print(now)

    def set_postfix(self, values: dict[str, Any], refresh: bool) -> None:
        self.postfix = dict(values)

    def close(self) -> None:
        if self.shown != self.done:
            self._print(time.monotonic())

    def _print(self, now: float) -> None:
        self.shown = self.done
        seconds = now - self.started
        of = "" if self.total is None else f"/{self.total}"
        rate = f", {self.done / seconds:.1f} {self.unit}/s" if seconds > 0 else ""
        facts = "".join(f", {key}={value}" for key, value in self.postfix.items())
        line = f"{self.stage}: {self.done}{of} {self.unit}, {seconds:.1f} s{rate}{facts}"
        print(line, file=sys.stderr, flush=True)


class _Nothing:
    """What stands for a bar where none is wanted."""

    def update(self, count: int) -> None:
        """Show nothing."""

    def set_postfix(self, values: dict[str, Any], refresh: bool) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Nothing was shown."""


class Bar:
    """A progress bar of one stage."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def update(self, count: int = 1) -> None:
        """Say that ``count`` more units are done."""
        self._bar.update(count)

    def set(self, **values: Any) -> None:
        """Show values beside the bar, for example ``loss=0.12``."""
        self._bar.set_postfix(values, refresh=False)


def progress_shown() -> bool:
    """Whether bars are drawn: not when ``HESSINF_PROGRESS=0``."""
    return os.environ.get("HESSINF_PROGRESS", "1").lower() not in ("0", "false", "no", "off")


@contextmanager
def bar(*, stage: str, total: int | None, unit: str = "examples") -> Iterator[Bar]:
    """Show a bar for one stage while the block runs.

    Parameters
    ----------
    stage
        What is being done, in words: it stands in front of the bar.
    total
        How many units there are, or None when that is not known.
    unit
        What is counted; the bar shows it per second.
    """
    shown: Any
    if not progress_shown():
        shown = _Nothing()
    elif not sys.stderr.isatty():
        shown = _Lines(stage, total, unit)
    else:
        shown = tqdm.tqdm(
            total=total,
            desc=stage,
            unit=f" {unit}",
            file=sys.stderr,
            dynamic_ncols=True,
            leave=True,
        )
    try:
        yield Bar(shown)
    finally:
        shown.close()


def track(
    iterable: Iterable[Item], *, stage: str, total: int | None = None, unit: str = "examples"
) -> Iterator[Item]:
    """Iterate with a progress bar, one unit an item.

    Parameters
    ----------
    iterable
        What to iterate over.
    stage
        What is being done, in words.
    total
        How many items there are; taken from ``len(iterable)`` when it has one.
    unit
        What an item is.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with bar(stage=stage, total=total, unit=unit) as shown:
        for item in iterable:
            yield item
            shown.update(1)
