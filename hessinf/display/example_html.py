"""What a person is shown of an example, as HTML that stands by itself: image, text, row, label.

Sizes and colors stand at the elements: nothing of a page's style sheet is needed. Colors are those
of the text around, and shadings that text is read on in light and in dark.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hessinf.display.example_text import are_texts
from hessinf.display.html_text import Html, escaped, joined, with_minus
from hessinf.display.numbers import counted, number, signed
from hessinf.display.pixels import ValueRange, pixels_of, reduced
from hessinf.display.png import data_uri
from hessinf.display.shades import shade

SIDE, LARGEST = 96, 320
"""Screen pixels of the longer side of an image, at least and at most."""

LONGEST_TEXT = 2_000
"""Characters of a text that are shown."""

MOST_COLUMNS = 30
"""Columns of a row that are shown."""

STACKS = 3
"""So many lists of columns of a row stand side by side at most."""

KNOWN = ("image", "text", "tokens", "row")
LABELS = ("label", "target", "flipped_from")


def example_html(
    display: Mapping[str, Any],
    *,
    shown: ValueRange | None = None,
    token_influence: Sequence[float] | None = None,
    columns: int = MOST_COLUMNS,
    characters: int = LONGEST_TEXT,
    side: int = SIDE,
    largest: int = LARGEST,
    labeled: bool = True,
    compact: bool = False,
) -> Html:
    """Show an example.

    Parameters
    ----------
    display
        ``Instance.display``: "image", "text" with "tokens" or without, "row", "label" or "target",
        "flipped_from", and further keys, which are shown as small facts. Nothing in it is trusted.
    shown
        The values of images that are black and white
        (:func:`hessinf.display.pixels.value_range`); by the image alone when left out.
    token_influence
        A number for each of ``display["tokens"]``: the background of the token shows it, blue where
        positive and orange where negative, the largest magnitude the strongest.
    columns, characters
        How much of a row and of a text is shown; what is left out is counted.
    side, largest
        Screen pixels of an image's longer side, at least and at most: small ones are shown in whole
        multiples of their size, large ones made smaller.
    labeled
        Whether label and target are shown.
    compact
        Whether a row is written as running text, where a table would be too high.

    Returns
    -------
    Html
        Empty where there is nothing to show.
    """
    parts = []
    if "image" in display:
        parts.append(_image(display["image"], shown, side, largest))
    tokens: Any = display.get("tokens")
    if are_texts(tokens):
        parts.append(_tokens(display.get("text"), tokens, token_influence, characters))
    elif "text" in display:
        parts.append(_block(_cut(_text(display["text"]), characters)))
    if isinstance(display.get("row"), Mapping):
        parts.append((_running if compact else _row)(display["row"], columns))
    elif "row" in display:
        parts.append(_facts({"row": display["row"]}, characters))
    parts.append(_facts(_others(display, tokens, labeled), characters))
    return joined(*parts)


def _others(display: Mapping[str, Any], tokens: Any, labeled: bool) -> dict[str, Any]:
    """Collect what is shown as facts."""
    found = {key: value for key, value in display.items() if key not in KNOWN and key not in LABELS}
    if tokens is not None and not are_texts(tokens):
        found["tokens"] = tokens
    if not labeled:
        return found
    labels = {key: display[key] for key in LABELS if key in display}
    if "flipped_from" in labels:
        labels["was"] = labels.pop("flipped_from")
    return labels | found


def _image(image: Any, shown: ValueRange | None, side: int, largest: int) -> Html:
    pixels = pixels_of(image, shown)
    if pixels is None:
        return _facts({"image": image}, LONGEST_TEXT)
    size = " by ".join(map(str, pixels.shape[:2]))
    pixels = reduced(pixels, largest)
    height, width = pixels.shape[:2]
    # Whole multiples: pixels stay squares of one size.
    factor = max(1, -(-side // max(height, width)))
    return Html(
        f'<img src="{data_uri(pixels)}" width="{width * factor}" height="{height * factor}" '
        f'alt="image of {size} pixels" '
        'style="image-rendering: pixelated; max-width: 100%; height: auto; margin: 0"/>'
    )


def _tokens(
    text: Any, tokens: Sequence[str], influence: Sequence[float] | None, characters: int
) -> Html:
    """Write tokens on a background that shows their influence, with what lies between them."""
    between, rest = _between(text, tokens)
    largest = max((abs(one) for one in influence), default=0.0) if influence else 0.0
    parts: list[str] = []
    length = 0
    for place, (blank, token) in enumerate(zip(between, tokens, strict=True)):
        length += len(blank) + len(token)
        if length > characters and place:
            parts.append(_more(len(tokens) - place, "token"))
            return _block(joined(*parts))
        shown = _cut(token, characters)
        if influence is not None and place < len(influence) and largest > 0:
            shown = _shaded(shown, influence[place], largest)
        parts += [blank, shown]
    return _block(joined(*parts, _cut(rest, max(characters - length, 0)) if rest else ""))


def _between(text: Any, tokens: Sequence[str]) -> tuple[list[str], str]:
    """Return what stands in a text before each token, and after the last; blanks without a text."""
    found, start = [], 0
    if isinstance(text, str):
        for token in tokens:
            place = text.find(token, start)
            if place < 0:
                break
            found.append(text[start:place])
            start = place + len(token)
        else:
            return found, text[start:]
    return ["", *[" "] * (len(tokens) - 1)][: len(tokens)], ""


def _shaded(token: Html, influence: float, largest: float) -> Html:
    return Html(
        f'<span style="{shade(influence, largest)}; border-radius: 2px" '
        f'title="{escaped(with_minus(signed(influence)))}">{token}</span>'
    )


def _row(row: Mapping[str, Any], columns: int) -> Html:
    """Write names and values below each other, in as many stacks as there is room for."""
    fields = "".join(
        '<div style="display: flex; justify-content: space-between; gap: 1em; '
        'break-inside: avoid; border-bottom: 1px solid rgba(128, 128, 128, .35)">'
        f"<span>{escaped(str(name))}</span><span>{_field(value)}</span></div>"
        for name, value in list(row.items())[:columns]
    )
    stacks = f'<div style="columns: {STACKS} 15em; max-width: 56em">{fields}</div>'
    return joined(Html(stacks), _left_out(row, columns))


def _running(row: Mapping[str, Any], columns: int) -> Html:
    fields = (
        f'<span style="opacity: .75">{escaped(str(name))}</span> {_field(value)}'
        for name, value in list(row.items())[:columns]
    )
    return joined(Html(" · ".join(fields)), _left_out(row, columns))


def _field(value: Any) -> Html:
    return Html(f"<bdi>{_cut(_text(value), LONGEST_TEXT)}</bdi>")


def _left_out(row: Mapping[str, Any], columns: int) -> Html:
    return _more(len(row) - columns, "column") if len(row) > columns else Html()


def _facts(facts: Mapping[str, Any], characters: int) -> Html:
    return joined(
        *(
            Html(
                f'<div><span style="opacity: .75">{escaped(str(key))}</span> '
                f"<bdi>{escaped(_cut(_text(value), characters))}</bdi></div>"
            )
            for key, value in facts.items()
        )
    )


def _block(content: str) -> Html:
    return Html(
        '<div dir="auto" style="white-space: pre-wrap; overflow-wrap: anywhere; max-width: 40em; '
        f'text-align: start">{escaped(content)}</div>'
    )


def _cut(text: str, characters: int) -> Html:
    if len(text) <= characters:
        return escaped(text)
    return joined(text[:characters], _more(len(text) - characters, "character"))


def _more(count: int, what: str) -> Html:
    return Html(f'<span style="opacity: .75"> … {counted(count, f"more {what}")}</span>')


def _text(value: Any) -> str:
    """Write a value as text: numbers as numbers are, nested values as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, int | float):
        return with_minus(number(value))
    return json.dumps(value, ensure_ascii=False, default=str)
