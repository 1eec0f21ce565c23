from __future__ import annotations

import base64
import hashlib
import itertools
import re

import pytest

from hessinf.reporting.comparison_page import comparison_html, comparison_page
from hessinf.reporting.pareto_plot import Point, pareto_front, pareto_plot
from tests.reporting.comparisons import comparison, costs
from tests.reporting.wellformed import Wellformed


def test_it_shows_agreement_quality_and_cost():
    page = Wellformed(comparison_page(comparison(), costs("kfac", "ekfac")))
    for text in ("18 queries against 1,617 training examples, measurement loss, seed 0.",):
        assert text in page.text
    for text in ("−0.25", "undefined", "0.50", "0.420", "[0.370, 0.470]", "+0.0100", "300.0"):
        assert text in page.text
    assert "undefined for up to 18 queries" in page.text
    assert "At most 0.88 can be reached." in page.text
    assert "+0.0770" not in page.text  # that of another alpha than the headline
    names = [tag for tag, _ in page.seen]
    assert names.count("svg") == 2  # beside time, and beside memory
    assert names.count("circle") == 4  # nobody measured what random scores cost


def test_at_a_glance_the_best_comes_first_with_quality_time_and_memory():
    page = comparison_page(comparison(), costs("kfac", "ekfac"))
    table = page[page.index("<h2>At a glance") : page.index("<h2>Quality")]
    cells = re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", table)
    assert cells == [
        *("", "lds", "95 % interval", "time to fit and score, seconds", "peak memory, MiB"),
        *("kfac", "0.420", "[0.370, 0.470]", "2.000", "300.0"),
        *("ekfac", "0.410", "[0.360, 0.460]", "3.000", "300.0"),
    ]


def test_where_less_is_better_the_smallest_is_the_best():
    made = comparison()
    made["evaluation"]["metrics"]["lds"]["higher_is_better"] = False
    page = comparison_page(made, costs("kfac", "ekfac"))
    table = page[page.index("<h2>Quality") : page.index("<h2>Agreement")]
    places = [table.index(f">{name}</th>") for name in ("random", "ekfac", "kfac")]
    assert places == sorted(places)
    assert "(lower is better)" in table
    best = re.findall(r'class="point best"[^>]*><title>(\w+):', page)
    assert best == ["ekfac", "kfac", "ekfac"]  # cheaper or better, then as small and better


def test_files_are_linked():
    files = [("comparison.json", "all numbers"), ("plots/a&b.svg", "figure")]
    page = Wellformed(comparison_page(comparison(), {}, files))
    links = [attributes["href"] for tag, attributes in page.seen if tag == "a"]
    assert links == ["comparison.json", "plots/a&b.svg"]
    assert "<h2>Files" not in comparison_page(comparison(), {})


def test_a_notebook_sees_quality_cost_and_agreement():
    shown = comparison_html(comparison("<b>"), costs("kfac", "<b>"))
    page = Wellformed(shown)
    assert all(text in page.text for text in ("At a glance", "Agreement", "[0.370, 0.470]"))
    assert sum(tag == "table" for tag, _ in page.seen) == 4
    assert "<b>" not in shown
    assert shown.startswith('<div class="hessinf"><style>')


def test_names_above_and_beside_a_matrix_are_short_and_whole_where_one_points():
    name = "a method with a long name, and one more word"
    page = Wellformed(comparison_page(comparison(name), {}))
    shown = [attributes for tag, attributes in page.seen if attributes.get("title") == name]
    assert [attributes["scope"] for attributes in shown] == ["col", "row"] * 3
    assert "a method…re word" in page.text


def test_the_page_holds_what_breaks_files():
    text = comparison_page(comparison("\ud800\x00"), {})
    assert "�␀" in text
    text.encode()


def test_the_rows_are_ranked_by_quality():
    page = comparison_page(comparison(), {})
    table = page[page.index("<h2>Quality") : page.index("<h2>Agreement")]
    places = [table.index(f">{name}</th>") for name in ("kfac", "ekfac", "random")]
    assert places == sorted(places)
    assert '<tr class="baseline"><th scope="row">random' in table


def test_a_column_without_anything_is_left_out():
    made = comparison()
    assert ">damping</th>" in comparison_page(made, {})
    for summary in made["evaluation"]["metrics"]["lds"]["rows"].values():
        summary["damping"] = None
    assert ">damping</th>" not in comparison_page(made, {})


def test_without_ground_truth_there_is_no_quality():
    page = comparison_page(comparison(evaluation=None), costs("kfac", "ekfac"))
    assert "<h2>Quality" not in page
    assert "<svg" not in page
    assert "<h2>Agreement" in page
    assert "<h2>Cost" in page
    assert "Nobody has judged their quality: add a config with an evaluation" in page


def test_what_is_wide_scrolls_by_itself_also_with_the_keyboard():
    page = Wellformed(comparison_page(comparison(), costs("kfac", "ekfac")))
    regions = [attributes for _, attributes in page.seen if attributes.get("class") == "scroll"]
    wide = sum(tag in ("table", "svg") for tag, _ in page.seen)
    assert len(regions) == wide
    assert all(one["tabindex"] == "0" and one["role"] == "region" for one in regions)
    assert all(one["aria-label"] for one in regions)


