from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

import pytest

from hessinf.reporting.comparison_page import comparison_page
from hessinf.reporting.page_style import COLORS
from hessinf.reporting.pareto_plot import Point, pareto_front, pareto_plot

VOID = {"meta", "line", "polyline"}


class Wellformed(HTMLParser):
    """Collects elements, and fails where one is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def comparison(name: str = "ekfac", **changes):
    rows = ["kfac", name]
    return {
        "queries": 18,
        "training_examples": 1617,
        "measurement": {"type": "loss"},
        "seed": 0,
        "rows": [
            {"name": row, "from": f"{row}.jsonnet", "interpreter": {"type": row, "damping": 0.1}}
            for row in rows
        ],
        "agreement": {
            "names": rows,
            "spearman": [[1.0, -0.25], [-0.25, None]],
            "undefined": [[0, 3], [3, 18]],
            "top_k": 10,
            "top_k_helpful": [[1.0, 0.5], [0.5, 1.0]],
            "top_k_harmful": [[1.0, 0.4], [0.4, 1.0]],
            "top_k_by_chance": 10 / 1617,
        },
        "evaluation": {
            "metrics": {
                "lds": {
                    "higher_is_better": True,
                    "columns": [["damping", "damping"], ["missing", "undefined"]],
                    "truth": {"alpha": 0.5},
                    "rows": {
                        row: {
                            "value": value,
                            "interval": [value - 0.05, value + 0.05],
                            "missing": 0,
                            "damping": None if row == "random" else 0.001,
                        }
                        for row, value in (("random", -0.01), ("kfac", 0.42), (name, 0.41))
                    },
                    "comparisons": [
                        {
                            "better": "kfac",
                            "worse": name,
                            "difference": difference,
                            "interval": [-0.01, 0.03],
                            "alpha": alpha,
                        }
                        for alpha, difference in ((0.5, 0.01), (0.9, 0.077))
                    ],
                    "notes": ["At most 0.88 can be reached."],
                }
            }
        },
        "warnings": [],
        **changes,
    }


def costs(*names: str):
    return {
        name: {
            "fit": {"seconds": 1.5 + place, "cpu_seconds": 1.25},
            "score": {"seconds": 0.5, "cpu_seconds": 0.5},
            "peak_memory_bytes": 300 * 2**20,
        }
        for place, name in enumerate(names)
    }


def test_it_shows_agreement_quality_and_cost():
    page = Wellformed(comparison_page(comparison(), costs("kfac", "ekfac")))
    for text in ("18 queries against 1,617 training examples, measurement loss, seed 0.",):
        assert text in page.text
    for text in ("-0.25", "undefined", "0.50", "0.420", "[0.370, 0.470]", "+0.010", "300"):
        assert text in page.text
    assert "undefined for up to 18 queries" in page.text
    assert "At most 0.88 can be reached." in page.text
    assert "+0.077" not in page.text  # that of another alpha than the headline
    names = [tag for tag, _ in page.seen]
    assert names.count("svg") == 1
    assert names.count("circle") == 2  # nobody measured what random scores cost


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


def test_what_is_wide_scrolls_by_itself():
    page = comparison_page(comparison(), costs("kfac", "ekfac"))
    assert page.count("<svg") == page.count('<div class="scroll">\n<svg') == 1
    assert "p, h2, summary, th[scope=row] { overflow-wrap: anywhere; }" in page


def test_everything_is_escaped():
    name = '<script>alert("x")</script>&'
    text = comparison_page(comparison(name, warnings=["a < b & c"]), costs("kfac", name))
    assert "script" not in {tag for tag, _ in Wellformed(text).seen}
    assert "<script" not in text
    assert '<p class="warning">a &lt; b &amp; c</p>' in text


def test_nothing_comes_from_elsewhere():
    text = comparison_page(comparison(), costs("kfac", "ekfac"))
    page = Wellformed(text)
    assert not {"link", "script", "img", "iframe"} & {tag for tag, _ in page.seen}
    assert not any({"src", "href"} & set(attributes) for _, attributes in page.seen)
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_the_same_comparison_gives_the_same_page():
    first, second = (comparison_page(comparison(), costs("kfac", "ekfac")) for _ in range(2))
    assert first == second


def luminance(color: tuple[float, float, float]) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def parts(color: str) -> tuple[float, ...]:
    return tuple(int(pair, 16) / 255 for pair in re.findall("..", color.removeprefix("#")))


def contrast(one, other) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", COLORS)
class TestColors:
    """WCAG 2.1, level AA: 4.5 for text, 3 for what is drawn."""

    @pytest.mark.parametrize("text", ["text", "quiet", "accent", "warning"])
    def test_text_is_legible_on_paper(self, theme, text):
        assert contrast(parts(COLORS[theme][text]), parts(COLORS[theme]["paper"])) >= 4.5

    @pytest.mark.parametrize("fill", ["agree", "disagree"])
    def test_numbers_are_legible_in_every_cell(self, theme, fill):
        full, paper = parts(COLORS[theme][fill]), parts(COLORS[theme]["paper"])
        for share in (0, 0.25, 0.5, 0.75, 1):
            mixed = [
                share * one + (1 - share) * other for one, other in zip(full, paper, strict=True)
            ]
            assert contrast(parts(COLORS[theme]["text"]), mixed) >= 4.5

    def test_both_themes_have_the_same_colors(self, theme):
        assert COLORS[theme].keys() == COLORS["light"].keys()


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
        long, longest = "ekfac (relative-damping-of-the-mean)", "x" * 300
        points = [Point("kfac", 0.1, 0.1), Point(long, 10, 0.4), Point(longest, 0.2, 0.3)]
        svg = pareto_plot(points, cost="s", quality="LDS")
        labels = re.findall(
            r'<text x="([\d.]+)" y="[\d.]+" dy=".35em"( text-anchor="end")?>(.*?)</text>', svg
        )
        assert [(end != "", text) for _, end, text in labels[:2]] == [(False, "kfac"), (True, long)]
        assert labels[2][2].endswith("x…")
        for x, end, text in labels:
            width = 7.5 * len(text)
            first = float(x) - width if end else float(x)
            assert 0 <= first <= first + width <= 760

    def test_one_point_is_enough(self):
        Wellformed(pareto_plot([Point("a", 1, 0.2)], cost="s", quality="LDS"))

    def test_labels_do_not_lie_on_each_other(self):
        points = [Point(str(n), 1 + n, 0.4 + n * 1e-4) for n in range(6)]
        svg = pareto_plot(points, cost="s", quality="LDS")
        heights = sorted(
            float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)" dy=".35em">', svg)
        )
        assert len(heights) == 6
        assert min(b - a for a, b in itertools.pairwise(heights)) >= 14.9
