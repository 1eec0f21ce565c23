"""The page of a comparison, as a person opens it."""

from __future__ import annotations

import pytest

from benchmarks.watched_pages import layout_shift, overflow, wait_until
from hessinf.reporting.comparison_page import comparison_page
from tests.browser.hostile_texts import HOSTILE, missing
from tests.reporting.comparisons import comparison, costs

EVERY_SIZE = [(theme, width) for theme in ("light", "dark") for width in (1280, 390)]


@pytest.fixture(scope="module")
def document() -> str:
    return comparison_page(comparison(warnings=["A warning."]), costs("kfac", "ekfac"))


@pytest.mark.parametrize(("theme", "width"), EVERY_SIZE)
def test_it_is_accessible(pages, axe, document, theme, width):
    page = pages.open(document, theme=theme, width=width)
    axe.check(page)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    axe.check(page)
    assert overflow(page) == 0
    assert layout_shift(page) == 0


def test_its_colors_are_those_of_the_reader_s_theme(pages, document):
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = (pages.open(document, theme=theme).evaluate(paper) for theme in ("light", "dark"))
    assert light == "rgb(255, 255, 255)"
    assert dark != light


def test_it_needs_no_script(pages, document):
    page = pages.open(document, java_script_enabled=False)
    assert page.get_by_role("heading", name="Agreement").is_visible()
    assert page.get_by_role("cell", name="0.420").first.is_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_names_and_texts_that_are_code_show_as_text(pages, width):
    names = [f"{place} {text}" for place, text in enumerate(HOSTILE)]
    page = pages.open(comparison_page(hostile_comparison(names), costs(*names)), width=width)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert missing(names, page.locator("body").text_content()) == []
    assert page.locator("svg").first.locator("circle").count() == len(names)
    assert page.locator(".warning").count() == len(names)
    assert overflow(page) == 0


def hostile_comparison(names: list[str]):
    """Compare interpreters with these names, and warn of each."""
    made = comparison(warnings=names)
    made["rows"] = [{"name": name, "from": name, "interpreter": {name: name}} for name in names]
    matrix = [[0.5] * len(names)] * len(names)
    made["agreement"].update(
        names=names,
        spearman=matrix,
        undefined=[[0] * len(names)] * len(names),
        top_k_helpful=matrix,
        top_k_harmful=matrix,
    )
    metric = made["evaluation"]["metrics"]["lds"]
    summary = metric["rows"]["kfac"]
    metric.update(rows=dict.fromkeys(names, summary), notes=names, comparisons=[])
    return made


def test_a_wide_table_is_scrolled_by_the_keyboard(pages, document):
    page = pages.open(document, width=390)
    wide = page.locator(".scroll").filter(has=page.locator("svg")).first
    wide.focus()
    page.keyboard.press("ArrowRight")
    wait_until(page, "document.activeElement.scrollLeft > 0")
