from __future__ import annotations

import math
import re

import pytest

from hessinf.reporting.report_plots import ranking_plot, score_plot, spectrum_plot
from hessinf.reporting.score_counts import ScoreCounts
from tests.reporting.made_up_lines import block, scores
from tests.reporting.wellformed import Wellformed


def counted(*queries):
    counts = ScoreCounts()
    for one in queries:
        counts.add(one)
    return counts


def elements(svg, tag, **attributes):
    found = Wellformed(svg).seen
    return [
        shown
        for name, shown in found
        if name == tag and all(shown.get(key) == value for key, value in attributes.items())
    ]


def columns(svg, kind):
    return elements(svg, "rect", **{"class": f"column {kind}"})


def points(curve):
    return [tuple(map(float, pair.split(","))) for pair in curve["points"].split()]


class TestScoreCounts:
    def test_counts_of_queries_are_added_up(self):
        counts = counted(
            scores(positive={"-2": 3}, zero=1), None, {}, scores(positive={"-2": 1, "4": 2})
        )
        assert counts.bins == {"negative": {}, "positive": {-2: 4, 4: 2}}
        assert (counts.zeros, counts.queries, counts.total) == (1, 2, 7)

    def test_an_earlier_version_may_leave_a_side_out(self):
        assert counted({"histogram": {"positive": {"0": 2}}}).total == 2


class TestScores:
    def test_each_bin_is_a_column_as_high_as_its_count(self):
        svg = score_plot(counted(scores(positive={"-2": 10, "-1": 5}, negative={"-1": 20})))
        helpful, harmful = columns(svg, "helpful"), columns(svg, "harmful")
        heights = [float(one["height"]) for one in (*helpful, *harmful)]
        assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)
        assert heights[2] == pytest.approx(4 * heights[1], abs=0.3)
        assert float(helpful[0]["x"]) < float(helpful[1]["x"])
        assert float(harmful[0]["x"]) < float(helpful[0]["x"])
        assert "5 scores of 0.707 to 1.000, helpful" in Wellformed(svg).text

    def test_the_sides_are_mirrored(self):
        svg = score_plot(counted(scores(positive={"0": 1, "3": 1}, negative={"0": 1, "3": 1})))
        middles = [
            float(one["x"]) + float(one["width"]) / 2
            for kind in ("helpful", "harmful")
            for one in columns(svg, kind)
        ]
        right, farther, left, far_left = middles
        assert right + left == pytest.approx(farther + far_left, abs=0.6)

    def test_what_is_small_stands_in_the_middle(self):
        svg = score_plot(counted(scores(positive={"0": 2, "-90": 7}, negative={"-70": 1}, zero=4)))
        assert len(columns(svg, "small")) == 1
        text = Wellformed(svg).text
        assert "12 scores closer to 0 than 8.43e-8" in text
        assert "12 near 0" in text  # it is cut: it would leave no room for the others
        assert len(columns(svg, "helpful")) == 1

    def test_where_nothing_is_small_there_is_no_middle(self):
        svg = score_plot(counted(scores(positive={"0": 2})))
        assert columns(svg, "small") == []
        assert "near 0" not in svg

    @pytest.mark.parametrize("queries", [[], [None], [scores(zero=5)]])
    def test_without_scores_there_is_no_plot(self, queries):
        assert score_plot(counted(*queries)) is None

    def test_it_says_what_it_is(self):
        svg = score_plot(counted(scores(positive={"0": 2})))
        assert elements(svg, "svg")[0]["aria-label"] == "Distribution of 2 scores of 1 query"


class TestRanking:
    def test_it_falls_from_left_to_right(self):
        svg = ranking_plot([8.0, 4.0, 2.0, 1.0], by="self-influence", flipped=[2])
        (curve,) = elements(svg, "polyline")
        places = points(curve)
        assert len(places) == 4
        assert places == sorted(places)
        assert [y for _, y in places] == sorted(y for _, y in places)
        (mark,) = elements(svg, "circle")
        assert (float(mark["cx"]), float(mark["cy"])) == places[2]
        assert "rank 3: label changed on purpose" in Wellformed(svg).text

    def test_what_is_nothing_squeezes_nothing(self):
        svg = ranking_plot([1.0, 0.5, 1e-12, 0.0, -1.0], by="loss", flipped=[0, 2, 3, 4])
        assert len(points(elements(svg, "polyline")[0])) == 2
        assert len(elements(svg, "circle")) == 1

    def test_a_long_ranking_has_few_points(self):
        values = [1 / (1 + rank) for rank in range(50_000)]
        places = points(elements(ranking_plot(values, by="loss", flipped=[]), "polyline")[0])
        assert 150 < len(places) <= 300
        assert places[0][0] < 100
        assert places[-1][0] > 380

    @pytest.mark.parametrize("values", [[], [0.0], [-1.0, -2.0]])
    def test_without_positive_values_there_is_no_plot(self, values):
        assert ranking_plot(values, by="loss", flipped=[]) is None

    def test_one_example_is_a_ranking(self):
        assert len(points(elements(ranking_plot([2.0], by="loss", flipped=[]), "polyline")[0])) == 1


class TestSpectrum:
    def test_each_block_has_a_curve_and_its_damping(self):
        spectrum = {
            "curvature": "K-FAC, type-2 Fisher",
            "complete": True,
            "blocks": [block("0", [4.0, 1.0]), block("<2>", [2.0, 1e-3], 0.01)],
        }
        svg = spectrum_plot(spectrum)
        curves = elements(svg, "polyline")
        assert len(curves) == 2
        assert "stroke-dasharray" not in curves[0]
        assert curves[1]["stroke-dasharray"]
        assert len(elements(svg, "line", **{"class": "damping"})) == 2
        shown = Wellformed(svg)
        assert "layer 0: damping 0.100" in shown.text
        assert "<2>: damping 0.0100" in shown.text
        assert "(the largest only)" not in shown.text
        assert elements(svg, "svg")[0]["aria-label"] == "Spectrum: K-FAC, type-2 Fisher"

    def test_a_part_of_a_spectrum_says_so(self):
        svg = spectrum_plot({"complete": False, "blocks": [block("all", [4.0, 1.0], None)]})
        assert "rank of the eigenvalue (the largest only)" in svg
        assert elements(svg, "line", **{"class": "damping"}) == []

    def test_rounding_does_not_squeeze_the_others(self):
        svg = spectrum_plot({"blocks": [block("0", [1.0, 0.5, 1e-15, 0.0, -1e-9, "nan"])]})
        assert len(points(elements(svg, "polyline")[0])) == 2
        assert "⁻¹⁵" not in svg

    @pytest.mark.parametrize("blocks", [[], [block("0", [])], [block("0", [0.0, -1.0])]])
    def test_without_positive_eigenvalues_there_is_no_plot(self, blocks):
        assert spectrum_plot({"blocks": blocks}) is None


@pytest.mark.parametrize("exponent", [-300, -20, 0, 20, 300])
def test_numbers_of_any_size_lie_inside_the_plot(exponent):
    scale = 10.0**exponent
    place = str(math.floor(2 * math.log2(scale)))
    plots = [
        score_plot(counted(scores(positive={place: 3}, negative={place: 2}))),
        ranking_plot([2 * scale, scale], by="loss", flipped=[0]),
        spectrum_plot({"blocks": [block("0", [2 * scale, scale], scale / 10)]}),
    ]
    for svg in plots:
        for name, value in re.findall(r' (x1?|x2|cx|y1?|y2|cy)="([^"]*)"', svg):
            assert 0 <= float(value) <= (440 if "x" in name else 290), (name, value)
