"""The reports of runs as they come: images, rows of a table, texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from benchmarks.watched_pages import layout_shift, overflow
from hessinf.commands.main import main
from hessinf.reporting.report_page import report_page
from hessinf.reporting.reported_run import read_reported_run
from tests.browser.reports import show

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

VIEWS = ("queries", "query/0", "query/7", "example/0", "suspects", "about")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Run a config once, and write its report."""

    @cache
    def make(config: str) -> Path:
        folder = tmp_path_factory.mktemp("runs") / "run"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HESSINF_PROGRESS", "0")
            # Plots beside the report are not looked at here.
            options = ["-s", str(folder), "--set", "report=false"]
            assert main(["interpret", str(CONFIGS / config), *options]) == 0
        page = folder / "report.html"
        page.write_text(report_page(read_reported_run(folder)), encoding="utf-8")
        return page

    return make


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "config", ["digits/noisy.jsonnet", "breast_cancer/exact.jsonnet", "reviews/ekfac.jsonnet"]
)
def test_every_view_opens(pages, report, config, theme):
    page = pages.open_report(report(config), theme=theme)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        for view in VIEWS:
            show(page, view)
            assert page.locator("main").inner_text().strip()
            assert overflow(page) == 0, (view, width)
    assert "undefined" not in page.locator("body").inner_text()
    assert "NaN" not in page.locator("body").inner_text()


def test_nothing_moves_while_a_report_opens(pages, report):
    page = pages.open_report(report("digits/noisy.jsonnet"), "query/3")
    assert layout_shift(page) < 0.1


def test_a_newcomer_finds_the_labels_that_were_changed(pages, report):
    """From the page alone: what is suspected stands there, and whether it was changed, too."""
    page = pages.open_report(report("digits/noisy.jsonnet"))
    page.get_by_role("link", name="Suspects").click()
    suspects = page.locator("main .suspect")
    suspects.nth(19).wait_for()
    planted = [re.search(r"\bwas \d", suspects.nth(i).inner_text()) for i in range(20)]
    found = sum(one is not None for one in planted)
    assert found >= 16
    assert f"{found} of the first 20 were changed on purpose." in page.locator("main").inner_text()
