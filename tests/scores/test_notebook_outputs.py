"""What a notebook shows of interpretations, groups and data sets."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from hessinf import Dataset, GroupInfluence, Influence, Interpretation, Query
from hessinf.display.png import data_uri
from hessinf.scores.interpretation_html import interpretation_html

HOSTILE = "<script>alert(1)</script>"


def text_of(markup: str) -> str:
    parts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = lambda data: parts.append(data.strip())  # type: ignore[method-assign]
    parser.feed(re.sub(r"<style>.*?</style>", "", markup, flags=re.DOTALL))
    return " ".join(filter(None, parts))


def influence(index: int, score: float, **changes) -> Influence:
    made = Influence(
        index=index,
        id=f"train/{index}",
        display={"image": [[0, 16]], "label": "six" if score > 0 else "four"},
        target=6 if score > 0 else 4,
        loss=0.25,
        score=score,
        loss_change_if_removed=score / 100,
    )
    return replace(made, **changes)


def interpretation(**changes) -> Interpretation:
    query = Query(
        index=0,
        id="test/0",
        display={"image": [[0, 8]], "label": "six"},
        target=6,
        prediction=4,
        loss=1.5,
        measurement=1.5,
        probability={"prediction": 0.75, "target": 0.2},
    )
    made = Interpretation(
        query=query,
        helpful=(influence(1, 2.0), influence(2, 1.0)),
        harmful=(influence(3, -4.0),),
        scores={"count": 1617, "mean": -0.5, "standard_deviation": 2.0, "histogram": {}},
    )
    return replace(made, **changes)


class TestInterpretation:
    def test_it_shows_the_query_and_both_lists(self):
        found = interpretation()._repr_html_()
        text = text_of(found)
        assert "query test/0 target six (20.0 %) prediction four (75.0 %) loss 1.500" in text
        assert "Helpful: training more on these would make the model better on the query" in text
        assert "train/1 six +2.000 0.250 +0.0200 train/2 six +1.000 0.250 +0.0100" in text
        assert "train/3 four −4.000 0.250 −0.0400" in text
        assert "Scores of 1,617 training examples: mean −0.500, standard deviation 2.000." in text
        assert "measurement" not in text
        assert "refined" not in text

    def test_bars_have_one_scale(self):
        found = interpretation()._repr_html_()
        assert re.findall(r'class="bar (\w+)" style="width: ([\d.]+)em"', found) == [
            ("positive", "3.00"), ("positive", "1.50"), ("negative", "6.00"),
        ]  # fmt: skip

    def test_images_have_one_range(self):
        found = interpretation()._repr_html_()
        assert data_uri([[0, 128]]) in found
        assert data_uri([[0, 255]]) in found

    def test_a_measurement_other_than_the_loss_and_refined_changes_are_shown(self):
        made = interpretation(
            query=replace(interpretation().query, measurement=-3.0, probability=None),
            helpful=(influence(1, 2.0, loss_change_if_removed=None, loss_change_refined=0.5),),
            harmful=(),
            scores=None,
        )
        text = text_of(made._repr_html_())
        assert "prediction 4 loss 1.500 measurement −3.000" in text
        assert "label score loss refined train/1 six +2.000 0.250 +0.500" in text
        assert "loss change" not in text
        assert "standard deviation" not in text

    def test_a_changed_label_says_what_it_was(self):
        display = {"label": "4", "flipped_from": "9"}
        text = text_of(interpretation(helpful=(influence(1, 2.0, display=display),))._repr_html_())
        assert "train/1 4 (was 9) +2.000" in text

    def test_all_scores_zero_and_nothing_to_show(self):
        plain = influence(1, 0.0, display={}, target=[0.5, 1.0])
        query = replace(
            interpretation().query, display={}, target=[2.0], prediction=[1.25], probability=None
        )
        made = interpretation(query=query, helpful=(plain,), harmful=())
        text = text_of(made._repr_html_())
        assert "target 2 prediction 1.250" in text
        assert "train/1 [0.500, 1] 0 0.250" in text

    def test_a_line_of_a_file_is_shown_as_well_with_its_tokens(self):
        line = interpretation().to_json()
        line["helpful"][0]["display"] = {
            "tokens": ["not", "bad"],
            "text": "not bad",
            "label": "six",
        }
        line["helpful"][0]["token_influence"] = [-1.0, 2.0]
        found = interpretation_html(json.loads(json.dumps(line)))
        assert 'title="−1.000">not</span>' in found
        assert 'title="+2.000">bad</span>' in found

    def test_nothing_of_it_is_markup(self):
        display = {"text": HOSTILE, "label": HOSTILE, "row": {HOSTILE: HOSTILE}}
        hostile = influence(1, 1.0, id=HOSTILE, display=display)
        query = replace(interpretation().query, id=HOSTILE, display=display)
        found = interpretation(query=query, helpful=(hostile,))._repr_html_()
        assert "<script" not in found
        assert text_of(found).count(HOSTILE) >= 8


class TestGroups:
    def groups(self, queries: int, groups: int) -> GroupInfluence:
        scores = np.arange(queries * groups, dtype=float).reshape(queries, groups) - 1
        names = tuple(f"group {n} <b>" for n in range(groups))
        return GroupInfluence(names, np.arange(groups) + 1000, scores, None)

    def test_a_row_a_group_a_column_a_query(self):
        found = self.groups(2, 2)._repr_html_()
        assert text_of(found) == (
            "Scores of groups: positive where training more on them would help "
            "group examples query 0 query 1 group 0 <b> 1,000 −1.000 +1.000 "
            "group 1 <b> 1,001 0 +2.000"
        )
        assert re.findall(r"rgba\((\d+), .*?, ([\d.]+)\)\"", found) == [
            ("213", "0.25"), ("0", "0.25"), ("0", "0.50"),
        ]  # fmt: skip

    def test_much_is_cut_and_counted(self):
        text = text_of(self.groups(10, 100)._repr_html_())
        assert text.endswith("and 40 more groups and 2 more columns")
        assert text_of(self.groups(9, 61)._repr_html_()).endswith(
            "and 1 more group and 1 more column"
        )


class TestDataset:
    def test_it_shows_the_first_examples(self):
        data = Dataset.from_columns(
            torch.eye(7), torch.arange(7) % 2, label_names=["no", "<b>"], name="tiny"
        )
        text = text_of(data._repr_html_())
        assert text.startswith("tiny: 7 examples, 2 classes id example 0 0 1.000 1 0")
        assert text.endswith("label no and 2 more examples")
        assert "label <b>" in text

    def test_a_regression_has_no_classes(self):
        data = Dataset.from_columns(torch.zeros(1, 2), torch.tensor([1.5]))
        assert text_of(data._repr_html_()) == (
            "data set: 1 example id example 0 0 0 1 0 target 1.500"
        )

    @pytest.mark.parametrize("name", ["", "x"])
    def test_an_empty_one_is_no_error(self, name):
        assert text_of(Dataset([], name=name)._repr_html_()) == f"{name or 'data set'}: 0 examples"

    def test_images_have_one_range(self):
        inputs = torch.zeros(2, 1, 2, 2)
        inputs[1] = 255.0
        data = Dataset.from_columns(inputs, torch.tensor([0, 1]))
        found = data._repr_html_()
        assert data_uri([[0, 0], [0, 0]]) in found
        assert data_uri([[255, 255], [255, 255]]) in found
