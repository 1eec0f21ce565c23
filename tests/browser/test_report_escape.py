"""Whatever data and configs hold shows as text; nothing of it runs."""

from __future__ import annotations

import pytest

from benchmarks.watched_pages import overflow
from tests.browser.hostile_runs import hostile_run
from tests.browser.hostile_texts import HOSTILE, missing
from tests.browser.reports import report_of, show

# What a text could have become: something that runs, loads or leads away.
DANGEROUS = """() => [...document.querySelectorAll("*")].flatMap(one => [
  ...(["IFRAME", "OBJECT", "EMBED", "LINK", "BASE"].includes(one.tagName)
    ? [one.outerHTML] : []),
  ...[...one.attributes].filter(each => each.name.startsWith("on")
    || (["src", "href", "action", "formaction", "xlink:href"].includes(each.name)
        && !/^(#|data:image\\/|blob:)/.test(each.value)))
    .map(each => `${one.tagName} ${each.name}=${each.value}`)])"""


@pytest.fixture(scope="module")
def document() -> str:
    return report_of(hostile_run())


@pytest.fixture
def page(pages, document):
    """The report, at the sizes of a desktop and a phone; nothing dangerous is in it at the end."""
    page = pages.open_report(document)
    scripts = page.locator("script:not([type='text/plain'])").count()
    assert scripts == document.count("<script>")
    yield page
    assert page.evaluate(DANGEROUS) == []
    assert page.locator("script:not([type='text/plain'])").count() == scripts


def test_the_list_shows_labels_and_texts(page):
    pane = page.locator("#query-pane").text_content()
    assert missing([f"{text} in a text" for text in HOSTILE[:8]], pane) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_every_query_shows_its_texts(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    for place, text in enumerate(HOSTILE):
        show(page, f"query/{place}")
        shown = page.locator("main").text_content()
        wanted = [f"{text} test", f"{text} in a text", f"{text} column", f"{text} cell"]
        wanted += [f"{text} remark", f"{text} key", text]
        assert missing(wanted, shown) == [], place
        assert overflow(page) == 0, place


@pytest.mark.parametrize("width", [1280, 390])
def test_every_training_example_shows_its_texts(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    everything = ""
    for place in range(len(HOSTILE)):
        show(page, f"example/{place}")
        everything += page.locator("main").text_content()
        assert overflow(page) == 0, place
    for word in ("train", "in a text", "column", "cell", "remark", "key"):
        assert missing([f"{text} {word}" for text in HOSTILE], everything) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_suspects_and_facts_show_their_texts(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    show(page, "suspects")
    assert missing([f"{text} train" for text in HOSTILE], page.locator("main").text_content()) == []
    assert overflow(page) == 0
    show(page, "about")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert missing(HOSTILE, page.locator("body").text_content()) == []
    assert overflow(page) == 0


def test_a_search_for_code_finds_the_query_that_holds_it(page):
    for place, text in enumerate(HOSTILE[:10]):
        page.get_by_role("searchbox").fill(text)
        row = page.locator(f"#query-pane li a[href^='#query/{place}?']")
        assert missing([f"{text} in a text"], row.text_content()) == [], place


@pytest.mark.parametrize(
    "route",
    [
        "query/99999999",
        "query/-1",
        "query/<img src=x onerror=hostile(1)>",
        "example/99999999",
        "queries?search=<script>hostile(1)</script>&label=<b>&sort=__proto__&low=x&high=1e999",
        "constructor",
        "suspects?view=__proto__",
        "%",
        "queries?search=%E0%A4%A",
    ],
)
def test_an_address_that_nobody_made_shows_a_page(pages, document, route):
    page = pages.open_report(document, route)
    assert page.locator("main").inner_text().strip()
    assert page.evaluate(DANGEROUS) == []
