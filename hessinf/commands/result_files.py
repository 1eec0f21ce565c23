"""The files of a run: which there are, what is in them, which to open first."""

from __future__ import annotations

from pathlib import Path

from hessinf.display.terminal import PLAIN, Style, wrapped
from hessinf.display.text_table import aligned
from hessinf.runtime import run_files

PAGES = {
    run_files.REPORT_PAGE: "every query with its training examples, the suspects, plots",
    run_files.COMPARISON_PAGE: "agreement, quality and cost as tables and a plot",
}
"""What is opened in a browser."""

CONTENTS = {
    **PAGES,
    run_files.INTERPRETATIONS: "helpful and harmful training examples of each query",
    run_files.SELF_INFLUENCE: "all training examples, the most suspect first",
    run_files.EVALUATION: "all numbers of the evaluation",
    run_files.COMPARISON: "all numbers of the comparison",
    run_files.ANALYSIS: "all numbers, of the whole curvature and of each block",
    run_files.PLOTS: "figures, as SVG and PNG",
    "scores.zarr": "all scores, [queries, training examples]",
    run_files.SPECTRUM: "eigenvalues of the curvature",
    "analysis": "what numbers and plots come from",
    "attributions": "the scores of each row",
    "ground_truth": "what retraining has shown, for reuse",
    run_files.METRICS: "seconds and memory by stage, damping, residuals",
    run_files.CONFIG: "the config with every default",
    run_files.PROVENANCE: "versions, seed, hashes of data and configs",
    run_files.LOG: "what was done when, with all warnings",
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
    lines = []
    for name, text in PAGES.items():
        if name in there:
            lines += _opening(str(there[name]), text, style, width)
    if not lines and run_files.INTERPRETATIONS in there:
        lines = [f"hessinf report {directory} makes a page of these results, for a browser"]
    rows = [[name, CONTENTS[name]] for name in there]
    return [*lines, f"results in {directory}:", *aligned(["", ""], rows, left=(0, 1), width=width)]


def _opening(page: str, text: str, style: Style, width: int | None) -> list[str]:
    """Say which page to open; its path stays whole, for people to copy."""
    start, rest = f"open {page} ", f"in a browser: {text}"
    lines = [start + rest] if width is None else wrapped(rest, width, start, "  ")
    return [f"open {style.bold(page)}{lines[0].removeprefix(f'open {page}')}", *lines[1:]]
