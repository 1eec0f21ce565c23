from __future__ import annotations

import json
import re
from html import unescape

from hessinf.evaluation.evaluation_results import EvaluationResults
from hessinf.evaluation.result_rows import (
    filled_columns,
    headline_comparisons,
    interval_of,
    number_of,
    ranked_rows,
)
from hessinf.evaluation.result_tables import difference_table, metric_table


def metric(**changes):
    return {
        "higher_is_better": True,
        "columns": [["damping", "λ"], ["curve", "curve"], ["missing", "undefined"]],
        "truth": {"alpha": 0.5},
        "rows": {
            "bad": {"value": -0.1, "interval": [-0.2, 0.1], "missing": 0},
            "none": {"value": None, "missing": 4},
            "odd": {"value": "nan", "interval": ["nan", 1.0]},
            "good": {"value": 0.4, "interval": None, "damping": 0.001},
        },
        "comparisons": [
            {
                "better": "good",
                "worse": "bad",
                "difference": 0.5,
                "interval": [0.1, 0.9],
                "alpha": a,
            }
            for a in (0.5, 0.9)
        ],
        "notes": ["a < b"],
        **changes,
    }


def cells(markup: str) -> list[list[str]]:
    rows = re.findall(r"<tr.*?>(.*?)</tr>", markup)
    return [
        [unescape(cell) for cell in re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", row)]
        for row in rows
    ]


def test_rows_are_ranked_and_what_has_no_value_is_last():
    assert [name for name, _ in ranked_rows(metric())] == ["good", "bad", "none", "odd"]
    less = metric(higher_is_better=False)
    assert [name for name, _ in ranked_rows(less)] == ["bad", "good", "none", "odd"]


def test_only_columns_with_something_in_them_are_shown():
    assert filled_columns(metric()) == [("damping", "λ")]


def test_differences_are_those_at_the_headline():
    assert [one["alpha"] for one in headline_comparisons(metric())] == [0.5]
    without = metric(truth={}, comparisons=[{"better": "good", "worse": "bad"}])
    assert headline_comparisons(without) == without["comparisons"]


def test_numbers_are_finite_or_none():
    assert [number_of(value) for value in (1, 0.5, "nan", None, True, float("inf"))] == [
        1.0, 0.5, None, None, None, None,
    ]  # fmt: skip
    assert interval_of({"interval": [0, 1]}) == (0.0, 1.0)
    for broken in ({}, {"interval": None}, {"interval": [1]}, {"interval": [0, "inf"]}):
        assert interval_of(broken) is None


def test_a_table_of_rows():
    found = metric_table(metric(), baselines={"bad"})
    assert cells(found) == [
        ["", "value", "95 % interval", "λ", "undefined"],
        ["good", "0.400", "", "0.001", "0"],
        ["bad", "−0.100", "[−0.200, 0.100]", "", "0"],
        ["none", "undefined", "", "", "4"],
        ["odd", "NaN", "", "", "0"],
    ]
    assert '<tr class="baseline"><th scope="row">bad</th>' in found


def test_where_nothing_is_undefined_there_is_no_such_column():
    rows = {"good": {"value": 0.4, "missing": 0}}
    assert cells(metric_table(metric(rows=rows)))[0] == ["", "value", "95 % interval"]


def test_a_table_of_differences():
    assert cells(difference_table(metric())) == [
        ["better", "than", "by", "95 % interval"],
        ["good", "bad", "+0.500", "[0.100, 0.900]"],
    ]
    assert difference_table(metric(comparisons=[])) == ""


def test_results_are_a_dict_that_a_notebook_shows():
    content = {
        "problem": {"queries": {"examples": 18}, "train": {"examples": 1617}},
        "warnings": ["<b>"],
        "metrics": {"lds<i>": metric()},
    }
    results = EvaluationResults(content)
    assert results == content
    assert json.loads(json.dumps(results)) == content
    found = results._repr_html_()
    assert "<p>18 queries, 1,617 training examples</p><p>Warning: &lt;b&gt;</p>" in found
    assert "<h4>lds&lt;i&gt; (higher is better)</h4><table>" in found
    assert "Paired differences" in found
    assert "<p>a &lt; b</p>" in found


def test_one_query_is_one_query():
    problem = {"queries": {"examples": 1}, "train": {"examples": 1}}
    shown = EvaluationResults({"problem": problem, "warnings": [], "metrics": {}})._repr_html_()
    assert "<p>1 query, 1 training example</p>" in shown
