"""A browser, pages that are watched, axe. Where there is no browser, tests are skipped.

HESSINF_BROWSER=required makes a missing browser an error instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from benchmarks.chromium import AXE, BrowserMissing, started
from benchmarks.watched_pages import WatchedPages
from tests.browser.accessibility import Axe
from tests.browser.reports import report_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from benchmarks.synthetic_runs import SyntheticRun


def _missing(reason: str) -> NoReturn:
    if os.environ.get("HESSINF_BROWSER") == "required":
        pytest.fail(f"HESSINF_BROWSER=required, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each page has a profile of its own."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(started())
        except BrowserMissing as error:
            _missing(f"no browser: {error}")
        yield running


@pytest.fixture
def pages(browser: Browser, tmp_path: Path) -> Iterator[WatchedPages]:
    """Pages that must have given no problem when the test ends."""
    watched = WatchedPages(browser, tmp_path)
    yield watched
    watched.close()
    assert watched.problems == []


@pytest.fixture(scope="module")
def document(run: SyntheticRun) -> str:
    """The report of the module's own ``run``."""
    return report_of(run)


@pytest.fixture
def page(pages: WatchedPages, document: str) -> Page:
    """The report, opened."""
    return pages.open_report(document)


@pytest.fixture(scope="session")
def axe() -> Axe:
    """axe-core, which .ci/browser installs."""
    script = Path(os.environ.get("HESSINF_AXE", AXE))
    if not script.is_file():
        _missing(f"no axe-core: {script} is not there; sh .ci/browser installs it")
    return Axe(script)
