"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.tables import curvature_report

NEARLY_ONE = 0.9995

SMALLEST, LARGEST = 0.01, 1000
"""Between these, numbers are shown with digits behind the point; others with a power of ten."""


def table(made: Mapping[str, Any]) -> str:
    """Return a whole table, from what its JSON file says.

    Parameters
    ----------
    made
        What ``benchmarks.tables.__main__.make`` returned.
    """
    threads = made["threads"] or "all"
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    report: Callable[[Mapping[str, Any]], list[str]] = REPORTS[made["report"]]
    blocks = [
        f"# {made['title']}",
        made["about"],
        *report(made),
        f"Made by `{made['command']}` on {made['date']} from commit {made['commit']}: "
        f"{made['cpu_seconds']:,.0f} CPU seconds, {threads} thread(s); {versions}.",
    ]
    return "\n\n".join(blocks) + "\n"


def lds_report(made: Mapping[str, Any]) -> list[str]:
    """Show each run: a line a row, a column for each alpha, the best first."""
    blocks = []
    for name, run in made["runs"].items():
        lds = run["results"]["metrics"]["lds"]
        blocks += [f"## {name}", _lds_facts(run["results"]), _lds_table(lds), *_notes(run)]
    return blocks


def steps_report(made: Mapping[str, Any]) -> list[str]:
    """Show what each step loses, for every run, and the rows themselves below."""
    runs = {name: run["results"]["metrics"]["lds"] for name, run in made["runs"].items()}
    lines = []
    for name, lds in runs.items():
        for first, second in made["steps"]:
            step = step_between(lds, first, second)
            lines.append([name, f"{first} → {second}", *step])
            name = ""
    blocks = [
        "## Steps",
        "What the second loses beside the first: above 0, the first is better.",
        aligned(["run", "step", "loss of LDS", "95 % interval"], lines),
    ]
    return blocks + lds_report(made)


def step_between(lds: Mapping[str, Any], first: str, second: str) -> tuple[str, str]:
    """Return what the second of two rows loses beside the first, and its interval, as text."""
    alpha = lds["truth"]["alpha"]
    for one in lds["comparisons"]:
        if one["alpha"] == alpha and {one["better"], one["worse"]} == {first, second}:
            sign = 1 if one["better"] == first else -1
            if one["difference"] is None:
                return "", ""
            low, high = sorted(sign * end for end in one["interval"])
            return f"{sign * one['difference']:+.3f}", f"[{low:+.3f}, {high:+.3f}]"
    raise ValueError(f'no comparison of "{first}" and "{second}" at alpha {alpha:g}')


def metrics_report(made: Mapping[str, Any]) -> list[str]:
    """Show every metric of every run, a line a row, the best first."""
    blocks = []
    for name, run in made["runs"].items():
        blocks.append(f"## {name}")
        for metric, found in run["results"]["metrics"].items():
            blocks.append(f"{metric}: {_metric_table(found)[0]}")
            blocks.append(_metric_table(found)[1])
        blocks += _notes(run)
    return blocks


def closed_forms_report(made: Mapping[str, Any]) -> list[str]:
    """Show a line for each comparison."""
    blocks = []
    for name, run in made["runs"].items():
        lines = [
            [
                check["what"],
                f"{check['value']:.3g}",
                f"{'≥' if check['at_least'] else '≤'} {check['bound']:g}",
                "yes" if check["kept"] else "NO",
            ]
            for check in run["results"]
        ]
        blocks += [f"## {name}", aligned(["what", "found", "bound", "kept"], lines)]
    return blocks


REPORTS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "lds": lds_report,
    "steps": steps_report,
    "metrics": metrics_report,
    "closed-forms": closed_forms_report,
    "curvature": lambda made: curvature_report.report(made["runs"], aligned),
}


def aligned(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are aligned; the first to the left."""
    widths = [max(len(line[place]) for line in [head, *lines]) for place in range(len(head))]

    def joined(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([joined(head), joined(rule), *map(joined, lines)])


def _lds_facts(results: Mapping[str, Any]) -> str:
    problem, truth = results["problem"], results["metrics"]["lds"]["truth"]
    models = problem["models"]
    losses = ", ".join(f"{model['train']['loss']:.4f}" for model in models)
    ceilings = [
        f"{float(ceiling['attainable']):.3f} (alpha {alpha})"
        for alpha, one in truth["by_alpha"].items()
        if (ceiling := one.get("noise_ceiling")) is not None
    ]
    attainable = f"; attainable about {', '.join(ceilings)}" if ceilings else ""
    return (
        f"{problem['train']['examples']:,} training examples, {truth['queries']:,} queries "
        f"reported ({truth['queries_tuned_on']:,} others to choose damping on), {len(models)} "
        f"attributed model(s) of training loss {losses}{attainable}."
    )


def _lds_table(lds: Mapping[str, Any]) -> str:
    alphas = list(lds["truth"]["by_alpha"])
    head = ["row", *(f"alpha {alpha}" for alpha in alphas), "damping", "ensemble", "undefined"]
    lines = []
    for name, row in ranked(lds):
        cells = [
            " ".join([number(one["value"]), interval(one.get("interval"))])
            for one in (row["by_alpha"][alpha] for alpha in alphas)
        ]
        ensemble = (row.get("ensemble") or {}).get("value")
        lines.append(
            [name, *cells, cell(row.get("damping")), number(ensemble), cell(row["missing"])]
        )
    return aligned(head, lines)


def _metric_table(metric: Mapping[str, Any]) -> tuple[str, str]:
    columns = [(key, title) for key, title in metric["columns"] if key != "missing"]
    better = "higher is better" if metric["higher_is_better"] else "lower is better"
    lines = [
        [
            name,
            number(row["value"]),
            interval(row.get("interval")),
            *(cell(row.get(key)) for key, _ in columns),
        ]
        for name, row in ranked(metric)
    ]
    return better, aligned(["row", "value", "95 %", *(title for _, title in columns)], lines)


def _notes(run: Mapping[str, Any]) -> list[str]:
    results = run["results"]
    lines = [f"- {text}" for text in run["rivals"]]
    lines += [f"- Warning: {text}" for text in results["warnings"]]
    for metric in results["metrics"].values():
        lines += [f"- {text}" for text in metric["notes"]]
    return ["\n".join(lines)] if lines else []


def ranked(metric: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the rows, the best first."""
    sign = -1 if metric["higher_is_better"] else 1
    return sorted(
        metric["rows"].items(),
        key=lambda row: (row[1]["value"] is None, sign * (row[1]["value"] or 0.0)),
    )


def number(value: Any) -> str:
    """Return a number with three digits behind the point; more, where 1 is only nearly reached."""
    if value is None:
        return ""
    return f"{value:.5f}" if NEARLY_ONE <= abs(value) < 1 else f"{value:.3f}"


def interval(ends: Any) -> str:
    """Return an interval."""
    return "" if not ends else f"[{ends[0]:.3f}, {ends[1]:.3f}]"


def cell(value: Any) -> str:
    """Return whatever a metric says."""
    if value is None:
        return ""
    if isinstance(value, list):
        return interval(value) if len(value) == 2 else ", ".join(map(cell, value))
    if not isinstance(value, float):
        return str(value)
    return number(value) if SMALLEST <= abs(value) < LARGEST or value == 0 else f"{value:.3g}"
