from __future__ import annotations

import pytest

from hessinf.reporting import page_data as module
from hessinf.reporting import page_examples
from hessinf.reporting.page_data import page_data
from hessinf.reporting.reported_run import ReportedRun
from tests.reporting.made_up_lines import influence, interpretation, ranked, scores
from tests.reporting.opened_page import json_of

ROOM = 10**8


def packed(*lines, **run):
    return page_data(ReportedRun(interpretations=lines, **run), room=ROOM)


def test_each_training_example_is_there_once():
    found = packed(
        interpretation(0, [influence(7, 2.0), influence(3, 1.0)], [influence(5, -3.0)]),
        interpretation(1, [influence(3, 0.5)], [influence(7, -0.1)]),
    )
    assert found.index["train"] == {
        "index": [7, 3, 5],
        "id": ["train/7", "train/3", "train/5"],
        "target": [1, 1, 1],
        "label": None,
        "loss": [0.5, 0.5, 0.5],
        "flipped_from": None,
        "self_influence": None,
        "suspect_rank": None,
    }
    assert json_of(found.segments["train-0"]) == [
        {"display": {}, "helps": [[0, 2.0]], "harms": [[1, -0.1]]},
        {"display": {}, "helps": [[0, 1.0], [1, 0.5]], "harms": []},
        {"display": {}, "helps": [], "harms": [[0, -3.0]]},
    ]


def test_queries_have_their_lists():
    entry = influence(4, 2.0, loss_change_refined=0.19, token_influence=[0.12345, 1.5])
    line = interpretation(
        0,
        [entry],
        [influence(9, -1.0)],
        display={"text": "a", "tokens": ["a"]},
        scores=scores(positive={"2": 1}, negative={"0": 1}),
        diagnostics={"relative_residual": 1e-6},
    )
    found = packed(line)
    (query,) = json_of(found.segments["queries-0"])
    assert query == {
        "display": {"text": "a", "tokens": ["a"]},
        "helpful": [
            [
                0,
                2.0,
                0.2,
                0.19,
                {
                    "level": "high",
                    "text": "stands out: 4 times the typical score of this query; a Newton step "
                    "without it confirms the size",
                },
                [0.123, 1.5],
            ]
        ],
        "harmful": [
            [
                1,
                -1.0,
                -0.1,
                None,
                {
                    "level": "medium",
                    "text": "larger than most: 2 times the typical score of this query",
                },
                None,
            ]
        ],
        "scores": scores(positive={"2": 1}, negative={"0": 1}),
        "trust": [["good", "The solver left a relative residual of 1.00e-6."]],
    }
    assert found.index["run"] == {
        "title": "Run",
        "interpreter": "",
        "measurement": "loss",
        "higher_is_better": False,
        "classification": True,
        "training_examples": None,
        "queries": 1,
        "loss_changes": True,
        "refined": True,
        "tokens": True,
    }


def test_a_run_of_an_earlier_version_lacks_the_new_facts():
    found = packed(interpretation(0, [influence(4, 2.0)], []))
    (query,) = json_of(found.segments["queries-0"])
    assert query["scores"] is None
    assert query["trust"] == []
    assert query["helpful"] == [[0, 2.0, 0.2, None, {"level": None, "text": ""}, None]]
    assert found.index["queries"]["probability"] is None
    assert found.index["queries"]["target_probability"] is None
    assert found.index["suspects"] == []
    assert found.index["suspects_ranked_by"] is None
    assert found.index["run"]["refined"] is False
    assert found.index["run"]["tokens"] is False
    assert found.index["images"] is None
    assert [*found.segments] == ["index", "queries-0", "train-0"]


def test_the_index_has_what_lists_are_made_of():
    found = packed(
        interpretation(
            0,
            prediction=0,
            target=1,
            loss=2.0,
            probability={"prediction": 0.9, "target": 0.05},
            display={"label": "Dog", "text": "Wow"},
        ),
        interpretation(1),
    )
    assert found.index["queries"] == {
        "id": ["test/0", "test/1"],
        "target": [1, 1],
        "prediction": [0, 1],
        "probability": [0.9, None],
        "target_probability": [0.05, None],
        "loss": [2.0, 0.25],
        "measurement": None,
        "wrong": [1, 0],
        "text": ["wow dog", ""],
    }
    assert found.index["labels"] == ["0", "Dog"]
    assert found.right == 1
    assert json_of(found.segments["index"]) == found.index


