"""The documentation, opened from disk in a browser: search, themes, a phone, accessibility."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.watched_pages import overflow
from tests.docs.building import build_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.accessibility import Axe

pytest.importorskip("material", reason="the site is built with mkdocs-material (extra docs)")

SHOWN = (
    "index.html",
    "which_method.html",
    "reading_scores.html",
    "reference/config/influence-interpreter.html",
    "reference/python/interpreters.html",
    "mathematics/kronecker.html",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_site(tmp_path_factory.mktemp("site"))


class Visitor:
    """Opens pages of the site, and notes what a site without a network must not do.

    Parameters
    ----------
    browser
        A browser that runs.
    site
        Where the site was built.
    """

    def __init__(self, browser: Browser, site: Path) -> None:
        self.browser = browser
        self.site = site
        self.problems: list[str] = []

    def open(self, page: str, *, theme: str = "light", width: int = 1280) -> Page:
        context = self.browser.new_context(
            color_scheme="dark" if theme == "dark" else "light",
            viewport={"width": width, "height": 800},
        )
        opened = context.new_page()
        opened.on("console", lambda message: self._note(message.type, message.text))
        opened.on("pageerror", lambda error: self.problems.append(str(error)))
        opened.on("request", lambda request: self._request(request.url))
        opened.goto((self.site / page).as_uri())
        return opened

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(f"{kind}: {text}")

    def _request(self, address: str) -> None:
        if not address.startswith((self.site.as_uri(), "data:", "blob:", "about:")):
            self.problems.append(f"asked for {address}")


@pytest.fixture
def visitor(browser: Browser, site: Path) -> Iterator[Visitor]:
    visitor = Visitor(browser, site)
    yield visitor
    for context in visitor.browser.contexts:
        context.close()
    assert visitor.problems == []


def test_search_finds_pages_without_a_server(visitor: Visitor) -> None:
    page = visitor.open("index.html")
    page.locator("input[name=query]").click()
    page.get_by_text("Type to start searching").wait_for()
    page.locator("input[name=query]").press_sequentially("recursion_depth")
    first = page.locator(".md-search-result__link").first
    first.click()
    page.wait_for_url(lambda address: "/index.html" not in address)
    assert "recursion_depth" in page.locator("article").inner_text()


def test_the_theme_is_the_systems_and_can_be_changed(visitor: Visitor) -> None:
    page = visitor.open("index.html", theme="dark")
    assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"
    page.get_by_title("Switch to the light theme").click()
    assert page.locator("body").get_attribute("data-md-color-scheme") == "default"


@pytest.mark.parametrize("path", SHOWN)
def test_a_phone_shows_pages_without_scrolling_sideways(visitor: Visitor, path: str) -> None:
    assert overflow(visitor.open(path, width=390)) == 0


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
@pytest.mark.parametrize("path", SHOWN)
def test_accessibility(visitor: Visitor, axe: Axe, path: str, theme: str, width: int) -> None:
    page = visitor.open(path, theme=theme, width=width)
    assert visitor.problems == []
    found = [line for line in axe.violations(page) if line.startswith(("serious", "critical"))]
    visitor.problems.clear()  # axe asks for the style sheets as data, which no file:// page may
    assert found == []
