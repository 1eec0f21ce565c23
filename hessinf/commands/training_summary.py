"""How near its minimum a model came in training, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hessinf.display.numbers import counted, number, setting
from hessinf.display.terminal import PLAIN, Style


def training_summary(training: Mapping[str, Any], archive: Path, style: Style = PLAIN) -> str:
    """Say how a model was trained, and where it lies.

    Parameters
    ----------
    training
        The record of training; empty where there is none.
    archive
        The model's directory.
    style
        Of the stream.
    """
    return "\n".join([*_reached(training, style), f"model archive: {archive}"])


def _reached(training: Mapping[str, Any], style: Style) -> Iterator[str]:
    if "gradient_norm" not in training:
        yield "the model has no record of training"
        return
    yield (
        f"trained for {counted(training['epochs'], 'epoch')} ({training['stopped_because']}): "
        f"loss {number(training['loss'])}, objective {number(training['objective'])}"
    )
    norm = f"gradient norm {number(training['gradient_norm'])} (0 at a minimum)"
    reached = training.get("tolerance_reached")
    if reached is None:
        yield norm
        return
    said = style.good("reached") if reached else style.warning("NOT reached")
    yield f"{norm}, tolerance {setting(training['gradient_tolerance'])} {said}"
