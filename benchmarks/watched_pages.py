"""Pages that are watched: whatever a self-contained page must not do is written down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

Theme = Literal["light", "dark"]

OWN_SCHEMES = ("data:", "blob:", "about:")

# Hostile texts call hostile(...). Layout shifts that follow a person's input are no jumps.
INSTRUMENTS = """
window.hostile = (place) => console.error(`hostile code ran: ${place}`);
window.layoutShift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput) window.layoutShift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""

READY = "main#app[aria-busy='false']"
"""The view that was asked for is drawn."""


class WatchedPages:
    """Opens pages as a person does, and collects what went wrong in them.

    Parameters
    ----------
    browser
        A browser that runs.
    folder
        Where documents that are given as text are written, to be opened from ``file://``.

    Attributes
    ----------
    problems
        Errors and warnings of the console, exceptions, dialogs, windows, and requests for anything
        but the document itself, in order.
    """

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.browser = browser
        self.folder = folder
        self.problems: list[str] = []
        self._contexts: list[BrowserContext] = []

    def open(
        self,
        document: Path | str,
        route: str = "",
        *,
        theme: Theme = "light",
        width: int = 1280,
        height: int = 800,
        script: str = "",
        **options: Any,
    ) -> Page:
        """Open a file, or a text as a file.

        Parameters
        ----------
        document
            The path of a page, or its text.
        route
            What follows ``#``.
        theme
            What the system prefers.
        width, height
            Of the window, in CSS pixels.
        script
            Runs before those of the page.
        **options
            Further options of a browser's context: ``java_script_enabled``, ``has_touch``, ...
        """
        if isinstance(document, str):
            path = self.folder / f"page-{len(self._contexts)}.html"
            path.write_text(document, encoding="utf-8")
        else:
            path = document.resolve()
        context = self.browser.new_context(
            color_scheme=theme,
            viewport={"width": width, "height": height},
            locale="en-US",
            offline=True,
            **options,
        )
        self._contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.add_init_script(INSTRUMENTS + script)
        address = f"file://{quote(str(path))}"
        self._watch(page, address)
        page.goto(address + (f"#{route}" if route else ""))
        return page

    def open_report(self, document: Path | str, route: str = "", **options: Any) -> Page:
        """Open a report, and wait until the view is drawn."""
        page = self.open(document, route, **options)
        page.wait_for_selector(READY, state="attached")
        return page

    def _watch(self, page: Page, address: str) -> None:
        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.problems.append(f"console {message.type}: {message.text}")

        def on_request(request: Request) -> None:
            url = request.url.partition("#")[0]
            if url != address and not url.startswith(OWN_SCHEMES):
                self.problems.append(f"request: {request.method} {request.url}")

        def on_dialog(dialog: Any) -> None:
            self.problems.append(f"dialog: {dialog.type} {dialog.message}")
            dialog.dismiss()

        page.on("console", on_console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("request", on_request)
        page.on("dialog", on_dialog)
        page.on("popup", lambda other: self.problems.append(f"window: {other.url}"))
        page.on("crash", lambda _: self.problems.append("crash"))

    def close(self) -> None:
        """Close what was opened."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()


WAIT = """async seconds => {
  const deadline = performance.now() + 1000 * seconds;
  while (!(%s)) {
    if (performance.now() > deadline) throw new Error("this did not come true in time");
    await new Promise(requestAnimationFrame);
  }
}"""


def wait_until(page: Page, condition: str, seconds: float = 20.0) -> None:
    """Wait until a JavaScript expression is true.

    Playwright's own ``wait_for_function`` evaluates in the page, whose policy forbids that.
    """
    page.evaluate(WAIT % condition, seconds)


def layout_shift(page: Page) -> float:
    """Return by how much things have moved without anybody's doing (0: not at all)."""
    # Two frames, so that the observer has been told.
    return float(
        page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame("
            "() => done(window.layoutShift))))"
        )
    )


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(
        page.evaluate(
            "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
        )
    )
