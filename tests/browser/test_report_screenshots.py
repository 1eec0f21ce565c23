"""The report looks as it did: pictures compared with tolerance."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from benchmarks.synthetic_runs import image_run, table_run, text_run
from benchmarks.watched_pages import wait_until
from tests.browser.pictures import PicturesDifferError, check, compare, small
from tests.browser.reports import report_of, show

MADE = {
    "image": lambda: image_run(40, 120),
    "table": lambda: table_run(40, 120, [f"mean radius {place}" for place in range(12)]),
    "text": lambda: text_run(40, 120),
}

SHOTS = {
    "image_light": ("image", "query/4", "light", 1280),
    "image_dark": ("image", "query/4", "dark", 1280),
    "image_phone": ("image", "query/4", "light", 390),
    "list_phone": ("image", "queries", "dark", 390),
    "suspects": ("image", "suspects", "light", 1280),
    "example": ("image", "example/0", "light", 1280),
    "about": ("image", "about", "light", 1280),
    "table": ("table", "query/4", "light", 1280),
    "text": ("text", "query/4", "light", 1280),
}


@pytest.fixture(scope="module")
def document() -> Callable[[str], str]:
    return cache(lambda kind: report_of(MADE[kind]()))


@pytest.mark.parametrize("name", SHOTS)
def test_it_looks_as_it_did(pages, document, tmp_path, name):
    kind, route, theme, width = SHOTS[name]
    page = pages.open_report(document(kind), route, theme=theme, width=width)
    check(name, page.screenshot(animations="disabled"), tmp_path)


# What could break without an error: it has to be seen.
BROKEN = {
    "no cards": "document.querySelector('.cards').replaceChildren()",
    "no images": "document.querySelectorAll('canvas').forEach(one => { one.style.opacity = 0; })",
    "no list": "document.querySelector('#query-pane').remove()",
    "no style": "document.querySelector('style').remove()",
    "the other theme": "document.documentElement.dataset.theme = 'dark'",
}


@pytest.mark.parametrize("change", BROKEN)
def test_what_is_broken_is_seen(pages, document, tmp_path, monkeypatch, change):
    monkeypatch.delenv("HESSINF_PICTURES", raising=False)
    page = pages.open_report(document("image"), "query/4")
    page.evaluate(BROKEN[change])
    with pytest.raises(PicturesDifferError, match=r"^image_light: differs by"):
        check("image_light", page.screenshot(animations="disabled"), tmp_path)
    assert (tmp_path / "image_light.full.png").exists()


OTHER_FONT = """() => {
  const style = document.createElement("style");
  style.textContent = "* { font-family: DejaVu Serif, DejaVu Sans Condensed !important }";
  document.head.append(style);
}"""


@pytest.mark.parametrize("name", ["image_light", "image_phone", "text"])
def test_another_font_is_no_other_look(pages, document, tmp_path, monkeypatch, name):
    monkeypatch.delenv("HESSINF_PICTURES", raising=False)
    kind, route, theme, width = SHOTS[name]
    page = pages.open_report(document(kind), route, theme=theme, width=width)
    page.evaluate(OTHER_FONT)
    check(name, page.screenshot(animations="disabled"), tmp_path)


def test_going_away_and_back_changes_nothing(pages, document):
    page = pages.open_report(document("image"), "query/4")
    page.mouse.move(900, 500)
    page.mouse.wheel(0, 400)
    wait_until(page, "scrollY === 400")
    before = page.screenshot(animations="disabled")
    show(page, "suspects")
    assert page.evaluate("scrollY") == 0
    page.go_back()
    page.wait_for_selector("main#app[aria-busy='false'] .query-view")
    assert page.evaluate("scrollY") == 400
    compare(small(page.screenshot(animations="disabled")), small(before))