def test_everything_is_escaped():
    name = '<script>alert("x")</script>&'
    text = comparison_page(comparison(name, warnings=["a < b & c"]), costs("kfac", name))
    assert sum(tag == "script" for tag, _ in Wellformed(text).seen) == 2  # the page's own
    assert "<script>alert" not in text
    assert '<p class="warning">a &lt; b &amp; c</p>' in text


def test_nothing_comes_from_elsewhere():
    text = comparison_page(comparison(), costs("kfac", "ekfac"))
    page = Wellformed(text)
    assert not {"link", "img", "iframe"} & {tag for tag, _ in page.seen}
    assert not any({"src", "href"} & set(attributes) for _, attributes in page.seen)
    policy = next(
        attributes["content"]
        for tag, attributes in page.seen
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "url(" not in text
    assert "@import" not in text


def test_the_same_comparison_gives_the_same_page():
    first, second = (comparison_page(comparison(), costs("kfac", "ekfac")) for _ in range(2))
    assert first == second


class TestFront:
    def test_what_is_dearer_and_no_better_is_not_on_it(self):
        points = [
            Point("cheap", 1, 0.1),
            Point("dominated", 2, 0.05),
            Point("good", 3, 0.4),
            Point("as good, dearer", 4, 0.4),
        ]
        assert [point.name for point in pareto_front(points)] == ["cheap", "good"]

    def test_equal_ones_are_both_on_it(self):
        twins = [Point("one", 1, 0.1), Point("other", 1, 0.1)]
        assert pareto_front(twins) == twins

    def test_nobody_on_it_is_beaten(self):
        points = [Point(f"{c}{q}", c, q) for c, q in itertools.product((1, 2, 5), (0.1, 0.3, 0.2))]
        front = pareto_front(points)
        assert [point.quality for point in front] == [0.3]
        for point in points:
            beaten = any(
                other.cost <= point.cost
                and other.quality >= point.quality
                and (other.cost, other.quality) != (point.cost, point.quality)
                for other in points
            )
            assert beaten == (point not in front)


class TestPlot:
    def numbers(self, svg: str, name: str) -> list[float]:
        return [float(value) for value in re.findall(rf'<circle[^>]* {name}="([\d.]+)"', svg)]

    def test_right_is_dearer_and_up_is_better(self):
        svg = pareto_plot(
            [Point("a", 0.1, 0.2, (0.1, 0.3)), Point("b", 10, 0.4)], cost="s", quality="LDS"
        )
        Wellformed(svg)
        (ax, bx), (ay, by) = self.numbers(svg, "cx"), self.numbers(svg, "cy")
        assert ax < bx
        assert ay > by
        assert svg.count('class="interval"') == 1

    def test_there_is_a_number_on_the_axis_of_costs_however_near_they_are(self):
        svg = pareto_plot([Point("a", 0.151, 0.2), Point("b", 0.169, 0.4)], cost="s", quality="q")
        assert len(re.findall(r'text-anchor="middle">[\d.]+</text>', svg)) >= 2
        ax, bx = self.numbers(svg, "cx")
        assert 10 < bx - ax < 60

    def test_long_names_stay_inside(self):
        points = [Point("kfac", 0.1, 0.1), Point("y" * 40, 10, 0.4), Point("x" * 300, 0.2, 0.3)]
        svg = pareto_plot(points, cost="s", quality="LDS")
        labels = re.findall(r'<text x="([-\d.]+)" y="[\d.]+" dy=".35em">(.*?)</text>', svg)
        assert [text for _, text in labels] == ["kfac", "y" * 40, f"{'x' * 20}…{'x' * 19}"]
        for x, text in labels:
            assert 0 <= float(x) <= float(x) + 7.5 * len(text) <= 760

    def test_one_point_is_enough(self):
        svg = pareto_plot([Point("a", 1, -0.2)], cost="s", quality="LDS")
        assert "a: −0.200, 1 s" in Wellformed(svg).text

    @pytest.mark.parametrize("step", [0, 1e-4, 0.01])
    def test_labels_do_not_lie_on_each_other(self, step):
        points = [Point(f"method-{n}", 1 + n * step, 0.4 + n * step) for n in range(20)]
        svg = pareto_plot(points, cost="s", quality="LDS")
        places = re.findall(r'<text x="([-\d.]+)" y="([\d.]+)" dy=".35em">(.*?)</text>', svg)
        boxes = [(float(x), float(y), 7.5 * len(text)) for x, y, text in places]
        assert len(boxes) == 20
        for (x, y, width), (other_x, other_y, other_width) in itertools.combinations(boxes, 2):
            apart = x + width <= other_x + 0.2 or other_x + other_width <= x + 0.2
            assert apart or abs(y - other_y) >= 14.8

    def test_a_hostile_name_is_text(self):
        svg = pareto_plot([Point("</svg><script>", 1, 0.2)], cost="s", quality="a<b")
        assert {tag for tag, _ in Wellformed(svg).seen} == {
            "svg", "line", "text", "circle", "title",
        }  # fmt: skip
