"""The built site: it builds without a warning, its links lead somewhere, it needs no network."""

from __future__ import annotations

import html.parser
import os
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import hessinf
from hessinf.commands.catalogues import all_catalogues
from hessinf.commands.main import build_parser
from hessinf.commands.run_config import RunConfig
from hessinf.registry.describe import describe
from tests.docs.blocks import PAGES
from tests.docs.building import build_site

pytest.importorskip("material", reason="the site is built with mkdocs-material (extra docs)")

LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}
"""What a browser fetches by itself, beside style sheets and icons."""


@dataclass
class Page:
    """What a page of the site refers to, and the places that it has."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)


class Reader(html.parser.HTMLParser):
    """Collects a page's links, what it loads, and its anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.page.anchors.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.page.links.append(given["href"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preconnect", "preload"):
            self.page.loads.append(given["href"])
        if tag in LOADING and LOADING[tag] in given:
            self.page.loads.append(given[LOADING[tag]])
        self.page.loads += re.findall(r"url\(([^)]*)\)", given.get("style", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """All pages of the site, by their paths in it."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        reader = Reader()
        reader.feed(path.read_text(encoding="utf-8"))
        found[str(path.relative_to(site))] = reader.page
    return found


def is_foreign(address: str) -> bool:
    return bool(re.match(r"(?:[a-z]+:)?//", address))


def target(page: str, link: str) -> tuple[str, str]:
    """The path in the site that a link leads to, and the place in it."""
    path, _, place = urllib.parse.unquote(link).partition("#")
    folder = Path(page).parent
    return os.path.normpath(folder / path) if path else page, place


def inner_links(pages: dict[str, Page]) -> Iterator[tuple[str, str, str]]:
    for name, page in pages.items():
        if name == "404.html":  # served for any address: its links begin at the root
            continue
        for link in page.links:
            if not is_foreign(link) and not link.startswith(("mailto:", "javascript:")):
                yield (name, *target(name, link))


def test_every_page_is_built(pages: dict[str, Page]) -> None:
    assert {page.removesuffix(".md") + ".html" for page in PAGES} <= pages.keys()


def test_links_lead_to_files(site: Path, pages: dict[str, Page]) -> None:
    broken = [
        f"{name} -> {path}" for name, path, _ in inner_links(pages) if not (site / path).exists()
    ]
    assert broken == []


def test_anchors_exist(pages: dict[str, Page]) -> None:
    broken = [
        f"{name} -> {path}#{place}"
        for name, path, place in inner_links(pages)
        if place and path in pages and place not in pages[path].anchors
    ]
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    foreign = [
        f"{name}: {address}"
        for name, page in pages.items()
        for address in page.loads
        if is_foreign(address)
    ]
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        addresses = re.findall(r"(?:url\(|@import )['\"]?([^'\")]+)", text)
        foreign += [f"{style.name}: {one}" for one in addresses if is_foreign(one)]
    assert foreign == []
    assert all(page.loads for page in pages.values())


def test_what_is_loaded_is_there(site: Path, pages: dict[str, Page]) -> None:
    missing = [
        f"{name}: {address}"
        for name, page in pages.items()
        for address in page.loads
        if name != "404.html"
        and not address.startswith("data:")
        and not (site / target(name, address.partition("?")[0])[0]).is_file()
    ]
    assert missing == []


def test_every_registered_name_and_argument_has_a_place(pages: dict[str, Page]) -> None:
    expected = set()
    for title, base in all_catalogues().items():
        if title == "Subcommand":
            continue
        page = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", title).lower()
        for entry in base.catalogue.entries.values():
            if entry.target.__module__.startswith("hessinf."):
                expected.add((page, entry.name, ""))
                for argument in describe(base.catalogue, entry).arguments:
                    expected.add((page, entry.name, argument.name))
    assert len(expected) > 400
    missing = [
        f"{page}: {name}.{argument}".rstrip(".")
        for page, name, argument in sorted(expected)
        if not {f"{name}.{argument}".rstrip("."), f"all.{argument}"}
        & pages[f"reference/config/{page}.html"].anchors
    ]
    assert missing == []


def test_every_key_of_a_config_has_a_place(pages: dict[str, Page]) -> None:
    anchors = pages["reference/config/index.html"].anchors
    assert RunConfig.__dataclass_fields__.keys() - anchors == set()


def test_every_command_and_option_has_a_place(pages: dict[str, Page]) -> None:
    anchors = pages["reference/commands.html"].anchors
    parser = build_parser()
    common = {option for action in parser._actions for option in action.option_strings}
    wanted = set(parser.commands) | {
        f"{name}.{action.option_strings[-1].lstrip('-')}"
        for name, command in parser.commands.items()
        for action in command._actions
        if action.option_strings and not common & set(action.option_strings)
    }
    assert wanted - anchors == set()


def test_every_public_name_is_documented(pages: dict[str, Page]) -> None:
    anchors = {
        anchor
        for name, page in pages.items()
        if name.startswith("reference/python/")
        for anchor in page.anchors
    }
    assert {f"hessinf.{name}" for name in hessinf.__all__} - anchors == set()


def test_search_works_without_a_server(site: Path) -> None:
    """The index lies there as a script too, which a page that is opened from disk can load."""
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert index.startswith("var __index = {")
    assert "simple-influence" in index
    assert "IFrameWorker" in (site / "javascripts" / "iframe-worker.js").read_text(encoding="utf-8")
