"""The instruments themselves: each must notice what it is there for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.chromium import ROOT, BrowserMissing, executable
from benchmarks.watched_pages import WatchedPages, layout_shift, overflow
from tests.browser.accessibility import Axe


def page_of(body: str, head: str = "") -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A page</title>'
        f"{head}</head><body><main><h1>A page</h1>{body}</main></body></html>"
    )


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<script>console.error('broken')</script>", "console error: broken"),
        ("<script>console.warn('careful')</script>", "console warning: careful"),
        ("<script>throw new Error('thrown')</script>", "exception: thrown"),
        ("<script>Promise.reject(new Error('late'))</script>", "exception: late"),
        ("<script>alert('hello')</script>", "dialog: alert hello"),
        ("<script>hostile('title')</script>", "console error: hostile code ran: title"),
        ("<img alt='' src='x' onerror='hostile(1)'>", "request: GET file://"),
        ("<script>open('about:blank')</script>", "window: about:blank"),
        (
            "<img alt='' src='http://example.invalid/a.png'>",
            "request: GET http://example.invalid/a.png",
        ),
        (
            "<script>fetch('http://example.invalid/').catch(() => 0)</script>",
            "request: GET http://example.invalid/",
        ),
    ],
)
def test_what_a_page_must_not_do_is_noticed(browser, tmp_path, body, problem):
    pages = WatchedPages(browser, tmp_path)
    page = pages.open(page_of(body))
    page.wait_for_timeout(100)
    pages.close()
    assert any(one.startswith(problem) for one in pages.problems), pages.problems


def test_what_a_policy_refuses_is_noticed(browser, tmp_path):
    pages = WatchedPages(browser, tmp_path)
    policy = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'">"""
    page = pages.open(page_of("<img alt='' src='http://example.invalid/a.png'>", policy))
    page.wait_for_timeout(100)
    pages.close()
    assert any("violates the following Content Security Policy" in one for one in pages.problems)


def test_a_page_that_does_nothing_wrong_gives_no_problem(pages):
    page = pages.open(page_of("<img alt='' src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"))
    assert page.title() == "A page"
    assert layout_shift(page) == 0
    assert overflow(page) == 0


def test_things_that_move_by_themselves_are_noticed(pages):
    page = pages.open(page_of("<div id=late></div><p style='height: 400px'>Text</p>"))
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => {"
        "document.getElementById('late').style.height = '300px'; done(); }, 50)))"
    )
    assert layout_shift(page) > 0.1


def test_a_page_wider_than_its_window_is_noticed(pages):
    page = pages.open(page_of("<p style='width: 500px'>Text</p>"), width=390)
    assert overflow(page) > 100


def test_the_theme_and_the_width_are_those_asked_for(pages):
    page = pages.open(page_of(""), theme="dark", width=390)
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert page.evaluate("innerWidth") == 390


def test_axe_tells_a_bad_page_from_a_good_one(pages, axe: Axe):
    assert axe.violations(pages.open(page_of("<p>Text</p>"))) == []
    body = "<img src='data:,'><p style='color: #ccc; background: #fff'>Text</p>"
    found = axe.violations(pages.open(page_of(body)))
    assert [line.split(":")[0] for line in found] == [
        "critical image-alt",
        "serious color-contrast",
    ]


def test_a_browser_that_is_not_there_is_said(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("HESSINF_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(BrowserMissing, match=r"^HESSINF_CHROMIUM is /nowhere/chromium, which is"):
        executable()
    monkeypatch.delenv("HESSINF_CHROMIUM")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        BrowserMissing, match=r"^none of chromium-headless-shell, .* sh \.ci/browser installs one$"
    ):
        executable()


def test_a_browser_that_does_not_start_says_why_in_a_line(browser, tmp_path: Path):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    program.chmod(0o755)
    source = "from benchmarks.chromium import *\nwith started(): pass"
    command = [sys.executable, "-c", source]
    environment = {**os.environ, "HESSINF_CHROMIUM": str(program), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith(f"{program} does not start: no such library")
