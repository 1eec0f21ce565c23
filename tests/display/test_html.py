"""Escaping, and tables."""

from __future__ import annotations

import re

import pytest

from hessinf.display.html_table import Cell, html_table
from hessinf.display.html_text import Html, escaped, joined, printable, with_minus
from hessinf.display.notebook import notebook_html
from hessinf.display.shades import shade


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>&\"'", "&lt;b&gt;&amp;&quot;&#x27;"),
        ("a\x00b\x1b[31m", "a␀b␛[31m"),
        ("\x7f\x85", "␡�"),
        ("\ud800x", "�x"),
        ("tab\tline\n", "tab\tline\n"),
        ("日本 🙂 שלום", "日本 🙂 שלום"),
        ("", ""),
    ],
)
def test_text_is_escaped(text, shown):
    found = escaped(text)
    assert found == shown
    assert isinstance(found, Html)
    assert escaped(found) == found  # once
    found.encode()


def test_only_text_is_escaped_when_parts_are_joined():
    assert joined("<", Html("<br>"), "\r") == "&lt;<br>␍"


def test_printable_text_is_left_alone():
    assert printable("<a> & b") == "<a> & b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-0.25", "−0.25"),
        ("[-0.1, -inf]", "[−0.1, −inf]"),
        ("4.12e-4", "4.12e-4"),
        ("gradient-dot-2", "gradient-dot-2"),
        ("-1.20e-7", "−1.20e-7"),
    ],
)
def test_signs_are_minus_signs(text, shown):
    assert with_minus(text) == shown


class TestTable:
    def test_it_has_a_caption_a_header_and_named_rows(self):
        found = html_table(("", "value"), [["a<b", "1"], [Html("<i>c</i>"), "2"]], caption="x & y")
        assert found == (
            "<table><caption>x &amp; y</caption>"
            '<thead><tr><td></td><th scope="col">value</th></tr></thead><tbody>'
            '<tr><th scope="row">a&lt;b</th><td>1</td></tr>'
            '<tr><th scope="row"><i>c</i></th><td>2</td></tr></tbody></table>'
        )

    def test_cells_and_rows_have_kinds(self):
        cell = Cell("1", kind="agree", style="--share: 3%", hint='say "so"')
        found = html_table(("a", "b"), [["x", cell]], kind="matrix", kinds=["baseline"])
        assert found.startswith('<table class="matrix">')
        assert '<tr class="baseline"><th scope="row">x</th>' in found
        assert '<td class="agree" style="--share: 3%" title="say &quot;so&quot;">1</td>' in found

    def test_without_titles_there_is_no_header(self):
        assert html_table(("", ""), [["a", "b"]], named=False) == (
            "<table><tbody><tr><td>a</td><td>b</td></tr></tbody></table>"
        )

    def test_a_row_of_another_length_is_refused(self):
        message = re.escape("a row of 1 cells in a table of 2 columns")
        with pytest.raises(ValueError, match=message):
            html_table(("a", "b"), [["x"]])


def test_a_notebook_has_the_rules_with_it():
    found = notebook_html("<x>")
    assert found.startswith('<div class="hessinf"><style>\n.hessinf {')
    assert found.endswith("</style>&lt;x&gt;</div>")
    selectors = re.findall(r"^(?!  )([^{]+)\{", found, re.MULTILINE)
    assert len(selectors) > 5
    for one in ",".join(selectors).replace('<div class="hessinf"><style>', "").split(","):
        assert one.strip().startswith(".hessinf")  # nothing else of the notebook is touched


@pytest.mark.parametrize(
    ("value", "largest", "declared"),
    [
        (2.0, 2.0, "background: rgba(0, 114, 178, 0.50)"),
        (-1.0, 2.0, "background: rgba(213, 94, 0, 0.25)"),
        (9.0, 2.0, "background: rgba(0, 114, 178, 0.50)"),
        (0.0, 2.0, ""),
        (1.0, 0.0, ""),
    ],
)
def test_shades_say_sign_and_magnitude(value, largest, declared):
    assert shade(value, largest) == declared
