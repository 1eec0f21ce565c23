"""Did you mean …? For names, arguments, keys and paths alike."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """Find the candidate that ``word`` was probably meant to be.

    Parameters
    ----------
    word
        What was written.
    candidates
        What would have been accepted.

    Returns
    -------
    str or None
        The closest candidate, ignoring case and the difference between ``-`` and ``_``; None when
        nothing is close.
    """
    import difflib  # only errors need it

    folded: dict[str, str] = {}
    for candidate in candidates:
        folded.setdefault(_fold(candidate), candidate)
    matches = difflib.get_close_matches(_fold(word), list(folded), n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return ``'; did you mean "candidate"?'``, or nothing when nothing is close."""
    candidate = closest(word, candidates)
    return f'; did you mean "{candidate}"?' if candidate is not None else ""


def _fold(word: str) -> str:
    return word.lower().replace("_", "-")
