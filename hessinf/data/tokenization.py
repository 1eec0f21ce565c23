"""Texts cut into words and marks."""

from __future__ import annotations

import re

MARKS = (
    "\u0300-\u036f"  # accents written after their letter
    "\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670"  # Hebrew and Arabic vowels
    "\u0900-\u0963\u0966-\u0dff\u0e30-\u0e4e"  # the scripts of India, and Thai
    "\u200c\u200d"  # joiners within a word
)
"""What Python takes for no part of a word, and is one."""

ONE_A_CHARACTER = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Han characters and kana, which are written without blanks between words."""

TOKEN = re.compile(
    f"[{ONE_A_CHARACTER}]"
    f"|(?:(?![{ONE_A_CHARACTER}])\\w)(?:(?![{ONE_A_CHARACTER}])[\\w{MARKS}])*"
    f"(?:['\u2019](?:(?![{ONE_A_CHARACTER}])[\\w{MARKS}])+)*"
    "|[^\\w\\s]"
)


def tokens_of(text: str) -> list[str]:
    """Cut a text into tokens: its words, and each of its other characters that is no blank.

    A word is a run of letters, digits and underscores, with apostrophes inside (``didn't``). Han
    characters and kana are a token each. Nothing but blanks is left out.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    list of str
        As they are written, in order.

    Examples
    --------
    >>> tokens_of("It wasn't bad -- 7/10!")
    ['It', "wasn't", 'bad', '-', '-', '7', '/', '10', '!']
    """
    return TOKEN.findall(text)
