from __future__ import annotations

import math

import pytest

from hessinf.reporting import page_displays
from hessinf.reporting.page_displays import DisplayStore, shortened
from hessinf.reporting.page_images import ImageStore


@pytest.fixture
def store():
    return DisplayStore(ImageStore())


def shown(store, display):
    return store.shown(store.add(display))


def test_an_image_is_its_number(store):
    store.add({"image": [[1, 2], [3, 4]]})
    assert shown(store, {"image": [[1, 2], [3, 4]], "label": "6"}) == {"image": 1, "label": "6"}


@pytest.mark.parametrize("image", ["a.png", None, [[1], [2, 3]], {"src": "a"}])
def test_what_is_no_image_is_shown_as_it_is(store, image):
    assert shown(store, {"image": image}) == {"image": image}


def test_texts_and_tokens_are_kept(store):
    display = {"text": "a b", "tokens": ["a", "b"], "row": {"x": 1.5}, "label": "good"}
    assert shown(store, display) == display
    assert shown(store, {"text": ["a"], "tokens": "a b"}) == {"text": ["a"], "tokens": "a b"}
    assert shown(store, {"tokens": [1, 2]}) == {"tokens": [1, 2]}
    assert shown(store, {}) == {}


def test_long_texts_are_cut_with_a_mark(store):
    found = shown(store, {"text": "x" * 20_001, "tokens": ["x"] * 4_003, "label": "y" * 2_500})
    assert found == {
        "text": "x" * 20_000 + " … (1 more character)",
        "tokens": ["x"] * 4_000,
        "…": "… (3 more tokens)",
        "label": "y" * 2_000 + " … (500 more characters)",
    }


def test_when_all_texts_are_too_long_each_is_cut_further(store, monkeypatch):
    monkeypatch.setattr(page_displays, "MOST_HELD", 25_000)
    numbers = [store.add({"text": f"{place}" * 9_000}) for place in range(6)]
    texts = [store.shown(number)["text"] for number in numbers]
    assert texts == [f"{place}" * 2_500 + " … (6,500 more characters)" for place in range(6)]


def test_wide_rows_are_cut(store):
    found = shown(store, {"row": {f"c{place}": place for place in range(784)}})["row"]
    assert [*found][:2] == ["c0", "c1"]
    assert len(found) == 101
    assert found["…"] == "… (684 more values)"


def test_what_is_not_finite_is_a_text():
    assert shortened({"a": [math.nan, -math.inf, 1.0], "b": None, "c": True}) == {
        "a": ["nan", "-inf", 1.0],
        "b": None,
        "c": True,
    }


def test_a_search_goes_through_texts_in_small_letters(store):
    number = store.add(
        {"text": "A Good Film", "image": [[1]], "row": {"City": "PARIS", "x": 1}, "label": "Ümlaut"}
    )
    assert store.searched(number, 100) == "a good film paris ümlaut"
    assert store.searched(number, 6) == "a good"
    assert store.searched(store.add({"tokens": ["One", "two"]}), 100) == "one two"
    assert store.searched(store.add({"image": [[1]]}), 100) == ""
