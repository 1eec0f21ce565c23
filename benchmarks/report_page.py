"""How big a report is, and how fast it opens: ``python -m benchmarks.report_page``.

Runs of 1,000 queries with 10 helpful and 10 harmful training examples each are made up (no model
is trained), ``hessinf report`` writes their pages, and Chromium opens each of them a few times from
``file://``, in a new profile. A page counts as open when its first list has been painted: the page
says so by a performance mark. Processor seconds are those of the renderer's process until then.

Examples
--------
python -m benchmarks.report_page                 the medians of five openings
python -m benchmarks.report_page --runs 3 --slowdown 4    on a processor a quarter as fast
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.chromium import BrowserMissing, started
from benchmarks.fresh_process import environment, run_process
from benchmarks.synthetic_runs import SyntheticRun, image_run, table_run, text_run
from benchmarks.watched_pages import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent

QUERIES = 1000

TRAINING = 5000

RUNS: Mapping[str, Callable[[], SyntheticRun]] = {
    "strokes of 28 × 28": lambda: image_run(QUERIES, TRAINING),
    "noise of 32 × 32 × 3": lambda: image_run(QUERIES, TRAINING, (32, 32, 3), noise=True),
    "table of 30 columns": lambda: table_run(QUERIES, TRAINING, [f"column {i}" for i in range(30)]),
    "texts with token influence": lambda: text_run(QUERIES, TRAINING),
}

FIRST_LIST = "hessinf-list"
"""The mark that the page sets when its first list has been painted."""


@dataclass(frozen=True)
class Opening:
    """What it took to open a page.

    Parameters
    ----------
    first_paint, first_list
        Milliseconds from the start of the navigation.
    renderer
        Processor seconds of the page's process until the list was there.
    elements
        How many the document has then.
    """

    first_paint: float
    first_list: float
    renderer: float
    elements: int


def open_page(browser: Browser, page: Path, slowdown: float = 1.0) -> Opening:
    """Open a page in a new profile, and wait for its first list."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    try:
        tab = context.new_page()
        context.new_cdp_session(tab).send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
        before = renderer_seconds(browser)
        tab.goto(page.as_uri())
        wait_until(tab, f"performance.getEntriesByName('{FIRST_LIST}').length > 0")
        after = renderer_seconds(browser)
        return Opening(
            tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"),
            tab.evaluate(f"performance.getEntriesByName('{FIRST_LIST}')[0].startTime"),
            after - before,
            tab.evaluate("document.querySelectorAll('*').length"),
        )
    finally:
        context.close()


def renderer_seconds(browser: Browser) -> float:
    """Return the processor seconds of all pages of a browser."""
    session = browser.new_browser_cdp_session()
    try:
        processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    finally:
        session.detach()
    return float(sum(one["cpuTime"] for one in processes if one["type"] == "renderer"))


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="how often each page is opened (5)")
    parser.add_argument("--slowdown", type=float, default=1.0, help="of the page's processor (1)")
    options = parser.parse_args(arguments)
    head = "page", "writing, cpu s", "MB", "first paint ms", "first list ms", "renderer cpu s"
    print(f"{head[0]:28}" + "".join(f"{text:>16}" for text in (*head[1:], "elements")))
    try:
        with tempfile.TemporaryDirectory() as folder, started() as browser:
            for name, make in RUNS.items():
                _row(name, make().write(Path(folder) / name), browser, options)
    except BrowserMissing as error:
        print(f"report_page: {error}", file=sys.stderr)
        return 1
    return 0


def _row(name: str, directory: Path, browser: Browser, options: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "hessinf", "report", str(directory), "--no-plots"]
    cost = run_process(command, environment(ROOT))
    if cost.status:
        raise SystemExit(f"report_page: {name}: {cost.errors.strip()}")
    page = directory / "report.html"
    openings = [open_page(browser, page, options.slowdown) for _ in range(options.runs)]
    cells = [
        f"{cost.processor:.1f}",
        f"{page.stat().st_size / 1e6:.1f}",
        f"{statistics.median(one.first_paint for one in openings):.0f}",
        f"{statistics.median(one.first_list for one in openings):.0f}",
        f"{statistics.median(one.renderer for one in openings):.2f}",
        f"{max(one.elements for one in openings):,}",
    ]
    print(f"{name:28}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
