"""T4: metrics of curvature beside LDS, and how far they rank approximations alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hessinf.evaluation.rank_correlation import spearman

ANALYSIS, LDS = ": analysis", ": lds"

Aligned = Callable[[Sequence[str], Sequence[Sequence[str]]], str]


def report(runs: Mapping[str, Mapping[str, Any]], aligned: Aligned) -> list[str]:
    """Show a table for each problem that has an analysis and an LDS.

    Parameters
    ----------
    runs
        "NAME: analysis" and "NAME: lds", for each problem.
    aligned
        Makes a Markdown table.
    """
    blocks = []
    for key, run in runs.items():
        name = key.removesuffix(ANALYSIS)
        if name != key:
            lds = runs[name + LDS]["results"]["metrics"]["lds"]["rows"]
            blocks += [f"## {name}", _facts(run["results"]), _table(run["results"], lds, aligned)]
    return blocks


def _facts(analysis: Mapping[str, Any]) -> str:
    stability = analysis["reference"]["whole"]["stability"]
    ends = [f"{float(stability[end]):.3g}" for end in ("smallest", "largest", "condition")]
    return (
        f"{analysis['parameters']:,} parameters; the Hessian has {stability['negative']:,} "
        f"negative eigenvalues (least {ends[0]}, largest {ends[1]}), condition {ends[2]}."
    )


def measures(approximation: Mapping[str, Any], dampings: Sequence[float]) -> dict[str, float]:
    """Return what is compared with LDS, each turned so that larger is better.

    Parameters
    ----------
    approximation
        One of ``analysis.json``.
    dampings
        The λ of inverse residuals.
    """
    beside, whole = approximation["against_reference"]["whole"], approximation["whole"]
    inverse = beside["inverse_space_residual"]
    found = {
        "relative residual": -_number(beside["relative_residual"]),
        **{
            f"inverse residual, λ = {damping:g}": -_number(residual)
            for damping, residual in zip(dampings, inverse, strict=True)
        },
        "off-block ratio": _number(whole["off_block_energy_ratio"]),
        "eigenvalue overlap": _number(beside["eigenvalue_overlap"]),
        "eigenbasis overlap": _number(beside["eigenbasis_overlap"]),
    }
    # That of C itself is infinite for most approximations.
    middle = len(dampings) // 2
    condition = _number(whole["condition_at_damping"][middle])
    found[f"log10 condition, λ = {dampings[middle]:g}"] = -float(np.log10(condition))
    return found


def _number(value: Any) -> float:
    """Return a number of ``analysis.json``, where what is not finite is a text, or null."""
    return float("nan") if value is None else float(value)


def correlation(metric: Sequence[float], quality: Sequence[float]) -> float:
    """Return Spearman's correlation over the rows; NaN where it is not defined."""
    if not np.isfinite(metric).all():
        return float("nan")
    return float(spearman(np.array(metric), np.array(quality)))


def _table(
    analysis: Mapping[str, Any], lds: Mapping[str, Mapping[str, Any]], aligned: Aligned
) -> str:
    found = {
        name: measures(one, analysis["dampings"])
        for name, one in analysis["approximations"].items()
    }
    rows = sorted(found, key=lambda name: -lds[name]["value"])
    quality = [lds[name]["value"] for name in rows]
    titles = list(found[rows[0]])
    reference = lds["exact"]["value"]
    lines = [["exact (the reference)", *("" for _ in titles), f"{reference:.3f}"]]
    lines += [
        [name, *(f"{found[name][title]:.3f}" for title in titles), f"{lds[name]['value']:.3f}"]
        for name in rows
    ]
    ranks = [correlation([found[name][title] for name in rows], quality) for title in titles]
    shown = ["undefined" if np.isnan(value) else f"{value:+.2f}" for value in ranks]
    lines.append(["rank correlation with LDS", *shown, ""])
    return aligned(["approximation", *titles, "LDS"], lines)
