"""The comparison of pictures: it must tell a broken page from one with other fonts."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.browser.pictures import PicturesDifferError, compare, small

BODY = """<!DOCTYPE html><meta charset=utf-8><style>body {{ font: 16px/1.5 {font}; margin: 24px;
  background: {paper}; color: {ink} }} .side {{ float: left; width: 300px; margin-right: 40px }}
  .bar {{ background: #0a7266; height: 20px; margin: 8px; width: {bar}px }}</style><h1>A page</h1>
  <div class=side>{side}</div><div>{words}<div class=bar></div><div class=bar></div></div>"""

WORDS = "Some words that are set in two columns, as a page has them. " * 12


def picture(pages, **changes) -> Image.Image:
    parts = {
        "font": "DejaVu Sans",
        "paper": "#fff",
        "ink": "#111",
        "bar": 500,
        "side": WORDS,
        "words": WORDS,
        **changes,
    }
    return small(pages.open(BODY.format(**parts), width=1280).screenshot())


def test_the_same_page_in_another_font_is_the_same(pages):
    reference = picture(pages)
    compare(picture(pages), reference)
    compare(picture(pages, font="DejaVu Serif"), reference)
    compare(picture(pages, ink="#222"), reference)


@pytest.mark.parametrize(
    "change",
    [{"paper": "#14171b", "ink": "#eee"}, {"bar": 1}, {"side": ""}, {"words": ""}],
    ids=["the other theme", "no bars", "no list", "no text"],
)
def test_a_page_that_looks_otherwise_differs(pages, change):
    with pytest.raises(PicturesDifferError, match=r"^differs by 0\.\d+ on average"):
        compare(picture(pages, **change), picture(pages))


def test_the_place_of_the_largest_difference_is_said():
    white = Image.fromarray(np.full((66, 106, 3), 255, np.uint8))
    spotted = np.full((66, 106, 3), 255, np.uint8)
    spotted[20:25, 50:55] = 0
    message = r"by 0\.00\d on average .* by 1\.00 .* in the square at x = 600, y = 240$"
    with pytest.raises(PicturesDifferError, match=message):
        compare(Image.fromarray(spotted), white)
    with pytest.raises(PicturesDifferError, match=r"^the picture is \(106, 66\), the reference"):
        compare(white, white.crop((0, 0, 50, 50)))
