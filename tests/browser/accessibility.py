"""What axe-core says of a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMPACTS = ("minor", "moderate", "serious", "critical")

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


class Axe:
    """Runs axe-core in a page.

    Parameters
    ----------
    script
        Its minified file.
    """

    def __init__(self, script: Path) -> None:
        self._source = script.read_text(encoding="utf-8")

    def violations(self, page: Page, *, tags: Sequence[str] = TAGS) -> list[str]:
        """Return a line for each violation: impact, rule, what it is about, the first elements."""
        # evaluate() is not bound by the page's own policy about scripts.
        if not page.evaluate("typeof window.axe === 'object'"):
            page.evaluate(self._source)
        found = page.evaluate(
            # Style sheets are not fetched a second time: from file:// that is refused.
            "tags => window.axe.run(document, {runOnly: tags, preload: false,"
            " resultTypes: ['violations']})"
            ".then(result => result.violations)",
            list(tags),
        )
        return [
            f"{one['impact']} {one['id']}: {one['help']}; "
            + json.dumps([_summary(node) for node in one["nodes"][:3]], ensure_ascii=False)
            for one in sorted(found, key=lambda one: -IMPACTS.index(one["impact"]))
        ]

    def check(self, page: Page) -> None:
        """Fail where there is any violation."""
        found = self.violations(page)
        assert not found, "\n".join([f"{page.url}, {page.viewport_size}:", *found])


def _summary(node: dict[str, object]) -> str:
    return f"{node['target']} {str(node['html'])[:160]} {node['failureSummary']}"
