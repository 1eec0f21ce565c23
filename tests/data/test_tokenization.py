from __future__ import annotations

import pytest

from hessinf.data.tokenization import tokens_of


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It wasn't bad -- 7/10!", ["It", "wasn't", "bad", "-", "-", "7", "/", "10", "!"]),
        ("Ünïcode naïve", ["Ünïcode", "naïve"]),
        ("nai\u0308ve", ["nai\u0308ve"]),
        ("l’été d'hiver 'quoted'", ["l’été", "d'hiver", "'", "quoted", "'"]),
        ("snake_case x1", ["snake_case", "x1"]),
        ("很好。Super很", ["很", "好", "。", "Super", "很"]),
        ("かな カナ", ["か", "な", "カ", "ナ"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया", "।"]),
        ("مَرْحَبًا بك", ["مَرْحَبًا", "بك"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("<b>1</b>", ["<", "b", ">", "1", "<", "/", "b", ">"]),
        ("a\u00a0b\tc\n\u2028d", ["a", "b", "c", "d"]),
        ("🙂🙂 ok\x00", ["🙂", "🙂", "ok", "\x00"]),
        (" \n\t ", []),
    ],
)  # fmt: skip
def test_tokens(text, tokens):
    assert tokens_of(text) == tokens


def test_nothing_but_blanks_is_left_out():
    text = "He said: “50 % of it's\u200bgone…”\r\n— 真的吗？ ʼn a\u0301b"
    assert "".join(tokens_of(text)) == "".join(text.split())
