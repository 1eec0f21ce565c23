"""Tables of aligned columns."""

from __future__ import annotations

import pytest

from hessinf.display.terminal import Style
from hessinf.display.text_table import aligned, cells, padded, shortened

COLORED = Style(colored=True)


def test_names_to_the_left_and_numbers_to_the_right():
    assert aligned(["row", "value", "n"], [["a", "0.412", "7"], ["long name", "-0.5", ""]]) == [
        "  row        value  n",
        "  a          0.412  7",
        "  long name   -0.5",
    ]


def test_several_columns_of_names_by_number():
    lines = [["a", "cat", "1", "x"], ["b", "mouse", "22", "y"]]
    assert aligned(["", "label", "n", "end"], lines, left=(0, 1, -1), indent="") == [
        "   label   n  end",
        "a  cat     1  x",
        "b  mouse  22  y",
    ]


def test_columns_without_anything_are_left_out():
    assert aligned(["row", "note", "n"], [["a", "", "1"], ["b", "", "2"]]) == [
        "  row  n",
        "  a    1",
        "  b    2",
    ]


def test_without_lines_titles_stay():
    assert aligned(["row", "value"], []) == ["  row  value"]


def test_without_titles_there_is_no_header():
    assert aligned(["", ""], [["a", "1"]]) == ["  a  1"]
    assert aligned([], []) == []


def test_titles_of_several_lines_end_on_one():
    assert aligned(["row", "relative\nresidual"], [["a", "1"]]) == [
        "       relative",
        "  row  residual",
        "  a           1",
    ]


def test_titles_are_bold():
    header, line = aligned(["row", "n"], [["a", "1"]], style=COLORED)
    assert header == "  \x1b[1mrow  n\x1b[0m"
    assert line == "  a    1"


def test_codes_take_no_cells():
    lines = [[COLORED.good("a"), COLORED.bad("-1")], ["long", "22"]]
    assert aligned(["", "n"], lines) == [
        "         n",
        "  \x1b[32ma\x1b[0m     \x1b[31m-1\x1b[0m",
        "  long  22",
    ]


def test_wide_and_combining_characters():
    assert aligned(["", "n"], [["猫猫", "1"], ["abcd", "2"], ["e\u0301e\u0301", "3"]]) == [
        "        n",
        "  猫猫  1",
        "  abcd  2",
        "  e\u0301e\u0301    3",
    ]


class TestWidth:
    LINES = (("s3://bucket/train/0001.png", "a long label", "0.412"),)

    def test_the_widest_column_of_names_gives_way(self):
        header, line = aligned(["id", "label", "score"], self.LINES, left=(0, 1), width=40)
        assert header == "  id                 label         score"
        assert line == "  s3://buc…0001.png  a long label  0.412"

    def test_what_fits_stays(self):
        whole = aligned(["id", "label", "score"], self.LINES, left=(0, 1))
        assert aligned(["id", "label", "score"], self.LINES, left=(0, 1), width=52) == whole

    def test_where_nothing_helps_names_stay_whole(self):
        lines = [["a name that is long", *["0.123456"] * 10]]
        header = ["", *"abcdefghij"]
        assert aligned(header, lines, width=40) == aligned(header, lines)

    def test_a_table_that_is_too_wide_becomes_several(self):
        lines = [["first", "0.1234567890", "1", "", "0.987654321"], ["b", "2", "3", "", "4"]]
        header = ["row", "one", "two", "none", "three"]
        assert aligned(header, lines, width=26, split=True) == [
            "  row             one  two",
            "  first  0.1234567890    1",
            "  b                 2    3",
            "",
            "  row          three",
            "  first  0.987654321",
            "  b                4",
        ]
        whole = aligned(header, lines)
        assert aligned(header, lines, width=len(whole[0]), split=True) == whole
        assert aligned(header, lines, width=len(whole[0])) == whole

    def test_where_columns_may_go_below_short_names_stay_whole(self):
        header = ["row", "one", "two"]
        lines = [["gradient-dot", "1" * 20, "2" * 20], ["exact", "3", "4"]]
        assert aligned(header, lines, width=56)[1].startswith("  gradi…-dot  ")
        shown = aligned(header, lines, width=56, split=True)
        assert [line for line in shown if "gradient-dot" in line] == [shown[1], shown[5]]
        long = [["x" * 40, "1" * 18, "2" * 18]]
        assert aligned(header, long, width=56, split=True)[1].startswith("  xxxxxxx…xxxxxx  1")

    def test_a_column_that_is_wider_than_all_stands_alone(self):
        _, line = aligned(["", "n"], [["a name", "1234567890"]], width=10, split=True)
        assert line == "  a name  1234567890"

    def test_numbers_are_never_cut(self):
        (_, line) = aligned(["", "n"], [["x" * 100, "1234567890"]], width=40)
        assert line.endswith("  1234567890")
        assert len(line) == 40


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc", 3),
        ("\x1b[31mabc\x1b[0m", 3),
        ("猫", 2),
        ("한국", 4),
        ("Ａ", 2),
        ("e\u0301", 1),
        ("🙂", 2),
        ("a\u200db", 2),
        ("λ", 1),
    ],
)
def test_cells(text, count):
    assert cells(text) == count


def test_padded():
    assert padded("猫", 4) == "猫  "
    assert padded("猫", 4, right=True) == "  猫"
    assert padded("long", 2) == "long"


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("猫猫猫", 6, "猫猫猫"),
        ("猫猫猫猫", 6, "猫猫…"),
        ("猫猫猫猫", 2, "…"),
        ("\x1b[31mabcdefg\x1b[0m", 6, "abcde…"),
        ("abc", 1, "…"),
    ],
)
def test_shortened(text, width, cut):
    assert shortened(text, width) == cut
    assert cells(cut) <= width


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("train/000123.png", 16, "train/000123.png"),
        ("train/a/000123.png", 11, "train…3.png"),
        ("train/a/000123.png", 12, "train/…3.png"),
        ("猫猫猫猫猫猫", 8, "猫猫…猫"),
        ("abcdef", 1, "…"),
    ],
)
def test_shortened_in_the_middle(text, width, cut):
    assert shortened(text, width, middle=True) == cut
    assert cells(cut) <= width
