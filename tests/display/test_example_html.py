from __future__ import annotations

import re

import pytest

from hessinf.display.example_html import example_html
from hessinf.display.png import data_uri
from tests.reporting.wellformed import Wellformed

HOSTILE = "</div><script>alert(1)</script>\x00\"'&"


def text_of(markup: str) -> str:
    return Wellformed(markup).text


def test_an_image_is_a_picture_of_whole_pixels():
    found = example_html({"image": [[0, 16], [8, 4]], "label": "6"})
    source = data_uri([[0, 255], [128, 64]])
    assert f'<img src="{source}" width="96" height="96" alt="image of 2 by 2 pixels" ' in found
    assert text_of(found) == "label 6"


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((100, 300), (100, 300)),
        ((200, 640), (100, 320)),
        ((2000, 1), (320, 1)),
        ((60, 97), (60, 97)),
    ],
)
def test_a_large_image_is_made_smaller(shape, shown):
    found = example_html({"image": [[0.5] * shape[1]] * shape[0]})
    assert f' width="{shown[1]}" height="{shown[0]}" ' in found
    assert f'alt="image of {shape[0]} by {shape[1]} pixels"' in found


def test_the_range_of_the_data_set_holds():
    dark = {"image": [[0, 10]]}
    assert data_uri([[0, 10]]) in example_html(dark, shown=(0, 255))
    assert data_uri([[0, 159]]) in example_html(dark)


def test_what_is_no_image_is_a_fact():
    assert text_of(example_html({"image": "cat.png"})) == "image cat.png"


def test_a_text_is_cut_and_says_so():
    assert text_of(example_html({"text": "abcdefgh"}, characters=5)) == "abcde … 3 more characters"
    assert text_of(example_html({"text": "abcdef"}, characters=5)) == "abcde … 1 more character"
    assert text_of(example_html({"text": "abcde"}, characters=5)) == "abcde"


SHORT = {"text": "Not  good, at all.", "tokens": ["Not", "good", ","]}


class TestTokens:
    def test_what_lies_between_them_stays(self):
        found = example_html(SHORT, token_influence=[-2.0, 1.0, 0.0])
        assert text_of(found) == "Not  good, at all."
        assert re.findall(
            r'<span style="(.*?); border-radius: 2px" title="(.*?)">(.*?)<', found
        ) == [
            ("background: rgba(213, 94, 0, 0.50)", "−2.000", "Not"),
            ("background: rgba(0, 114, 178, 0.25)", "+1.000", "good"),
            ("", "0", ","),
        ]

    def test_without_influence_nothing_is_shaded(self):
        assert "<span" not in example_html(SHORT)
        assert "rgba" not in example_html(SHORT, token_influence=[0.0, 0.0, 0.0])

    def test_tokens_that_are_not_in_the_text_are_set_apart(self):
        assert text_of(example_html({"text": "abc", "tokens": ["x", "y"]})) == "x y"
        assert text_of(example_html({"tokens": ["x", "y"]})) == "x y"
        assert text_of(example_html({"tokens": []})) == ""

    def test_many_are_cut(self):
        found = example_html({"tokens": ["abcd"] * 10}, characters=10)
        assert text_of(found) == "abcd abcd … 8 more tokens"

    def test_fewer_numbers_than_tokens(self):
        found = example_html({"tokens": ["a", "b"]}, token_influence=[1.0])
        assert found.count("rgba") == 1

    def test_what_are_no_tokens_is_a_fact(self):
        assert text_of(example_html({"tokens": [1, 2]})) == "tokens [1, 2]"


def test_a_row_shows_names_and_values():
    row = {"mean radius": 12.616, "sex": "f", "none": None, "<b>": -3}
    found = example_html({"row": row, "target": 151.0})
    shown = re.findall(r"<span>(.*?)</span><span><bdi>(.*?)</bdi></span>", found)
    assert shown == [
        ("mean radius", "12.62"), ("sex", "f"), ("none", "none"), ("&lt;b&gt;", "−3"),
    ]  # fmt: skip
    assert text_of(found).endswith("target 151.0")
    assert text_of(example_html({"row": row}, columns=1)) == "mean radius12.62 … 3 more columns"
    running = example_html({"row": row}, columns=2, compact=True)
    assert text_of(running) == "mean radius 12.62 · sex f … 2 more columns"
    assert text_of(example_html({"row": [1]})) == "row [1]"


def test_labels_come_first_among_the_facts():
    display = {"source": "a", "label": "3", "flipped_from": "8", "nested": {"k": [1, "é"]}}
    pattern = r"<div><span[^>]*>(.*?)</span> <bdi>(.*?)</bdi></div>"
    assert re.findall(pattern, example_html(display)) == [
        ("label", "3"),
        ("was", "8"),
        ("source", "a"),
        ("nested", "{&quot;k&quot;: [1, &quot;é&quot;]}"),
    ]
    found = example_html(display, labeled=False)
    assert "label" not in found
    assert "was" not in found
    assert "source" in found


def test_nothing_to_show_is_empty():
    assert example_html({}) == ""


@pytest.mark.parametrize(
    "display",
    [
        {"text": HOSTILE},
        {"tokens": [HOSTILE], "text": HOSTILE},
        {"row": {HOSTILE: HOSTILE}},
        {"label": HOSTILE, "flipped_from": HOSTILE},
        {HOSTILE: {HOSTILE: HOSTILE}},
        {"image": HOSTILE},
        {"image": [[HOSTILE]]},
    ],
)
@pytest.mark.parametrize("compact", [False, True])
def test_nothing_that_is_shown_is_markup(display, compact):
    found = example_html(display, token_influence=[1.0], compact=compact)
    assert "<script" not in found
    assert "\x00" not in found
    assert "alert(1)" in text_of(found)
