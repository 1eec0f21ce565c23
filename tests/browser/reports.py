"""Reports of made-up runs, and how one goes through their views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.synthetic_runs import SyntheticRun
from benchmarks.watched_pages import READY
from hessinf.reporting.report_page import report_page
from hessinf.reporting.reported_run import ReportedRun

if TYPE_CHECKING:
    from playwright.sync_api import Page


def report_of(run: SyntheticRun) -> str:
    """Return the report of a run as a document."""
    return report_page(
        ReportedRun(
            run.interpretations,
            run.metrics,
            run.config,
            run.provenance,
            run.self_influence,
            warnings=run.metrics["warnings"],
        )
    )


# The page hears of the new address first: from then on it says that it is busy, until it is done.
GO = """route => new Promise(done => {
  const before = location.href;
  addEventListener("hashchange", () => done(), { once: true });
  location.hash = route;
  if (location.href === before) done();
})"""


def show(page: Page, route: str) -> None:
    """Go to another view, and wait until it is drawn."""
    page.evaluate(GO, route)
    page.wait_for_selector(READY, state="attached")
