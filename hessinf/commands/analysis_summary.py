"""What a finished analysis shows on standard output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hessinf.commands.evaluation_table import aligned

NOTHING = "-"

FILES = {
    "analysis.json": "all numbers, of the whole and of each block",
    "plots": "heat maps, spectra, inversion errors (PNG and SVG)",
    "analysis": "what each curvature's numbers and plots come from",
    "metrics.json": "seconds and memory by stage",
    "config.json": "the config with every default",
    "model": "the trained model",
}


def summarize_analysis(folder: Path, *, was_complete: bool) -> str:
    """Describe a finished analysis: the table, what it leaves out, where results lie.

    Parameters
    ----------
    folder
        Of the run.
    was_complete
        Whether there was nothing left to do.

    Returns
    -------
    str
        Text without colours.
    """
    analysis = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    lines = [
        f"curvature of {_counted(analysis['parameters'], 'parameter')} in "
        f"{_counted(len(analysis['blocks']), 'block')}, "
        f"{analysis['mode']}: {'finished before' if was_complete else 'finished'}",
        *_training(metrics.get("training") or {}),
        "",
        *_table(analysis),
        "",
        *_legend(analysis),
    ]
    if metrics.get("plots_left_out"):
        lines.append(f"note: {metrics['plots_left_out']}")
    lines += ["", f"results in {folder}:"]
    lines += [f"  {name:<14} {text}" for name, text in FILES.items() if (folder / name).exists()]
    return "\n".join(lines)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("s" if number != 1 else "")


def _training(training: dict[str, Any]) -> Iterator[str]:
    if "gradient_norm" in training:
        yield (
            f"model: training loss {training['loss']:.4g}, gradient norm "
            f"{training['gradient_norm']:.2g} (0 at a minimum)"
        )


def _table(analysis: dict[str, Any]) -> list[str]:
    dense = analysis["mode"] == "dense"
    dampings = analysis["dampings"] if dense else []
    header = [
        ("curvature", ""),
        ("relative", "residual"),
        *[("inverse", f"λ={damping:g}") for damping in dampings],
        ("eigenvalue", "overlap"),
        ("eigenbasis", "overlap"),
        ("off-block", "ratio"),
        ("condition", "") if dense else ("largest", "eigenvalue"),
        ("negative", "eigenvalues"),
    ]
    cells = _dense_cells if dense else _estimated_cells
    rows = [
        [f"{_reference_name(analysis)} (reference)", *cells(analysis["reference"], len(dampings))],
        *[
            [name, *cells(found, len(dampings))]
            for name, found in sorted(analysis["approximations"].items(), key=_residual)
        ],
    ]
    first, second = ([cell[line] for cell in header] for line in (0, 1))
    return aligned(first, [second, *rows])


def _residual(row: tuple[str, dict[str, Any]]) -> float:
    """Sort rows: the nearest to the reference first."""
    residual = row[1]["against_reference"]["whole"]["relative_residual"]
    return float(residual["value"] if isinstance(residual, dict) else residual)


def _reference_name(analysis: dict[str, Any]) -> str:
    name: str = analysis["reference"]["curvature"]
    return "hessian" if name == "exact" else name


def _dense_cells(found: dict[str, Any], dampings: int) -> list[str]:
    whole = found["whole"]
    compared = found.get("against_reference", {}).get("whole", {})
    inverse = compared.get("inverse_space_residual", [None] * dampings)
    return [
        _number(compared.get("relative_residual")),
        *[_number(residual) for residual in inverse],
        _number(compared.get("eigenvalue_overlap")),
        _number(compared.get("eigenbasis_overlap")),
        _number(whole["off_block_energy_ratio"]),
        _number(whole["stability"]["condition"], digits=2),
        f"{whole['stability']['negative']:,}",
    ]


def _estimated_cells(found: dict[str, Any], _: int) -> list[str]:
    whole = found["whole"]
    compared = found.get("against_reference", {}).get("whole", {})
    return [
        _estimate(compared.get("relative_residual")),
        _number(compared.get("eigenvalue_overlap_top_k")),
        _number(compared.get("eigenbasis_overlap")),
        _estimate(_root(whole["off_block_energy_share"])),
        _number(whole["largest_eigenvalue_at_least"]),
        _count(whole["negative"]),
    ]


def _count(value: dict[str, Any]) -> str:
    """Write an estimated number of eigenvalues, and what half the Lanczos steps make of it."""
    return (
        f"{value['value']:,.0f} ± {value['standard_error']:.0f} "
        f"({value['with_half_the_steps']:,.0f})"
    )


def _root(square: dict[str, Any]) -> dict[str, Any]:
    """Return the root of an estimate, with its standard error to first order."""
    value = square["value"]
    if not isinstance(value, float) or not value > 0:
        return square
    return {"value": value**0.5, "standard_error": square["standard_error"] / (2 * value**0.5)}


def _estimate(value: dict[str, Any] | None, digits: int = 4) -> str:
    if value is None or not isinstance(value["value"], float | int):
        return NOTHING
    return f"{value['value']:.{digits}f} ± {value['standard_error']:.{digits}f}"


def _number(value: Any, digits: int = 3) -> str:
    """Write a number with some significant digits; texts are "nan" and "inf"."""
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else f"{value:.{digits}g}"


def _legend(analysis: dict[str, Any]) -> Iterator[str]:
    first = next(iter(analysis["approximations"].values()))["against_reference"]["whole"]
    random = first["eigenbasis_overlap_of_random_subspaces"]
    k = first["top_k"]
    trivial = (
        ": all of them, so that it is 1 whatever they are"
        if first["eigenbasis_overlap_is_trivial"]
        else f"; random subspaces have {random:.3g}"
    )
    yield f"eigenbasis overlap: of the {k} eigenvectors of largest magnitude{trivial}"
    if analysis["mode"] == "dense":
        yield "inverse: the relative residual of (C + λI)⁻¹; condition: of C itself, undamped"
        negative = analysis["reference"]["whole"]["negative_at_damping"]
        if any(negative):
            counts = ", ".join(
                f"{count:,} at λ={damping:g}"
                for count, damping in zip(negative, analysis["dampings"], strict=True)
            )
            yield (
                f"note: the damped reference has negative eigenvalues ({counts}): some may lie "
                "near zero, where they make up the whole inverse and its residual"
            )
    else:
        yield f"eigenvalue overlap: of the {k} of largest magnitude; ± is a standard error"
        yield (
            "negative eigenvalues: a rough count where many lie near zero; in brackets with half "
            "the Lanczos steps (analysis.lanczos_steps)"
        )
        for name, reason in analysis["not_computed"].items():
            yield f"not computed: {name} ({reason})"
