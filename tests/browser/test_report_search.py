"""Search, filters and order of the list of queries."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.synthetic_runs import SyntheticRun, image_run, text_run
from benchmarks.watched_pages import wait_until
from tests.browser.reports import report_of, show


@pytest.fixture(scope="module")
def run() -> SyntheticRun:
    return image_run(90, 200, (8, 8))


def queries(run: SyntheticRun) -> list[dict[str, Any]]:
    return [line["query"] for line in run.interpretations]


def wrong(query: dict[str, Any]) -> bool:
    return query["prediction"] != query["target"]


ROWS = """pane => [...pane.querySelectorAll("li")].map(row => [
  row.ariaPosInSet, row.ariaSetSize, /query\\/(\\d+)/.exec(row.querySelector("a").href)[1]
].map(Number))"""


def listed(page) -> list[int]:
    """The places of all queries in the list, in its order: it is scrolled through to its end."""
    places: dict[int, int] = {}
    size = 1
    rows = page.locator("#query-pane .virtual")
    rows.evaluate("one => { one.scrollTop = 0; }")
    while len(places) < size:
        page.locator(f"#query-pane li[aria-posinset='{len(places) + 1}']").wait_for()
        seen = rows.evaluate(ROWS)
        size = seen[0][1]
        places |= {position: place for position, _, place in seen}
        rows.evaluate("one => { one.scrollTop += 300; }")
    return [places[position] for position in sorted(places)]


def chosen(run: SyntheticRun, condition: Callable[[dict[str, Any]], object]) -> list[int]:
    return [query["index"] for query in queries(run) if condition(query)]


def status(page) -> str:
    return page.get_by_role("status").inner_text()


def test_at_first_all_are_listed_in_the_order_of_the_file(page, run):
    assert status(page) == "90 queries"
    assert listed(page) == list(range(90))


def test_a_search_finds_ids(page, run):
    page.get_by_role("searchbox").fill("TEST/8")
    expected = chosen(run, lambda query: "test/8" in query["id"])
    assert len(expected) == 11
    assert status(page) == f"{len(expected)} of 90 queries"
    assert listed(page) == expected


def test_a_search_for_several_words_finds_what_has_them_all(pages):
    made = text_run(60, 80)
    page = pages.open_report(report_of(made))
    page.get_by_role("searchbox").fill("dull  Music")
    expected = chosen(made, lambda query: {"dull", "music"} <= set(query["display"]["tokens"]))
    assert 0 < len(expected) < 30
    assert listed(page) == expected


def test_a_search_without_a_hit_says_so_and_can_be_cleared(page):
    page.get_by_role("searchbox").fill("nothing of the kind")
    assert status(page) == "0 of 90 queries"
    assert page.locator("#query-pane li").count() == 0
    page.get_by_role("button", name="Clear").click()
    assert status(page) == "90 queries"
    assert page.get_by_role("searchbox").input_value() == ""


def test_wrong_predictions_alone(page, run):
    expected = chosen(run, wrong)
    page.get_by_label(f"Wrong only ({len(expected)})").check()
    assert listed(page) == expected


def test_filters_hold_together(page, run):
    page.get_by_role("combobox", name="Target").select_option("3")
    page.get_by_role("textbox", name="Largest loss").fill("0.4")
    expected = chosen(run, lambda query: query["target"] == 3 and query["loss"] <= 0.4)
    assert 0 < len(expected) < 90
    assert listed(page) == expected
    page.get_by_role("combobox", name="Predicted").select_option("4")
    assert status(page) == "0 of 90 queries"


def test_a_bound_that_is_no_number_filters_nothing_and_is_marked(page):
    field = page.get_by_role("textbox", name="Smallest loss")
    field.fill("much")
    assert status(page) == "90 queries"
    assert field.get_attribute("aria-invalid") == "true"
    field.fill("1e-3")
    assert field.get_attribute("aria-invalid") is None


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("loss", lambda query: -query["loss"]),
        ("smallest-loss", lambda query: query["loss"]),
        ("sure", lambda query: -query["probability"]["prediction"]),
        ("unsure", lambda query: query["probability"]["prediction"]),
    ],
)
def test_the_list_is_sorted(page, run, order, key):
    page.get_by_role("combobox", name="Sort").select_option(order)
    assert listed(page) == [query["index"] for query in sorted(queries(run), key=key)]


def test_the_address_holds_the_choices_and_opens_them_again(page, pages, document, run):
    page.get_by_label("Wrong only").check()
    page.get_by_role("combobox", name="Sort").select_option("loss")
    page.get_by_role("searchbox").fill("test")
    places = listed(page)
    assert 0 < len(places) < 90
    route = page.url.partition("#")[2]
    again = pages.open_report(document, route)
    assert listed(again) == places
    assert again.get_by_label("Wrong only").is_checked()
    assert again.get_by_role("searchbox").input_value() == "test"

    show(again, "queries")
    assert status(again) == "90 queries"
    again.go_back()
    wait_until(again, "document.querySelector('#query-pane [type=checkbox]').checked")
    assert listed(again) == places


def test_next_and_previous_go_through_what_is_listed(page, run):
    page.get_by_label("Wrong only").check()
    expected = [query["id"] for query in queries(run) if wrong(query)]
    page.locator("#query-pane li a").first.click()
    heading = page.locator("main h2")
    for name in expected[:4]:
        heading.filter(has_text=re.compile(f"{name}$")).wait_for()
        page.get_by_role("link", name="Next query").click()
    page.get_by_role("link", name="Previous query").click()
    heading.filter(has_text=re.compile(f"{expected[3]}$")).wait_for()


def test_a_list_of_numbers_has_no_labels_to_filter_by(pages):
    made = image_run(20, 60, (8, 8))
    made.metrics["label_names"] = None
    for line in made.interpretations:
        line["query"].update(target=line["query"]["loss"] * 10, prediction=1.5)
        del line["query"]["probability"]
        for one in (line["query"], *line["helpful"], *line["harmful"]):
            one["display"] = {"image": one["display"]["image"], "target": 1.5}
            one["target"] = 1.5
    made.config["objective"] = {"type": "mean-squared-error"}
    page = pages.open_report(report_of(made))
    assert page.get_by_role("combobox", name="Target").count() == 0
    assert page.get_by_label("Wrong only").count() == 0
    assert page.get_by_role("combobox", name="Sort").locator("option[value=sure]").count() == 0
    page.get_by_role("combobox", name="Sort").select_option("loss")
    assert len(listed(page)) == 20
