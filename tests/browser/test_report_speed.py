"""A thousand queries with twenty training examples each: small, and drawn as one scrolls.

How many milliseconds that takes is measured by ``python -m benchmarks.report_page``.
"""

from __future__ import annotations

import pytest

from benchmarks.report_page import FIRST_LIST, QUERIES
from benchmarks.synthetic_runs import image_run
from benchmarks.watched_pages import layout_shift
from hessinf.reporting import report_page as module
from tests.browser.reports import report_of, show

MEGABYTE = 1_000_000

# Counts what has been unpacked.
COUNTED = """
window.unpacked = 0;
window.DecompressionStream = class extends DecompressionStream {
  constructor(format) { super(format); window.unpacked += 1; }
};
"""

ELEMENTS = "document.querySelectorAll('body *').length"


@pytest.fixture(scope="module")
def document() -> str:
    return report_of(image_run(QUERIES, 2000))


def test_it_is_small(document):
    assert len(document.encode()) < 20 * MEGABYTE


def test_images_that_nothing_compresses_are_made_smaller_and_that_is_said(pages, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 4 * MEGABYTE)
    document = report_of(image_run(60, 240, (80, 80, 3), noise=True))
    assert len(document.encode()) < 4 * MEGABYTE
    page = pages.open_report(document, "query/0")
    assert page.locator("main canvas").first.evaluate("one => one.width") < 80
    show(page, "about")
    assert "to keep the page small" in page.locator("main").inner_text()


def test_only_what_is_seen_is_unpacked_and_drawn(pages, document):
    segments = document.count('class="segment"')
    assert segments > 30
    page = pages.open_report(document, script=COUNTED)
    assert page.evaluate("unpacked") <= segments / 5
    at_first = page.evaluate(ELEMENTS)
    assert at_first < 1500
    rows = page.locator("ol[aria-label] > li")
    assert rows.count() < 80
    assert rows.first.get_attribute("aria-setsize") == f"{QUERIES}"

    last = page.locator(f"li[aria-posinset='{QUERIES}']")
    assert last.count() == 0
    rows.first.locator("a").focus()
    page.keyboard.press("End")
    last.wait_for()
    assert page.evaluate(ELEMENTS) < 1.5 * at_first
    assert page.evaluate("unpacked") <= segments / 4


def test_going_through_many_queries_leaves_nothing_behind(pages, document):
    page = pages.open_report(document, "query/0")
    at_first = page.evaluate(ELEMENTS)
    for place in range(40, 60):
        show(page, f"query/{place}")
    show(page, "query/0")
    assert page.evaluate(ELEMENTS) <= 1.2 * at_first


def test_it_opens_without_a_wait_or_a_jump(pages, document):
    page = pages.open_report(document)
    (mark,) = page.evaluate(
        f"performance.getEntriesByName('{FIRST_LIST}').map(one => one.startTime)"
    )
    # A loose bound: the machine may be busy with other things.
    assert mark < 10_000
    assert layout_shift(page) < 0.1
