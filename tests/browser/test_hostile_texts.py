from __future__ import annotations

from tests.browser.hostile_texts import HOSTILE, missing, pieces


def test_the_readable_pieces_of_a_text_are_looked_for():
    assert pieces("a \x00b\u202ec\n<d>") == ["a", "b", "c", "<d>"]
    assert missing(["a <b>", "\u202ec", ""], "x a &lt;b> c") == ["a <b>"]
    assert missing(HOSTILE, " ".join(HOSTILE)) == []
