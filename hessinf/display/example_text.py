"""What a person is shown of an example in a line of text: its label, what was predicted, a text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from hessinf.display.numbers import measured, number, percent
from hessinf.display.terminal import visible

SAME = 1e-4
"""How near two numbers are that float32 has made of one."""

MOST_NUMBERS = 4
"""Numbers of a target or a prediction that are shown."""


def label_text(display: Mapping[str, Any], target: Any) -> str:
    """Name an example's label, and the one that it had before it was changed on purpose.

    Parameters
    ----------
    display
        ``Instance.display``; nothing in it is trusted.
    target
        A class, a number or numbers; shown where ``display`` has no label.
    """
    label = display["label"] if "label" in display else display.get("target", target)
    was = f" (was {value_text(display['flipped_from'])})" if "flipped_from" in display else ""
    return f"{value_text(label)}{was}"


def target_text(display: Mapping[str, Any], target: Any) -> str:
    """Name an example's label so that a prediction can stand beside it.

    Where the model is trained on other numbers than people are shown, as on standardized targets,
    those are said too: predictions are of their kind.

    Parameters
    ----------
    display, target
        As for :func:`label_text`.
    """
    shown = label_text(display, target)
    seen = target[0] if isinstance(target, list) and len(target) == 1 else target
    raw = display.get("target", seen)
    if not (isinstance(seen, float) and isinstance(raw, int | float)):
        return shown
    same = math.isclose(seen, raw, rel_tol=SAME, abs_tol=SAME)
    return shown if same else f"{shown} (to the model {number(seen)})"


def prediction_text(query: Mapping[str, Any], names: Mapping[int, str]) -> str:
    """Say what was predicted, and with which probability.

    Parameters
    ----------
    query
        As a line of ``interpretations.jsonl`` has it.
    names
        The names of classes by number, as far as they are known.
    """
    prediction = query["prediction"]
    is_class = isinstance(prediction, int) and prediction in names
    text = visible(names[prediction]) if is_class else value_text(prediction)
    probability = (query.get("probability") or {}).get("prediction")
    return text if probability is None else f"{text} ({percent(probability)})"


def class_names(examples: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Name the classes by number, as far as examples do that have a class and a label.

    Parameters
    ----------
    examples
        Each with "target" and "display".
    """
    return {
        example["target"]: str(example["display"]["label"])
        for example in examples
        if isinstance(example["target"], int) and "label" in example["display"]
    }


def value_text(value: Any) -> str:
    """Write a label or a value: classes as they are, numbers as measured ones are written."""
    if isinstance(value, list):
        if len(value) == 1:
            return value_text(value[0])
        more = ", …" if len(value) > MOST_NUMBERS else ""
        return f"[{', '.join(map(value_text, value[:MOST_NUMBERS]))}{more}]"
    return measured(value) if isinstance(value, float) else visible(str(value))


def excerpt(display: Mapping[str, Any]) -> str:
    """Return an example's text as one line; empty where it has none."""
    text = display.get("text")
    if text is None and are_texts(display.get("tokens")):
        text = " ".join(display["tokens"])
    return " ".join(visible(text).split()) if isinstance(text, str) else ""


def are_texts(tokens: Any) -> bool:
    """Say whether ``display["tokens"]``, which may be anything, is a list of texts."""
    return isinstance(tokens, list | tuple) and all(isinstance(token, str) for token in tokens)
