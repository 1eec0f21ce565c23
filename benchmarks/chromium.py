"""Debian's Chromium, driven by Playwright: where it is, and how it is started without a network."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]

AXE = ROOT / "build/browser/node_modules/axe-core/axe.min.js"
"""Where ``.ci/browser`` puts it."""

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first is Chromium without windows: the same engine for a third of the time."""

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)


class BrowserMissing(Exception):
    """There is no browser here, for the reason that the message says."""


def executable() -> Path:
    """Return where Chromium is: what HESSINF_CHROMIUM says, else what the path holds."""
    named = os.environ.get("HESSINF_CHROMIUM")
    if named:
        if not Path(named).is_file():
            raise BrowserMissing(f"HESSINF_CHROMIUM is {named}, which is no file")
        return Path(named)
    for program in PROGRAMS:
        found = shutil.which(program)
        if found:
            return Path(found)
    raise BrowserMissing(f"none of {', '.join(PROGRAMS)} is installed; sh .ci/browser installs one")


@contextmanager
def started() -> Iterator[Browser]:
    """Start a browser, and end it afterwards.

    Raises
    ------
    BrowserMissing
        When Playwright or Chromium is not there, or Chromium does not start.
    """
    program = executable()
    if importlib.util.find_spec("playwright") is None:
        raise BrowserMissing("the Python package playwright is not installed")
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=str(program), args=list(ARGUMENTS), timeout=60_000
            )
        except Error as error:
            raise BrowserMissing(f"{program} does not start: {_reason(error.message)}") from error
        try:
            yield browser
        finally:
            browser.close()


def _reason(message: str) -> str:
    """Take out of a launch's log what the browser itself said, or else how the log begins."""
    said = re.search(r"\[err\] (.*)", message)
    return said[1] if said else message.partition("\n")[0]
