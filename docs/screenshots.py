"""The pictures of the documentation: ``make screenshots`` writes docs/images/*.png.

A small digit classifier is trained with 5 % of its labels changed, explained, and its report opened
in Chromium: what is in the pictures is what anybody gets from the same config.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.chromium import BrowserMissing, started
from benchmarks.watched_pages import READY, WatchedPages
from hessinf.reporting.plots import write_plots

ROOT = Path(__file__).resolve().parent.parent

CONFIG = "configs/digits/noisy.jsonnet"
COMPARED = "configs/evaluation/quick.jsonnet"

IMAGES = ROOT / "docs/images"

COLORS = 128
"""Few enough for small files, more than a page of gray digits needs."""


@dataclass(frozen=True)
class Shot:
    """A picture: of which view, and how it is opened.

    Parameters
    ----------
    name
        Of the file, without its ending.
    route
        What follows ``#``.
    options
        Theme, width and height.
    """

    name: str
    route: str
    options: dict[str, Any] = field(default_factory=dict)


def shots(query: str) -> list[Shot]:
    """List the pictures; ``query`` is the address of the query that is shown."""
    return [
        Shot("report", query),
        Shot("report_dark", query, {"theme": "dark"}),
        Shot("suspects", "suspects"),
        Shot("report_phone", query, {"width": 390, "height": 844}),
    ]


def main() -> int:
    """Run the config, and take the pictures."""
    try:
        with tempfile.TemporaryDirectory() as folder, started() as browser:
            run = Path(folder) / "run"
            hessinf("interpret", CONFIG, run)
            pages = WatchedPages(browser, Path(folder))
            IMAGES.mkdir(exist_ok=True)
            for shot in shots(worst_query(pages, run / "report.html")):
                page = pages.open_report(
                    run / "report.html", shot.route, device_scale_factor=2, **shot.options
                )
                keep(shot.name, page.screenshot())
            if pages.problems:
                print("\n".join(["screenshots: the page has problems:", *pages.problems]))
                return 1
            hessinf("compare", COMPARED, Path(folder) / "compared")
            for plot in (*write_plots(run), Path(folder) / "compared/plots/pareto_seconds.png"):
                if plot.suffix == ".png":
                    keep(f"plot_{plot.stem}", plot.read_bytes())
    except BrowserMissing as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    return 0


def hessinf(command: str, config: str, run: Path) -> None:
    """Run a command of the terminal; what it prints is no result of this program."""
    words = [sys.executable, "-m", "hessinf", command, config, "-s", str(run)]
    environment = {**os.environ, "HESSINF_PROGRESS": "0"}
    subprocess.run(words, cwd=ROOT, env=environment, stdout=sys.stderr, check=True)


def keep(name: str, picture: bytes) -> None:
    """Write a picture to the documentation, and say how large it is."""
    file = IMAGES / f"{name}.png"
    file.write_bytes(reduced(picture))
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB")


def worst_query(pages: WatchedPages, report: Path) -> str:
    """Open the wrong prediction with the largest loss, and return its address."""
    page = pages.open_report(report, "queries?wrong=1&sort=loss")
    page.locator("#query-pane li a").first.click()
    page.wait_for_url("**#query/**")
    page.wait_for_selector(READY, state="attached")
    return page.url.partition("#")[2]


def reduced(screenshot: bytes) -> bytes:
    """Write a picture with fewer colors."""
    with Image.open(io.BytesIO(screenshot)) as image:
        few = image.convert("RGB").quantize(
            COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
        out = io.BytesIO()
        few.save(out, "PNG", optimize=True)
        return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
