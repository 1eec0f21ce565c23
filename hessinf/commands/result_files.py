"""The files of a run: which there are, what is in them, which to open first."""

from __future__ import annotations

from pathlib import Path

from hessinf.display.terminal import PLAIN, Style
from hessinf.display.text_table import aligned

PAGES = {
    "report.html": "every query with its training examples, the suspects, plots",
    "comparison.html": "agreement, quality and cost as tables and a plot",
}
"""What is opened in a browser."""

CONTENTS = {
    **PAGES,
    "interpretations.jsonl": "helpful and harmful training examples of each query",
    "self_influence.jsonl": "all training examples, the most suspect first",
    "evaluation.json": "all numbers of the evaluation",
    "comparison.json": "all numbers of the comparison",
    "analysis.json": "all numbers, of the whole curvature and of each block",
    "plots": "figures, as SVG and PNG",
    "scores.zarr": "all scores, [queries, training examples]",
    "spectrum.json": "eigenvalues of the curvature",
    "analysis": "what numbers and plots come from",
    "attributions": "the scores of each row",
    "ground_truth": "what retraining has shown, for reuse",
    "metrics.json": "seconds and memory by stage, damping, residuals",
    "config.json": "the config with every default",
    "provenance.json": "versions, seed, hashes of data and configs",
    "log.txt": "what was done when, with all warnings",
    "model": "the trained model, for reuse",
    "factors": "what the interpreter has learnt, for reuse",
}
"""What is in each, in the order in which they are of interest."""


def result_files(directory: Path) -> dict[str, Path]:
    """Return the files and folders that a run has written, by name."""
    paths = {name: directory / name for name in CONTENTS}
    return {name: path for name, path in paths.items() if path.exists()}


def next_steps(directory: Path, style: Style = PLAIN, width: int | None = None) -> list[str]:
    """Say what to open next: the page first, then what else there is.

    Parameters
    ----------
    directory
        Of the run.
    style, width
        Of the stream.
    """
    there = result_files(directory)
    lines = [
        f"open {style.bold(str(there[name]))} in a browser: {text}"
        for name, text in PAGES.items()
        if name in there
    ]
    if not lines and "interpretations.jsonl" in there:
        lines = [f"hessinf report {directory} makes a page of these results, for a browser"]
    rows = [[name, CONTENTS[name]] for name in there]
    return [*lines, f"results in {directory}:", *aligned(["", ""], rows, left=(0, 1), width=width)]
