"""What a finished analysis shows on standard output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hessinf.commands.finished_run import FinishedRun
from hessinf.commands.result_files import next_steps
from hessinf.commands.stage_table import stage_table
from hessinf.display.numbers import counted, estimate, number, setting
from hessinf.display.terminal import PLAIN, WIDTH, Style, visible, wrapped
from hessinf.display.text_table import aligned
from hessinf.runtime.run_files import ANALYSIS

NOTHING = "-"


def summarize_analysis(run: FinishedRun, *, style: Style = PLAIN, width: int = WIDTH) -> str:
    """Describe a finished analysis: the table, what it leaves out, where results lie.

    Parameters
    ----------
    run
        What :func:`hessinf.commands.analyze_run.analyze` returned.
    style, width
        Of the stream.

    Returns
    -------
    str
        Several lines.
    """
    analysis, metrics = run.json_of(ANALYSIS), run.metrics
    title = (
        f"curvature of {counted(analysis['parameters'], 'parameter')} in "
        f"{counted(len(analysis['blocks']), 'block')}, {analysis['mode']}: {run.ending}"
    )
    notes = list(_legend(analysis))
    if metrics.get("plots_left_out"):
        notes.append(f"note: {metrics['plots_left_out']}")
    blocks = [
        [style.bold(title), *_training(metrics.get("training") or {})],
        stage_table(metrics, style),
        _table(analysis, style, width),
        [line for note in notes for line in wrapped(note, width, "", "  ")],
        next_steps(run.directory, style, width),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _training(training: dict[str, Any]) -> Iterator[str]:
    if "gradient_norm" in training:
        yield (
            f"model: training loss {number(training['loss'])}, gradient norm "
            f"{number(training['gradient_norm'])} (0 at a minimum)"
        )


def _table(analysis: dict[str, Any], style: Style, width: int) -> list[str]:
    dense = analysis["mode"] == "dense"
    dampings = analysis["dampings"] if dense else []
    header = [
        "curvature\n",
        "relative\nresidual",
        *[f"inverse\nλ={setting(damping)}" for damping in dampings],
        "eigenvalue\noverlap",
        "eigenbasis\noverlap",
        "off-block\nratio",
        "condition\n" if dense else "largest\neigenvalue",
        "negative\neigenvalues",
    ]
    cells = _dense_cells if dense else _estimated_cells
    rows = [
        [f"{_reference_name(analysis)} (reference)", *cells(analysis["reference"], len(dampings))],
        *[
            [visible(name), *cells(found, len(dampings))]
            for name, found in sorted(analysis["approximations"].items(), key=_residual)
        ],
    ]
    return aligned(header, rows, width=width, split=True, style=style)


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
        _number(whole["stability"]["condition"]),
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
    count, error, half = (
        number(round(value[key])) for key in ("value", "standard_error", "with_half_the_steps")
    )
    return f"{count} ± {error} ({half})"


def _root(square: dict[str, Any]) -> dict[str, Any]:
    """Return the root of an estimate, with its standard error to first order."""
    value = square["value"]
    if not isinstance(value, float) or not value > 0:
        return square
    return {"value": value**0.5, "standard_error": square["standard_error"] / (2 * value**0.5)}


def _estimate(value: dict[str, Any] | None) -> str:
    if value is None or not isinstance(value["value"], float | int):
        return NOTHING
    return estimate(value["value"], value["standard_error"])


def _number(value: Any) -> str:
    return NOTHING if value is None else number(value)


def _legend(analysis: dict[str, Any]) -> Iterator[str]:
    first = next(iter(analysis["approximations"].values()))["against_reference"]["whole"]
    random = first["eigenbasis_overlap_of_random_subspaces"]
    k = first["top_k"]
    trivial = (
        ": all of them, so that it is 1 whatever they are"
        if first["eigenbasis_overlap_is_trivial"]
        else f"; random subspaces have {number(random)}"
    )
    yield f"eigenbasis overlap: of the {k} eigenvectors of largest magnitude{trivial}"
    if analysis["mode"] == "dense":
        yield "inverse: the relative residual of (C + λI)⁻¹; condition: of C itself, undamped"
        negative = analysis["reference"]["whole"]["negative_at_damping"]
        if any(negative):
            counts = ", ".join(
                f"{count:,} at λ={setting(damping)}"
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
