"""Going through a report: from a query to its training examples, to other queries, and back."""

from __future__ import annotations

import dataclasses
import re

import pytest

from benchmarks.synthetic_runs import SyntheticRun, image_run, table_run, text_run
from benchmarks.watched_pages import READY, wait_until
from tests.browser.reports import report_of, show


@pytest.fixture(scope="module")
def run() -> SyntheticRun:
    return image_run(60, 120, (8, 8))


def heading(page) -> str:
    page.wait_for_selector(READY, state="attached")
    return page.locator("main h2").inner_text()


def settled(page, text: str) -> None:
    page.locator("main h2").filter(has_text=re.compile(f"{re.escape(text)}$")).wait_for()
    page.wait_for_selector(READY, state="attached")


def ids(page, side: str) -> list[str]:
    return page.locator(f".side.{side} .card-head .id").all_inner_texts()


def test_a_query_shows_both_lists_of_the_run(page, run):
    show(page, "query/4")
    line = run.interpretations[4]
    assert heading(page) == f"Query {line['query']['id']}"
    for side in ("helpful", "harmful"):
        assert ids(page, side) == [one["id"] for one in line[side]]
        shown = page.locator(f".side.{side} .score .number").all_inner_texts()
        assert [text[0] for text in shown] == (["+"] if side == "helpful" else ["−"]) * len(shown)


def test_bars_of_both_sides_have_one_scale(page, run):
    show(page, "query/4")
    line = run.interpretations[4]
    scores = [one["score"] for side in ("helpful", "harmful") for one in line[side]]
    largest = max(map(abs, scores))
    widths = page.locator(".side .bar").evaluate_all(
        "bars => bars.map(bar => bar.firstElementChild.getBoundingClientRect().width"
        " / bar.getBoundingClientRect().width)"
    )
    assert widths == pytest.approx([abs(score) / largest for score in scores], abs=0.01)


def test_a_training_example_leads_to_every_query_that_it_helps_or_harms(page, run):
    show(page, "query/4")
    chosen = run.interpretations[4]["helpful"][0]["id"]
    page.locator(".side.helpful .card-head a").first.click()
    settled(page, chosen)
    for side, title in (("helpful", "Helps"), ("harmful", "Harms")):
        found = {
            line["query"]["id"]: one["score"]
            for line in run.interpretations
            for one in line[side]
            if one["id"] == chosen
        }
        expected = sorted(found, key=lambda name: -abs(found[name]))
        shown = page.locator(f".side.{side} .affected .id").all_inner_texts()
        assert shown == expected
        some = f"{len(expected)} quer{'y' if len(expected) == 1 else 'ies'}"
        counted = some if expected else "none of the queries"
        assert page.locator(f".side.{side} h3").inner_text().endswith(f"{title} {counted}")
    page.locator(".affected a").first.click()
    page.locator("main h2", has_text="Query").wait_for()


def test_back_and_forward_go_through_what_was_seen(page, run):
    query, example = run.interpretations[4]["query"]["id"], run.interpretations[4]["helpful"][2]
    show(page, "query/4")
    page.locator(".side.helpful .card-head a").nth(2).click()
    settled(page, example["id"])
    page.go_back()
    settled(page, query)
    page.go_forward()
    settled(page, example["id"])


def test_going_back_returns_to_where_one_was(page, run):
    show(page, "query/4")
    last = page.locator(".side.helpful .card-head a").last
    last.scroll_into_view_if_needed()
    wait_until(page, "scrollY > 100")
    before = page.evaluate("scrollY")
    last.click()
    settled(page, run.interpretations[4]["helpful"][-1]["id"])
    assert page.evaluate("scrollY") == 0
    page.go_back()
    settled(page, run.interpretations[4]["query"]["id"])
    assert page.evaluate("scrollY") == before


def test_an_address_opens_the_same_view_in_another_window(pages, page, document, run):
    show(page, "query/9?wrong=1&sort=loss")
    again = pages.open_report(document, page.url.partition("#")[2])
    assert heading(again) == heading(page) == f"Query {run.interpretations[9]['query']['id']}"
    assert again.locator("input[name=wrong]").is_checked()
    assert again.locator("[aria-current=true] .id").inner_text() in heading(again)