def test_regression_has_no_classes():
    found = packed(interpretation(0, target=[1.5], prediction=[2.0]), interpretation(1))
    assert found.index["run"]["classification"] is False
    assert found.index["queries"]["target"] == [1.5, 1]
    assert found.index["queries"]["wrong"] is None
    assert found.index["labels"] is None
    assert found.right is None


def test_a_binary_target_of_one_output_is_a_class():
    found = packed(
        interpretation(0, [influence(0, 1.0, target=[1.0])], target=[1.0], prediction=1),
        interpretation(1, [], [influence(1, -1.0, target=[0.0])], target=[0.0], prediction=1),
    )
    assert found.index["run"]["classification"] is True
    assert [repr(one) for one in found.index["queries"]["target"]] == ["1", "0"]
    assert found.index["queries"]["wrong"] == [0, 1]
    assert found.index["labels"] == ["0", "1"]
    assert [repr(one) for one in found.index["train"]["target"]] == ["1", "0"]
    assert found.right == 1


def test_of_several_labels_one_may_be_wrong():
    right = interpretation(0, target=[1.0, 0.0, 1.0], prediction=[1, 0, 1])
    wrong = interpretation(1, target=[1.0, 0.0, 1.0], prediction=[1, 1, 1])
    found = packed(right, wrong)
    assert found.index["run"]["classification"] is False
    assert found.index["queries"]["wrong"] == [0, 1]
    assert found.right == 1


@pytest.mark.parametrize(
    ("target", "prediction"),
    [
        ([0.3], 1),  # a probability
        ([0.3, 1.0], [0, 1]),
        ([1, 2], [1, 3]),  # tokens at positions
        ([1.0, 2.0], [1.0, 2.0]),  # a regression
        ([1.0, 0.0], [1]),
        ([1.0, 0.0], 1),
    ],
)
def test_what_is_no_class_is_neither_right_nor_wrong(target, prediction):
    found = packed(interpretation(0, target=target, prediction=prediction))
    assert found.index["run"]["classification"] is False
    assert found.index["queries"]["wrong"] is None
    assert found.right is None


def test_several_targets_are_lists():
    found = packed(interpretation(0, target=[1.5, 2.5], prediction=[2.0, 3.0]))
    assert found.index["queries"]["prediction"] == [[2.0, 3.0]]
    assert found.index["run"]["classification"] is False


@pytest.mark.parametrize("target", [-1, 10**12])
def test_numbers_that_can_be_no_classes_have_no_names(target):
    assert packed(interpretation(0, target=target)).index["labels"] is None


def test_recorded_names_of_classes_go_first():
    found = packed(interpretation(), metrics={"label_names": ["no", "yes"]})
    assert found.index["labels"] == ["no", "yes"]


def test_a_measurement_other_than_the_loss_is_listed():
    line = interpretation(0, [influence(1, 2.0, loss_change_if_removed=None)], measurement=-1.5)
    found = packed(line, config={"measurement": {"type": "margin"}})
    assert found.index["queries"]["measurement"] == [-1.5]
    assert found.index["run"]["measurement"] == "margin"
    assert found.index["run"]["higher_is_better"] is True
    assert found.index["run"]["loss_changes"] is False


def test_recorded_facts_of_the_measurement_go_first():
    measurement = {"type": "regret", "higher_is_better": False}
    found = packed(interpretation(), metrics={"measurement": measurement})
    assert found.index["run"]["measurement"] == "regret"
    assert found.index["run"]["higher_is_better"] is False


def test_a_ranking_names_suspects():
    ranking = [ranked(3, 9.0, display={"label": "b", "flipped_from": "a"}), ranked(0, 8.0)]
    found = packed(
        interpretation(0, [influence(0, 1.0), influence(5, 0.5)]),
        self_influence=[*ranking, {"index": 5, "self_influence": 1.0, "loss": 0.1}],
    )
    assert found.index["suspects"] == [2, 0, 1]
    assert found.index["train"]["index"] == [0, 5, 3]
    assert found.index["train"]["suspect_rank"] == [1, 2, 0]
    assert found.index["train"]["self_influence"] == [8.0, 1.0, 9.0]
    assert found.index["train"]["label"] == [None, None, "b"]
    assert found.index["train"]["flipped_from"] == [None, None, "a"]
    assert found.index["suspects_ranked_by"] == "self-influence"
    assert found.index["suspects_reason"] is None
    assert found.ranking == [(3, 9.0, 0.5), (0, 8.0, 0.5), (5, 1.0, 0.1)]


