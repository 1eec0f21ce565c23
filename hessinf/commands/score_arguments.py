"""``--scores [NAME=]FILE``: scores of other origin, put into the config."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hessinf.commands.run_config import CheckedConfig, checked_config
from hessinf.registry import ConfigError

ORIENTATIONS = ("transposed", "negated")


def with_scores(checked: CheckedConfig, given: Iterable[str]) -> CheckedConfig:
    """Add files of scores to a config, as if they stood under ``evaluation.scores``.

    Parameters
    ----------
    checked
        The config.
    given
        The arguments of ``--scores``, in order.

    Raises
    ------
    ConfigError
        When one is no file, or the name is taken.
    """
    files = [_parse(text) for text in given]
    if not files:
        return checked
    data = checked.config.data
    evaluation = dict(data.get("evaluation") or {})
    scores: dict[str, Any] = dict(evaluation.get("scores", {}))
    for name, file in files:
        if name in scores:
            raise ConfigError(f'--scores: there are two rows "{name}"; rename one')
        scores[name] = file
    changed = {**data, "evaluation": {**evaluation, "scores": scores}}
    return checked_config(replace(checked.config, data=changed))


def _parse(text: str) -> tuple[str, dict[str, Any]]:
    name, separator, path = text.partition("=")
    if not separator:
        path = text
    said = set()
    while path.rpartition(":")[2] in ORIENTATIONS:
        path, _, word = path.rpartition(":")
        said.add(word)
    if not separator:
        name = Path(path).stem
    if not name or not path:
        raise ConfigError(
            "--scores expects FILE or NAME=FILE, such as theirs=scores.npy or "
            f'theirs=scores.npy:transposed, found "{text}"'
        )
    return name, {"path": path, **{word: word in said for word in ORIENTATIONS}}
