"""Made up run directories, as small as can be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hessinf.scores.score_histogram import ScoreDistribution
from tests.reporting.comparisons import comparison, costs
from tests.reporting.made_up_lines import block, ranked


def write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value), encoding="utf-8")


def write_lines(file: Path, lines: Sequence[Any]) -> None:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def interpreted(scores: Sequence[Sequence[float]], *, listed: int = 2) -> list[dict[str, Any]]:
    """Make lines of interpretations from scores [Q, N]."""
    distribution = ScoreDistribution(len(scores))
    distribution.add(torch.tensor(scores, dtype=torch.float64))
    lines = []
    for place, (row, counted) in enumerate(zip(scores, distribution.to_json(), strict=True)):
        ordered = sorted(row, reverse=True)
        lines.append(
            {
                "query": {"id": f"test/{place}"},
                "helpful": [{"score": score} for score in ordered[:listed]],
                "harmful": [{"score": score} for score in ordered[::-1][:listed]],
                "scores": counted,
            }
        )
    return lines


def interpret_run(
    folder: Path,
    *,
    scores: Sequence[Sequence[float]] = ((8.0, 4.0, 1.0, -2.0, 0.0), (8.0, 2.0, 1.0, -4.0, -2.0)),
    self_influence: Sequence[float | None] = (9.0, 5.0, 2.0, 0.5, 0.1),
    **metrics: Any,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "provenance.json", {"hessinf": "0"})
    write_json(folder / "metrics.json", {"complete": True, "command": "interpret", **metrics})
    write_lines(folder / "interpretations.jsonl", interpreted(scores))
    order = [3, 0, 4, 1, 2]
    write_lines(
        folder / "self_influence.jsonl",
        [
            ranked(order[rank], value, rank=rank, loss=1.0 / (1 + rank))
            for rank, value in enumerate(self_influence)
        ],
    )
    write_json(folder / "spectrum.json", spectrum_of({"first": [4.0, 1.0], "last": [2.0]}))
    return folder


def spectrum_of(blocks: dict[str, list[float]], **changes: Any) -> dict[str, Any]:
    return {
        "curvature": "K-FAC, type-2 Fisher",
        "complete": True,
        "blocks": [block(name, values, 0.01) for name, values in blocks.items()],
        **changes,
    }


def compare_run(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "comparison.json", comparison(**changes))
    write_json(folder / "metrics.json", {"rows": costs("kfac", "ekfac"), "complete": True})
    return folder
