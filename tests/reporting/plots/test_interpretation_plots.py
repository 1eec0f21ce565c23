"""Plots of interpretations: what is drawn, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from hessinf import Influence, Interpretation, Query  # noqa: E402
from hessinf.reporting import plots  # noqa: E402
from tests.reporting.plots.figure_texts import texts  # noqa: E402
from tests.reporting.plots.run_directories import (  # noqa: E402
    interpret_run,
    interpreted,
    spectrum_of,
    write_json,
    write_lines,
)


def bars(axes) -> list[tuple[float, float]]:
    return [(bar.get_x(), bar.get_height()) for bar in axes.patches]


class TestScoreDistribution:
    def test_harmful_to_the_left_helpful_to_the_right(self, tmp_path):
        canvas = plots.score_distribution(interpret_run(tmp_path))
        left, right = canvas.axes
        assert left.get_xlim()[0] > left.get_xlim()[1]  # the largest outermost
        assert right.get_xlim()[0] < right.get_xlim()[1]
        assert bars(left) == [(2.0, 1.0), (4.0, 0.5)]  # [2, 2.8): one in each query; mean of 2
        assert bars(right) == [(1.0, 1.0), (2.0, 0.5), (4.0, 0.5), (8.0, 1.0)]
        assert canvas.get_suptitle() == (
            "Scores of 5 training examples, mean of 2 queries; 0.500 of them zero"
        )
        assert left.get_title() == "harmful: 1.500 of 5"
        assert right.get_title() == "helpful: 3 of 5"
        assert "magnitude of the score, in units of the measurement" in texts(canvas)
        assert left.get_ylabel() == "training examples, mean"

    def test_the_end_of_the_list_is_the_median_over_queries(self, tmp_path):
        right = plots.score_distribution(interpret_run(tmp_path)).axes[1]
        assert [line.get_xdata()[0] for line in right.get_lines()] == [3.0]  # of 4 and 2
        assert "end of the list\n3.000" in texts(right.figure)

    @pytest.mark.parametrize("query", [1, "test/1"])
    def test_one_query(self, tmp_path, query):
        canvas = plots.score_distribution(interpret_run(tmp_path), query=query)
        assert canvas.get_suptitle() == "Scores of 5 training examples, 1 query"
        assert bars(canvas.axes[0]) == [(2.0, 1.0), (4.0, 1.0)]
        assert canvas.axes[0].get_ylabel() == "training examples"

    def test_files_objects_and_arrays_give_the_same(self, tmp_path):
        scores = [[8.0, 4.0, 1.0, -2.0, 0.0], [8.0, 2.0, 1.0, -4.0, -2.0]]
        lines = interpreted(scores)
        query = Query(0, "test/0", {}, 0, 0, 0.0, 0.0)
        objects = [
            Interpretation(query, _influences(line, "helpful"), _influences(line, "harmful"),
                           scores=line["scores"])
            for line in lines
        ]  # fmt: skip
        found = [
            [bars(axes) for axes in plots.score_distribution(given).axes]
            for given in (
                interpret_run(tmp_path, scores=scores), str(tmp_path), lines, objects,
                np.array(scores), scores,
            )
        ]  # fmt: skip
        assert all(one == found[0] for one in found)
        one = plots.score_distribution(objects[0])
        assert one.get_suptitle() == "Scores of 5 training examples, 1 query; 1 of them zero"

    def test_a_list_that_holds_all_has_no_end(self):
        canvas = plots.score_distribution(interpreted([[2.0, 1.0]]))
        assert canvas.axes[0].get_lines() == []

    @pytest.mark.parametrize(
        ("value", "title"), [(1.0, "helpful: 4 of 4"), (-1.0, "harmful: 4 of 4")]
    )
    def test_where_all_are_the_same_there_is_one_panel(self, value, title):
        canvas = plots.score_distribution(np.full((1, 4), value))
        (axes,) = canvas.axes
        assert axes.get_title() == title
        low, high = sorted(axes.get_xlim())
        assert high / low > 30

    def test_where_all_are_zero_it_says_so(self):
        canvas = plots.score_distribution(np.zeros(4))
        assert "all scores are zero" in texts(canvas)
        assert canvas.get_suptitle() == "Scores of 4 training examples, 1 query; 4 of them zero"

    def test_what_is_far_too_small_is_counted(self):
        canvas = plots.score_distribution(np.array([1.0, 1e-3, 1e-9, 1e-300]))
        assert canvas.axes[0].get_title() == "helpful: 4 of 4\n(2 too small to be shown)"

    def test_runs_of_before_are_refused(self, tmp_path):
        lines = interpreted([[1.0, 2.0]])
        del lines[0]["scores"]
        write_lines(interpret_run(tmp_path) / "interpretations.jsonl", lines)
        message = (
            f'{tmp_path} does not say how the scores of query "test/0" are distributed: it is of '
            "an earlier version; interpret again, or give the scores [Q, N] themselves"
        )
        with pytest.raises(plots.PlotError, match=re.escape(message)):
            plots.score_distribution(tmp_path)

    @pytest.mark.parametrize(
        ("given", "query", "message"),
        [
            (np.ones((2, 3)), 2, "what was given has no query 2, it has 2 queries"),
            (np.ones((2, 3)), "a", "what was given has no query 'a', it has 2 queries"),
            (interpreted([[1.0]]), "b", "what was given has no query 'b', it has 1 query"),
            ([], None, "what was given has no queries"),
            (np.ones((1, 2, 3)), None, "expected scores [Q, N], found the shape [1, 2, 3]"),
            (np.ones((2, 0)), None, "expected scores [Q, N], found the shape [2, 0]"),
            (np.array([np.nan]), None, "scores are not all finite"),
            ("nowhere", None, "nowhere does not exist, expected the directory of a run"),
            (
                object(), None,
                "score_distribution draws a run, interpretations or scores; found builtins.object",
            ),
        ],
    )  # fmt: skip
    def test_what_cannot_be_drawn(self, given, query, message):
        with pytest.raises(plots.PlotError, match=f"^{re.escape(message)}$"):
            plots.score_distribution(given, query=query)


def _influences(line, side: str) -> tuple[Influence, ...]:
    return tuple(Influence(0, "", {}, 0, 0.0, one["score"], None) for one in line[side])


class TestSelfInfluence:
    def test_by_rank(self, tmp_path):
        canvas = plots.self_influence(interpret_run(tmp_path))
        (axes,) = canvas.axes
        (line,) = axes.get_lines()
        assert line.get_ydata().tolist() == [9.0, 5.0, 2.0, 0.5, 0.1]
        assert line.get_xdata().tolist() == [1, 2, 3, 4, 5]
        assert axes.get_yscale() == "log"
        assert axes.get_xscale() == "linear"  # five ranks
        assert axes.get_xlabel() == "rank, the largest first"
        assert axes.get_ylabel() == "self-influence, in units of the loss"

    def test_changed_labels_are_marked_and_counted(self, tmp_path):
        canvas = plots.self_influence(interpret_run(tmp_path, flipped_labels=[3, 4]))
        first, second = canvas.axes
        assert first.get_lines()[1].get_xdata().tolist() == [1, 3]
        found, best, chance = (line.get_ydata().tolist() for line in second.get_lines())
        assert found == [50.0, 50.0, 100.0, 100.0, 100.0]
        assert best == [50.0, 100.0, 100.0, 100.0, 100.0]
        assert chance == [20.0, 40.0, 60.0, 80.0, 100.0]
        assert second.get_title() == "2 of the first 5 were changed on purpose"
        assert second.get_ylabel() == "changed labels found, %"

    def test_where_it_was_not_computed_the_loss_takes_its_place(self, tmp_path):
        reason = {"computed": False, "ranked_by": "loss", "reason": "costs $5 an example"}
        run = interpret_run(tmp_path, self_influence=[None] * 3, self_influence_=0)
        write_json(run / "metrics.json", {"complete": True, "self_influence": reason})
        canvas = plots.self_influence(run)
        assert canvas.axes[0].get_ylabel() == "training loss"
        assert canvas.get_suptitle() == (r"Self-influence was not computed: costs \$5 an example")
        assert canvas.axes[0].get_lines()[0].get_ydata().tolist() == [1.0, 0.5, 1 / 3]

    def test_numbers_are_sorted(self):
        canvas = plots.self_influence([1.0, 3.0, 2.0], flipped=[1])
        assert canvas.axes[0].get_lines()[0].get_ydata().tolist() == [3.0, 2.0, 1.0]
        assert canvas.axes[0].get_lines()[1].get_xdata().tolist() == [1]

    def test_what_is_not_positive_is_counted(self):
        axes = plots.self_influence([1.0, 0.0, -2.0]).axes[0]
        assert axes.get_title() == "3 training examples, 2 without a positive value"
        zeros = plots.self_influence([0.0, 0.0]).axes[0]
        assert zeros.get_yscale() == "linear"

    def test_many(self):
        axes = plots.self_influence(np.geomspace(1e-30, 1, 100_000)).axes[0]
        assert axes.get_xscale() == "log"
        assert axes.get_ylim()[0] == pytest.approx(1e-7)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (np.ones((2, 2)), "expected numbers [N], found the shape [2, 2]"),
            ([], "expected numbers [N], found the shape [0]"),
            ({"a": 1}, "self_influence draws a run or numbers [N]; found builtins.dict"),
        ],
    )
    def test_what_cannot_be_drawn(self, given, message):
        with pytest.raises(plots.PlotError, match=re.escape(message)):
            plots.self_influence(given)

    def test_a_run_without_it(self, tmp_path):
        message = (
            f"{tmp_path} has no self_influence.jsonl; hessinf self-influence writes it, and "
            "hessinf interpret"
        )
        with pytest.raises(plots.PlotError, match=re.escape(message)):
            plots.self_influence(tmp_path)


class TestSpectrum:
    def test_a_line_for_each_block_and_one_for_its_damping(self, tmp_path):
        axes = plots.spectrum(interpret_run(tmp_path)).axes[0]
        drawn = [line for line in axes.get_lines() if len(line.get_xdata())]
        assert [line.get_ydata() for line in drawn[1::2]] == [[0.01, 0.01]] * 2
        assert [list(line.get_ydata()) for line in drawn[::2]] == [[4.0, 1.0], [2.0]]
        assert drawn[0].get_color() != drawn[2].get_color()
        legend = [text.get_text() for text in axes.get_legend().get_texts()]
        assert legend == ["first, damping 0.01", "last, damping 0.01", "damping"]
        assert axes.get_title() == "Spectrum: K-FAC, type-2 Fisher\n(2 blocks)"
        assert axes.get_xlabel() == "rank of the eigenvalue in its block"
        assert axes.get_ylabel() == "eigenvalue of the mean loss"

    def test_layers_of_a_sequence_are_called_so(self):
        axes = plots.spectrum({"0": [2.0], "2.weight": [1.0]}).axes[0]
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == ["layer 0", "2.weight"]

    def test_many_blocks_have_colors_by_place(self):
        blocks = {f"layer {n}": [10.0 - n, 1.0] for n in range(9)}
        canvas = plots.spectrum(blocks)
        axes, bar = canvas.axes
        assert len({line.get_color() if isinstance(line.get_color(), str)
                    else tuple(line.get_color()) for line in axes.get_lines()}) == 9  # fmt: skip
        assert axes.get_legend() is None
        assert bar.get_ylabel() == "block, from the input to the output"

    def test_what_is_not_positive_or_not_known_is_said(self):
        described = spectrum_of({"": [2.0, -1.0, 0.0]}, complete=False)
        axes = plots.spectrum(described).axes[0]
        assert axes.get_title() == (
            "Spectrum: K-FAC, type-2 Fisher\n(1 block, the largest eigenvalues only, 2 of those "
            "known not positive)"
        )
        assert "all parameters, damping 0.01" in texts(axes.figure)
        assert list(axes.get_lines()[0].get_ydata()) == [2.0]

    def test_nothing_positive(self):
        assert "no eigenvalue is positive" in texts(plots.spectrum({"a": [0.0, -1.0]}))

    def test_eigenvalues_are_sorted(self):
        axes = plots.spectrum({"a": np.array([1.0, 3.0, 2.0])}).axes[0]
        assert list(axes.get_lines()[0].get_ydata()) == [3.0, 2.0, 1.0]

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({}, "there are no eigenvalues to draw"),
            ({"a": []}, "there are no eigenvalues to draw"),
            ({"a": [np.inf]}, 'the eigenvalues of "a" are not all finite'),
            (
                [1.0],
                "spectrum draws a run or eigenvalues by the names of blocks; found builtins.list",
            ),
        ],
    )
    def test_what_cannot_be_drawn(self, given, message):
        with pytest.raises(plots.PlotError, match=re.escape(message)):
            plots.spectrum(given)

    def test_a_method_without_a_spectrum(self, tmp_path):
        message = (
            f"{tmp_path} has no spectrum.json: its method knows no spectrum of the curvature (or "
            "it was written by an earlier version)"
        )
        with pytest.raises(plots.PlotError, match=re.escape(message)):
            plots.spectrum(tmp_path)
