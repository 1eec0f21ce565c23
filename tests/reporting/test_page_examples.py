from __future__ import annotations

import pytest

from hessinf.reporting import page_examples
from hessinf.reporting.page_displays import DisplayStore
from hessinf.reporting.page_examples import ExampleStore
from hessinf.reporting.page_images import ImageStore
from tests.reporting.made_up_lines import influence, ranked


@pytest.fixture
def store():
    return ExampleStore(DisplayStore(ImageStore()))


def test_an_example_keeps_the_place_it_got_first(store):
    assert [store.place(influence(index, 1.0)) for index in (9, 4, 9)] == [0, 1, 0]
    assert len(store) == 2


def test_the_queries_of_an_example_are_listed_by_score(store):
    place = store.place(influence(3, 0.0))
    entries = ((0, 1.0), (1, -2.0), (2, 5.0), (3, -7.0), (4, 1.0), (5, 0.0))
    for query, score in entries:
        store.add_entry(place, query, score)
    ((shown,),) = store.chunks()
    assert shown["helps"] == [[2, 5.0], [0, 1.0], [4, 1.0]]
    assert shown["harms"] == [[3, -7.0], [1, -2.0]]


def test_numbers_that_are_labels_are_texts(store):
    store.place(influence(0, 1.0, display={"label": 6, "flipped_from": 3}))
    assert store.columns()["label"] == ["6"]
    assert store.columns()["flipped_from"] == ["3"]


def test_self_influence_that_is_not_finite_is_left_out(store):
    store.add_ranking([ranked(0, float("nan")), ranked(1, 0.5)])
    assert store.columns()["self_influence"] == [None, 0.5]


def test_the_ranking_may_be_short(store, monkeypatch):
    monkeypatch.setattr(page_examples, "SUSPECTS", 2)
    assert store.add_ranking([]) == []
    assert store.suspects == []
    assert store.columns()["suspect_rank"] is None
