"""Targets of all kinds, groups, and rows whose names and values are long."""

from __future__ import annotations

from hessinf.reporting.report_page import report_page
from hessinf.reporting.reported_run import ReportedRun
from tests.browser.reports import show
from tests.reporting.made_up_lines import influence, interpretation, ranked


def text_of(page, selector: str) -> str:
    return " ".join(page.locator(selector).inner_text().split())


def binary(place: int, target: float, prediction: int):
    return interpretation(
        place,
        [influence(3, 1.0, target=[1.0])],
        [influence(4, -1.0, target=[0.0])],
        target=[target],
        prediction=prediction,
        display={"target": target},
        probability={"prediction": 0.75, "target": 0.75 if target == prediction else 0.25},
    )


def test_classes_of_one_output_are_classes(pages):
    run = ReportedRun([binary(0, 1.0, 1), binary(1, 0.0, 1)])
    page = pages.open_report(report_page(run))
    page.get_by_label("Wrong only (1)").check()
    assert page.locator("#query-pane li a").count() == 1
    assert "0 → predicted 1 ✗ wrong" in text_of(page, "#query-pane li a")
    show(page, "query/0")
    assert "Target 1 75.0 % Prediction 1 75.0 %" in text_of(page, ".outcome-table")
    assert "label 1" in text_of(page, ".side.helpful")
    assert "label 0" in text_of(page, ".side.harmful")


def test_of_several_labels_one_may_be_wrong(pages):
    lines = [
        interpretation(place, target=[1.0, 0.0, 1.0], prediction=[1, place, 1])
        for place in range(2)
    ]
    page = pages.open_report(report_page(ReportedRun(lines)), "query/1")
    assert page.get_by_label("Wrong only (1)").count() == 1
    assert page.get_by_role("combobox", name="Target").count() == 0
    assert "Target 1, 0, 1 Prediction 1, 1, 1 ✗ wrong" in text_of(page, ".outcome-table")


def test_long_names_and_values_of_a_row_leave_each_other_room(pages):
    row = {
        "comment": "the train was late again, " * 8,
        "a name of many words " + "x" * 60: -3.54321e-10,
        "age": 34,
    }
    line = interpretation(0, [influence(0, 1.0, display={"row": row})], display={"row": row})
    page = pages.open_report(report_page(ReportedRun([line])), "query/0")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        height = page.locator(".row-table dt").nth(2).bounding_box()["height"]
        # One line each: the name of the long value, and the value of the long name.
        for one in ("dt >> nth=0", "dd >> nth=1", "dt >> nth=2"):
            assert page.locator(f".row-table {one}").bounding_box()["height"] < 1.5 * height, one


def test_on_a_phone_compared_numbers_keep_to_a_line(pages):
    row = {"height": -0.0762, "mass of the whole": -3.54e-10, "age": 34}
    entry = influence(0, 1.0, display={"row": {**row, "height": -12.34}})
    document = report_page(ReportedRun([interpretation(0, [entry], display={"row": row})]))
    page = pages.open_report(document, "query/0", width=390)
    cells = page.locator(".compared td:not(.far)")
    heights = [
        cells.nth(place).evaluate(
            "cell => { const range = document.createRange(); range.selectNodeContents(cell);"
            " return range.getBoundingClientRect().height; }"
        )
        for place in range(cells.count())
    ]
    assert len(heights) == 6
    assert max(heights) < 1.5 * min(heights)


def test_an_example_without_anything_to_look_at_says_so(pages):
    row = {"age": 34}
    lines = [
        interpretation(0, [influence(0, 1.0)], display={"label": "cat", "camera": "left"}),
        interpretation(1, display={"row": row}),
    ]
    page = pages.open_report(report_page(ReportedRun(lines)), "query/0")
    sentence = page.get_by_text("There is no image, text or row of it to look at.")
    assert sentence.count() == 1
    assert "camera left" in text_of(page, ".what")
    # What is known of it begins where the title does.
    left = [page.locator(one).bounding_box()["x"] for one in (".view h2", ".outcome")]
    assert left[0] == left[1]
    show(page, "example/0")
    assert sentence.count() == 1
    show(page, "query/1")
    assert sentence.count() == 0


def test_why_suspects_are_ranked_by_loss_is_a_sentence(pages):
    metrics = {"self_influence": {"computed": False, "ranked_by": "loss", "reason": "it costs"}}
    run = ReportedRun([interpretation()], metrics, self_influence=[ranked(0, None)])
    page = pages.open_report(report_page(run), "suspects")
    assert page.get_by_text("Not ranked by self-influence: it costs.", exact=True).count() == 1


def test_groups_stand_below_the_lists(pages):
    groups = [
        {"group": "<b>north</b>", "size": 1200, "score": 2.5, "loss_change_if_removed": 0.125},
        {"group": "south", "size": 3, "score": -5.0, "loss_change_if_removed": -0.25},
    ]
    document = report_page(ReportedRun([{**interpretation(), "groups": groups}]))
    page = pages.open_report(document, "query/0")
    assert text_of(page, ".groups table") == (
        "group examples score loss change if removed "
        "<b>north</b> 1,200 +2.500 +0.125 south 3 −5.000 −0.250"
    )
    bars = page.locator(".groups .fill")
    wide = [bars.nth(place).bounding_box()["width"] for place in range(2)]
    assert abs(wide[1] / wide[0] - 2) < 0.1


def test_without_groups_there_is_no_table_of_them(pages):
    page = pages.open_report(report_page(ReportedRun([interpretation()])), "query/0")
    assert page.locator(".groups").count() == 0
