"""The table of the results, as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BEGIN = "<!-- begin: python -m benchmarks.peers -->"
END = "<!-- end: python -m benchmarks.peers -->"

COLUMNS = (
    *("package", "method", "fit s", "score s", "CPU s", "warm CPU s", "wall s", "× kernel"),
    *("peak MB", "with reference", "with hessinf", "hessinf is ahead", "warm"),
)


def markdown(results: dict[str, Any]) -> str:
    """Write all results: what was measured with, a table for each row, and what has no row."""
    parts = [
        *(header(results), *(row_table(row) for row in results["rows"].values())),
        *([growth_table(results["growth"])] if results.get("growth") else []),
        *([contraction_table(results["contraction"])] if results.get("contraction") else []),
        *([start_up_table(results["start_up"])] if results.get("start_up") else []),
    ]
    return "\n\n".join(parts) + "\n"


def header(results: dict[str, Any]) -> str:
    """Say where and with what."""
    machine = results["machine"]
    found = sorted(
        {
            f"{entry['peer']} {version}"
            for row in results["rows"].values()
            for entry in row["entries"]
            if (version := own_version(entry)) is not None
        }
    )
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['python']}; "
        f"{', '.join(found)}. Seconds are processor seconds (user and system) unless they are "
        'called wall; medians of runs that are a process of their own each. "× kernel": over the '
        "processor seconds of a product of matrices of 17.2 GFLOP in the same process. Agreement: "
        "Pearson correlation over all scores / mean rank correlation of a query; the reference is "
        "float64, and for hessinf's sampled Fisher one with the same targets."
    )


def measured_as(found: dict[str, Any]) -> str:
    """Say when something was measured, how often, and of which hessinf."""
    runs, threads = found["runs"], found["threads"]
    return (
        f"Measured on {found['date']}, {runs} run{'s' if runs > 1 else ''}, "
        f"{threads} thread{'s' if threads > 1 else ''}, hessinf at {found['commit']}."
    )


def own_version(entry: dict[str, Any]) -> str | None:
    """Find the version of a package in what its process reported."""
    known = entry.get("versions") or {}
    for name in (entry["peer"], f"{entry['peer']}-for-pytorch"):
        if name in known:
            return known[name]
    return None


def row_table(row: dict[str, Any]) -> str:
    """Write the table of one row, and its bars."""
    work = row["workload"]
    lines = [
        f"### {row['title']}",
        "",
        f"`{row['name']}`: N = {work['train']:,}, Q = {work['queries']:,}, "
        f"{work['parameters']:,} parameters. {measured_as(row)}",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---|---|" + "---:|" * (len(COLUMNS) - 2),
    ]
    lines += [entry_line(entry) for entry in row["entries"]]
    if row["bars"]:
        lines += ["", *(f"- {bar_text(bar)}" for bar in row["bars"])]
    return "\n".join(lines)


def entry_line(entry: dict[str, Any]) -> str:
    """Write what one package did."""
    if entry["how"] != "finished":
        ahead = f"> {entry['ahead']:.3g}×" if entry.get("ahead") else ""
        used = f"> {entry['cpu']:.3g}" if entry["how"].startswith("over") else ""
        said = f"{entry['how']}: {entry['said']}" if entry.get("said") else entry["how"]
        cells = [entry["peer"], f"{entry['method']}, {escaped(said)}", "", "", used]
        return "| " + " | ".join([*cells, "", "", "", "", "", "", ahead, ""]) + " |"
    agreement = entry["agreement"]
    ahead = f"{entry['ahead']:.3g}×" if entry.get("ahead") else ""
    if ahead and entry["bar"] is not None:
        ahead += f" (≥ {entry['bar']:g}×)"
    cells = [
        *(entry["peer"], entry["method"]),
        *(seconds(entry[stage]["cpu"]) for stage in ("fit", "score")),
        seconds(entry["cpu"]),
        seconds(entry["warm_cpu"]) if "warm_cpu" in entry else "",
        *(seconds(entry["wall"]), f"{entry['times_kernel']:.3g}"),
        f"{entry['peak_bytes'] / 1e6:,.0f}",
        *(agreement_text(agreement[other]) for other in ("reference", "hessinf")),
        ahead,
        f"{entry['warm_ahead']:.3g}×" if "warm_ahead" in entry else "",
    ]
    return "| " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """Keep a message from ending its cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def seconds(value: float) -> str:
    """Write seconds with three digits."""
    return f"{value:.3f}" if value < 1 else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def agreement_text(found: dict[str, float] | None) -> str:
    """Write both correlations, or the relative error where they would only say 1."""
    if found is None:
        return ""
    if found["relative_error"] < 1e-3:
        return f"error {found['relative_error']:.1e}"
    return f"{found['pearson']:.3f} / {found['spearman']:.3f}"


def bar_text(bar: dict[str, Any]) -> str:
    """Write a bar, and whether it is met."""
    verdict = {True: "met", False: "**not met**", None: "cannot be said"}[bar["met"]]
    found = bar["found"]
    shown = f"{found:.3g}" if isinstance(found, float) else str(found)
    return f"{bar['what']}: {shown}, asked {bar['asked']}: {verdict}"


def growth_table(found: dict[str, Any]) -> str:
    """Write how seconds and memory grow with N and Q."""
    lines = [
        "### Growth",
        "",
        measured_as(found),
        "",
        "| row | package | N | Q | CPU s | × kernel | peak MB | to the smallest |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    smallest: dict[tuple[str, str], float] = {}
    for entry in found["entries"]:
        who = f"{entry['peer']} {entry['method']}"
        cells = [entry["row"], who, f"{entry['train']:,}", f"{entry['queries']:,}"]
        if entry["how"] != "finished":
            lines.append("| " + " | ".join([*cells, entry["how"], "", "", ""]) + " |")
            continue
        least = smallest.setdefault((entry["row"], who), entry["cpu"])
        cells += [seconds(entry["cpu"]), f"{entry['times_kernel']:.3g}"]
        cells += [f"{entry['peak_bytes'] / 1e6:,.0f}", f"{entry['cpu'] / least:.3g}×"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def contraction_table(found: dict[str, Any]) -> str:
    """Write what share of the machine's rate the scores of single layers reach."""
    lines = [
        "### Scores of single layers",
        "",
        measured_as(found),
        "",
        "| layer | CPU s | share of the fastest sgemm | of PyTorch's own choice | plan |",
        "|---|---:|---:|---:|---|",
    ]
    for shape in found["shapes"]:
        shares = (
            "" if share is None else f"{share:.0%}"
            for share in (shape["share"], shape["plain_share"])
        )
        cells = [shape["name"], seconds(shape["seconds"]), *shares, shape["plan"] or ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {bar_text(bar)}" for bar in found["bars"])])


def start_up_table(found: dict[str, Any]) -> str:
    """Write how long whole processes take."""
    lines = [
        "### One call with nothing to compute: N = 32, Q = 1, from the start of the process to its "
        "end",
        "",
        measured_as(found),
        "",
        "| command | CPU s | wall s |",
        "|---|---:|---:|",
    ]
    lines += [
        f"| `{name}` | {seconds(taken['cpu'])} | {seconds(taken['wall'])} |"
        for name, taken in found["commands"].items()
    ]
    return "\n".join([*lines, "", f"- {bar_text(found['bar'])}"])


def update(path: Path, table: str) -> None:
    """Put the table between its two marks in a file.

    Raises
    ------
    SystemExit
        If the file has not both marks, once each, in their order.
    """
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(f"{path} needs the lines {BEGIN} and {END}, once each, in this order")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}", encoding="utf-8")
