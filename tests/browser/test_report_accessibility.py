"""axe-core, keyboard, zoom, print: the report for everybody."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from benchmarks.synthetic_runs import image_run, table_run, text_run
from benchmarks.watched_pages import READY, overflow, wait_until
from tests.browser.reports import report_of, show

COLUMNS = [f"mean radius {place}" for place in range(12)]

MADE = {
    "image": lambda: image_run(40, 80, (8, 8)),
    "table": lambda: table_run(20, 60, COLUMNS),
    # axe looks at every element: a few of each kind are enough.
    "few images": lambda: image_run(6, 20, (8, 8), top_k=2),
    "few rows": lambda: table_run(6, 12, COLUMNS, top_k=2),
    "few texts": lambda: text_run(6, 12, top_k=2),
}

VIEWS = ("queries", "query/4", "example/0", "suspects", "suspects?view=table", "about")

SIZES = [(theme, width) for theme in ("light", "dark") for width in (1280, 390)]


@pytest.fixture(scope="module")
def document() -> Callable[[str], str]:
    return cache(lambda kind: report_of(MADE[kind]()))


@pytest.mark.parametrize(("theme", "width"), SIZES)
@pytest.mark.parametrize(
    ("kind", "views"),
    [
        ("few images", VIEWS),
        ("few rows", ("query/4",)),
        ("few texts", ("query/4", "suspects")),
    ],
)
def test_axe_finds_nothing(pages, axe, document, kind, views, theme, width):
    page = pages.open_report(document(kind), views[0], theme=theme, width=width)
    for view in views:
        show(page, view)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        axe.check(page)
        assert overflow(page) == 0, view


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_help(pages, axe, document, theme):
    page = pages.open_report(document("few images"), theme=theme)
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    axe.check(page)


def test_without_scripts_the_first_queries_are_there(pages, document):
    page = pages.open(document("image"), java_script_enabled=False)
    noscript = page.locator("noscript")
    assert noscript.locator("p").first.is_visible()
    assert "needs JavaScript" in noscript.inner_text()
    assert noscript.locator("img").first.is_visible()
    assert noscript.get_by_role("table").count() > 1


def test_the_theme_can_be_chosen_and_is_remembered(pages, document):
    page = pages.open_report(document("image"))
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark theme").click()
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    page.wait_for_selector(READY, state="attached")
    assert page.evaluate(paper) == dark
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate(paper) == light


def test_everything_can_be_done_by_keyboard(pages, document):
    page = pages.open_report(document("image"))
    focused = "document.activeElement.textContent"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Skip to the content"
    page.keyboard.press("/")
    wait_until(page, "document.activeElement.type === 'search'")
    page.keyboard.type("test/1")
    assert page.get_by_role("status").inner_text() == "11 of 40 queries"
    page.keyboard.press("Escape")
    wait_until(page, "document.activeElement.matches('#query-pane li a')")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    heading = page.locator("main h2")
    opened = page.locator("#query-pane [aria-current=true] .id").inner_text()
    heading.filter(has_text=opened).wait_for()
    # The keyboard goes on where the view begins.
    wait_until(page, "document.activeElement.matches('main h2')")
    page.keyboard.press("j")
    heading.filter(has_text=opened).wait_for(state="detached")
    page.keyboard.press("k")
    heading.filter(has_text=opened).wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    page.keyboard.press("Escape")
    wait_until(page, "document.activeElement.matches('#query-pane li a')")


def test_whatever_takes_the_focus_shows_it(pages, document):
    page = pages.open_report(document("image"), "query/4")
    unseen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, style = page.evaluate(
            "() => { const one = document.activeElement; const style = getComputedStyle(one);"
            "return [one.outerHTML.slice(0, 80), style.outlineStyle + style.boxShadow]; }"
        )
        # After the last element the focus is at the browser's own.
        if style == "nonenone" and not name.startswith("<body"):
            unseen.append(name)
    assert unseen == []


def test_a_region_that_is_scrolled_by_keyboard_stays(pages, document):
    page = pages.open_report(document("table"), "suspects?view=table", width=390)
    region = page.get_by_role("region", name="Suspected mislabelled examples")
    region.focus()
    page.keyboard.press("ArrowRight")
    wait_until(
        page, "document.activeElement.scrollLeft > 0 || !location.hash.startsWith('#suspects')"
    )
    assert "#suspects" in page.url


@pytest.mark.parametrize("view", VIEWS)
def test_at_twice_the_size_nothing_is_cut(pages, document, view):
    # Zoom leaves half as many of the pixels in which a page is laid out.
    page = pages.open_report(document("image"), view, width=640, height=400)
    assert overflow(page) == 0


def test_touch_targets_are_large_enough(pages, document):
    page = pages.open_report(document("image"), width=390, has_touch=True)
    small = "one => one.offsetParent !== null && one.getBoundingClientRect().height < 24"
    for view in ("queries", "query/4", "suspects"):
        show(page, view)
        controls = page.locator(
            "button, select, label.check, input:not([type=checkbox]), "
            "#masthead a, #query-pane li a, .steps a"
        )
        assert [one.inner_text() for one in controls.all() if one.evaluate(small)] == []


@pytest.mark.parametrize("chosen", [False, True], ids=["system", "chosen"])
def test_it_prints_dark_on_white(pages, document, chosen):
    page = pages.open_report(document("image"), "query/4", theme="light" if chosen else "dark")
    if chosen:
        page.get_by_role("button", name="Dark theme").click()
    page.emulate_media(media="print")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    assert not page.locator("#query-pane").is_visible()
    assert page.locator("main .cards").first.is_visible()
    # Browsers leave backgrounds out where a page does not insist: bars would be gone.
    fill = page.locator(".card .fill").first
    assert fill.evaluate("one => getComputedStyle(one).printColorAdjust") == "exact"
    pdf = page.pdf(format="A4")
    assert 1 <= pdf.count(b"/Type /Page\n") <= 8


def test_less_motion_is_no_motion(pages, document):
    page = pages.open_report(document("image"), "query/4", reduced_motion="reduce")
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter(one => { const style = getComputedStyle(one);"
        "return parseFloat(style.transitionDuration) > 0.01"
        " || parseFloat(style.animationDuration) > 0.01; }).length"
    )
    assert moving == 0