def test_the_view_that_is_shown_is_marked_and_names_the_window(page, run):
    views = page.get_by_role("navigation", name="Views")
    for route, name in (("suspects", "Suspects"), ("about", "About"), ("query/0", "Queries")):
        show(page, route)
        assert views.locator("[aria-current=page]").all_inner_texts() == [name]
    assert page.title().startswith(f"Query {run.interpretations[0]['query']['id']} · ")


def test_keys_go_from_query_to_query_and_stop_at_the_ends(page, run):
    names = [line["query"]["id"] for line in run.interpretations]
    page.keyboard.press("j")
    settled(page, names[0])
    page.keyboard.press("k")
    page.keyboard.press("ArrowRight")
    settled(page, names[1])
    page.keyboard.press("ArrowLeft")
    settled(page, names[0])
    show(page, "query/58")
    page.keyboard.press("j")
    page.keyboard.press("j")
    settled(page, names[59])
    assert page.get_by_label("Next query").get_attribute("aria-disabled") == "true"


def test_escape_leads_back_from_an_example_to_its_query_and_from_there_to_the_list(page, run):
    show(page, "query/4")
    page.locator(".side.harmful .card-head a").first.click()
    settled(page, run.interpretations[4]["harmful"][0]["id"])
    page.keyboard.press("Escape")
    settled(page, run.interpretations[4]["query"]["id"])
    page.keyboard.press("Escape")
    wait_until(page, "document.activeElement.matches('#query-pane li a')")
    assert page.url.endswith("#queries")


def test_keys_of_a_single_letter_can_be_switched_off(page):
    page.keyboard.press("?")
    page.get_by_label("Use keys of a single letter").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("j")
    page.keyboard.press("?")
    assert heading(page) == "About this run"
    assert page.get_by_role("dialog").count() == 0
    page.keyboard.press("ArrowRight")
    page.locator("main h2", has_text="Query").wait_for()


def test_keys_are_letters_where_one_writes(page):
    page.get_by_role("searchbox").press_sequentially("jk/?")
    assert page.get_by_role("searchbox").input_value() == "jk/?"
    assert heading(page) == "About this run"


def test_a_phone_shows_the_list_or_the_view(pages, document, run):
    page = pages.open_report(document, width=390)
    assert not page.locator("#view").is_visible()
    page.locator("#query-pane li a").first.click()
    settled(page, run.interpretations[0]["query"]["id"])
    assert not page.locator("#query-pane").is_visible()
    page.get_by_role("link", name="← Queries").click()
    page.locator("#query-pane").wait_for()
    assert not page.locator("#view").is_visible()


def test_on_a_phone_the_search_is_one_key_away_from_a_query(pages, document):
    page = pages.open_report(document, "query/4", width=390)
    page.keyboard.press("/")
    wait_until(page, "document.activeElement.type === 'search'")
    page.keyboard.type("test/5")
    assert page.get_by_role("status").inner_text() == "11 of 60 queries"


@pytest.mark.parametrize(
    ("route", "sentence"),
    [
        ("query/60", "There is no query 60 in this file: it has 60 queries, numbered from 0."),
        ("example/7000", "There is no training example 7000 in this file: it has "),
    ],
)
def test_what_is_not_there_is_said(pages, document, route, sentence):
    page = pages.open_report(document, route)
    assert heading(page) == "Not found"
    assert page.locator("main article p").inner_text().startswith(sentence)


PIXELS = """canvas => [canvas.width, canvas.height, getComputedStyle(canvas).imageRendering,
  ...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]"""


def test_images_are_drawn_pixel_by_pixel(page, run):
    show(page, "query/4")
    width, height, rendering, *colors = page.locator(".what canvas").evaluate(PIXELS)
    assert (width, height, rendering) == (8, 8, "pixelated")
    drawn = [colors[place : place + 4] for place in range(0, len(colors), 4)]
    assert all(red == green == blue and alpha == 255 for red, green, blue, alpha in drawn)
    values = [value for row in run.interpretations[4]["query"]["display"]["image"] for value in row]
    order = sorted(range(64), key=lambda place: values[place])
    reds = [drawn[place][0] for place in order]
    assert reds == sorted(reds)
    assert len(set(reds)) > 3