def test_only_the_first_of_a_ranking_are_suspects(monkeypatch):
    monkeypatch.setattr(page_examples, "SUSPECTS", 1)
    short = {"index": 8, "self_influence": 1.0, "loss": 0.1}
    found = packed(self_influence=[ranked(3, 9.0), short])
    assert found.index["suspects"] == [0]
    assert found.index["train"]["index"] == [3]
    assert found.ranking == [(3, 9.0, 0.5), (8, 1.0, 0.1)]


def test_a_ranking_by_loss_says_why():
    reason = "it takes a solve for each example"
    found = packed(
        interpretation(),
        self_influence=[ranked(3, None, loss=4.0)],
        metrics={"self_influence": {"computed": False, "ranked_by": "loss", "reason": reason}},
    )
    assert found.index["suspects_ranked_by"] == "loss"
    assert found.index["suspects_reason"] == reason
    assert found.ranking == [(3, 4.0, 4.0)]


def test_a_ranking_alone_makes_a_page():
    found = packed(self_influence=[ranked(3, 2.0)])
    assert found.index["run"]["queries"] == 0
    assert found.index["run"]["classification"] is False
    assert found.index["queries"]["id"] == []
    assert found.index["queries"]["wrong"] is None
    assert found.index["suspects"] == [0]
    assert [*found.segments] == ["index", "train-0"]


def test_segments_hold_so_many_queries_and_examples(monkeypatch):
    monkeypatch.setattr(module, "QUERY_CHUNK", 2)
    monkeypatch.setattr(page_examples, "CHUNK", 3)
    found = packed(*(interpretation(place, [influence(place, 1.0)]) for place in range(5)))
    assert [*found.segments] == [
        "index", "queries-0", "queries-1", "queries-2", "train-0", "train-1",
    ]  # fmt: skip
    assert [len(json_of(found.segments[f"queries-{k}"])) for k in range(3)] == [2, 2, 1]
    assert [len(json_of(found.segments[f"train-{k}"])) for k in range(2)] == [3, 2]
    assert found.index["query_chunk"] == 2


def test_images_are_numbered_as_they_come():
    image = {"image": [[0, 255]]}
    line = interpretation(0, [influence(1, 1.0, display=image)], display=image)
    found = packed(line, interpretation(1, [influence(1, 1.0, display=image)], display=image))
    assert found.index["images"] == {"count": 3, "chunk": 256, "note": None}
    assert [query["display"] for query in json_of(found.segments["queries-0"])] == [
        {"image": 0},
        {"image": 2},
    ]
    assert json_of(found.segments["train-0"])[0]["display"] == {"image": 1}
    assert found.image_range == (0.0, 255.0)


def test_half_characters_are_no_error():
    found = packed(interpretation(0, id="a\udc80", display={"text": "\ud800"}))
    assert json_of(found.segments["index"])["queries"]["id"] == ["a\udc80"]


def test_the_texts_of_a_search_are_limited_together(monkeypatch):
    monkeypatch.setattr(module, "SEARCHED", 10)
    lines = [interpretation(place, display={"text": "abcdefghij"}) for place in range(3)]
    assert packed(*lines).index["queries"]["text"] == ["abc", "abc", "abc"]


def test_long_ids_are_cut():
    found = packed(interpretation(0, [influence(1, 1.0, id="y" * 400)], id="x" * 400))
    assert found.index["queries"]["id"] == ["x" * 300 + " … (100 more characters)"]
    assert found.index["train"]["id"] == ["y" * 300 + " … (100 more characters)"]


def test_each_line_is_shown_to_who_watches():
    seen = []
    lines = [interpretation(0), interpretation(1)]
    page_data(ReportedRun(interpretations=lines), room=ROOM, watch=seen.append)
    assert seen == lines


@pytest.mark.parametrize("score", [0.0, -0.0])
def test_a_score_of_zero_neither_helps_nor_harms(score):
    found = packed(interpretation(0, [influence(1, score)]))
    assert json_of(found.segments["train-0"]) == [{"display": {}, "helps": [], "harms": []}]
