from __future__ import annotations

import re
from importlib.resources import files

import pytest

from hessinf.reporting import page_style
from hessinf.reporting.page_style import COLORS
from tests.reporting.contrast import channels, contrast

FOLDER = files("hessinf.reporting") / "page"
NAMES = sorted(one.name for one in FOLDER.iterdir())
LISTED = {
    *page_style.COMPARISON_STYLES,
    *page_style.REPORT_STYLES,
    *page_style.THEME_SCRIPTS,
    *page_style.COMPARISON_SCRIPTS,
    *page_style.REPORT_SCRIPTS,
}

# Ways in which a text from data could become HTML or code.
DANGEROUS = re.compile(
    r"innerHTML\s*=|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|"
    r"DOMParser|createContextualFragment|srcdoc|setTimeout\(\s*[\"'`]"
)

# What would need a network.
ELSEWHERE = re.compile(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\((?!#)|fetch\(|XMLHttp")


def test_black_on_white_has_the_largest_contrast():
    assert contrast(channels("#000000"), channels("#ffffff")) == pytest.approx(21)


def test_every_file_is_used():
    assert set(NAMES) == LISTED


@pytest.mark.parametrize("name", NAMES)
class TestFiles:
    def test_it_is_short(self, name):
        assert len((FOLDER / name).read_text(encoding="utf-8").splitlines()) <= 400

    def test_data_cannot_become_code_in_it(self, name):
        assert DANGEROUS.findall((FOLDER / name).read_text(encoding="utf-8")) == []

    def test_it_asks_no_network(self, name):
        assert ELSEWHERE.findall((FOLDER / name).read_text(encoding="utf-8")) == []

    def test_it_can_stand_in_a_page(self, name):
        text = (FOLDER / name).read_text(encoding="utf-8").lower()
        assert "</" not in text
        assert "<!--" not in text

    def test_it_says_what_it_is(self, name):
        first = (FOLDER / name).read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("/* " if name.endswith(".css") else "// ")


def test_every_color_that_is_used_is_known():
    used = set(re.findall(r"var\(--([a-z]+)\)", page_style.report_style_sheet()))
    own = set(re.findall(r"--([a-z]+):", page_style.report_style_sheet()))
    set_by_scripts = set(re.findall(r'"--([a-z]+)"', page_style.report_script()))
    assert used - own - set_by_scripts == set()


@pytest.mark.parametrize("theme", COLORS)
class TestColors:
    """WCAG 2.2, level AA: 4.5 for text, 3 for edges of controls and for what is drawn."""

    @pytest.mark.parametrize("paper", ["paper", "panel"])
    @pytest.mark.parametrize("text", ["text", "quiet", "accent", "warning", "helpful", "harmful"])
    def test_text_is_legible(self, theme, text, paper):
        assert contrast(channels(COLORS[theme][text]), channels(COLORS[theme][paper])) >= 4.5

    @pytest.mark.parametrize("paper", ["paper", "panel"])
    def test_edges_of_controls_stand_out(self, theme, paper):
        edge = channels(COLORS[theme]["edge"])
        assert contrast(edge, channels(COLORS[theme][paper])) >= 3

    @pytest.mark.parametrize("fill", ["agree", "disagree"])
    def test_numbers_are_legible_in_every_cell(self, theme, fill):
        full, paper = channels(COLORS[theme][fill]), channels(COLORS[theme]["paper"])
        for share in (0, 0.25, 0.5, 0.75, 1):
            mixed = [
                share * one + (1 - share) * other for one, other in zip(full, paper, strict=True)
            ]
            assert contrast(channels(COLORS[theme]["text"]), mixed) >= 4.5


def test_the_same_names_have_values_in_both_themes_and_the_dark_ones_are_for_screens():
    sheet = page_style.comparison_style_sheet()
    assert sheet.count("{ color-scheme: dark;") == sheet.count("@media screen") == 2
    assert COLORS["light"].keys() == COLORS["dark"].keys()


def test_scripts_keep_their_names_to_themselves():
    for script in (
        page_style.theme_script(),
        page_style.comparison_script(),
        page_style.report_script(),
    ):
        assert script.startswith('(() => {\n"use strict";\n// ')
        assert script.endswith("})();\n")