def test_a_row_is_compared_with_that_of_the_query(pages):
    made = table_run(4, 30, [f"column {place}" for place in range(12)])
    page = pages.open_report(report_of(made), "query/0")
    card = page.locator(".side.helpful .card").first
    assert card.locator("tbody tr").count() == 6
    card.locator("summary").click()
    rows = card.locator("details tbody tr")
    rows.last.wait_for()  # the table is made when it is opened
    assert rows.count() == 12
    values = made.interpretations[0]["helpful"][0]["display"]["row"]
    assert rows.locator("th").all_inner_texts() == list(values)
    queried = page.locator(".what .row-table dd").all_inner_texts()
    assert rows.locator("td:nth-child(3)").all_inner_texts() == queried
    spoken = rows.locator("td:last-child .hidden").all_text_contents()
    assert all(
        re.fullmatch(r"alike|(higher|lower) by \S+ standard deviations", text) for text in spoken
    )


def test_tokens_are_shaded_by_their_part_of_the_score(pages):
    made = text_run(4, 30)
    first = made.interpretations[0]["helpful"][0]
    tokens = first["display"]["tokens"]
    first["token_influence"] = [0.5, -0.25, *[0.0] * (len(tokens) - 2)]
    page = pages.open_report(report_of(made), "query/0")
    card = page.locator(".side.helpful .card").first
    assert card.locator(".text").inner_text() == first["display"]["text"]
    shades = card.locator(".token").evaluate_all(
        "all => all.map(one => [one.textContent, one.className, one.title,"
        " one.style.getPropertyValue('--share')])"
    )
    assert shades == [
        [tokens[0], "token helpful", "+0.500", "100%"],
        [tokens[1], "token harmful", "−0.250", "50%"],
    ]
    card.get_by_text("Token influence in numbers").click()
    assert card.locator("tbody tr").first.inner_text().split("\t") == [tokens[0], "+0.500"]


def test_suspects_lead_to_the_example_and_say_how_many_were_changed(page, run):
    show(page, "suspects")
    first = [line["display"].get("flipped_from") for line in run.self_influence[:20]]
    changed = sum(before is not None for before in first)
    assert 0 < changed < 20
    sentence = f"{changed} of the first 20 were changed on purpose."
    assert page.locator(".precision strong").inner_text() == sentence
    page.locator(".suspect").nth(2).click()
    settled(page, run.self_influence[2]["id"])
    assert "3 of the list" in page.locator(".outcome").inner_text()


def test_a_run_of_self_influence_alone_begins_with_its_ranking(pages, run):
    alone = dataclasses.replace(run, interpretations=[])
    page = pages.open_report(report_of(alone))
    assert heading(page) == "Suspected mislabelled examples"
    assert page.locator("#query-pane").count() == 0
    page.keyboard.press("j")
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    assert heading(page) == "Suspected mislabelled examples"


def test_a_browser_that_cannot_unpack_says_so(pages, document):
    page = pages.open_report(document, script="delete window.DecompressionStream;")
    assert page.get_by_role("alert").inner_text() == (
        "This browser cannot unpack the data in this page (it has no DecompressionStream). "
        "Chrome and Edge 80, Safari 16.4, Firefox 113 and later can."
    )
    assert page.get_by_text("About this run").is_visible()


def test_a_file_that_was_cut_says_so(pages, document):
    cut, removed = re.subn(r'<script[^>]* id="segment-queries-0".*?</script>', "", document)
    assert removed == 1
    page = pages.open_report(cut, "query/0")
    assert page.get_by_role("alert").locator("p").inner_text() == (
        'This file is not whole: its part "queries-0" is missing. Copy it again, or write it '
        "again with: hessinf report DIRECTORY"
    )


def test_a_part_that_is_damaged_says_so(pages, document):
    damaged = re.sub(
        r'( id="segment-queries-0"[^>]*>)[^<]{40}', lambda found: f"{found[1]}{'A' * 40}", document
    )
    assert damaged != document
    page = pages.open_report(damaged, "query/0")
    said = page.get_by_role("alert").locator("p").inner_text()
    assert said.startswith('This file is damaged: its part "queries-0" cannot be unpacked (')
    assert said.endswith("write it again with: hessinf report DIRECTORY")
