"""The parts of headline tables that the docs quote: ``python -m benchmarks.tables.quoted``.

Prints them; a test holds the docs to them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.tables import definition
from benchmarks.tables.markdown import aligned, interval, number, step_between

RESULTS = definition.FOLDER / "results"

T3_ROWS = (
    "exact",
    "conjugate-gradient",
    "ggn",
    "ekfac-and-10-steps",
    "arnoldi",
    "block-ggn",
    "kfac",
    "ekfac",
    "simple-influence",
    "gradient-cosine",
    "gradient-dot",
    "random",
)
"""Those of T3 that are quoted."""

T5_STEPS = (
    ("exact", "ggn"),
    ("ggn", "block-ggn"),
    ("block-ggn", "ekfac"),
    ("ekfac", "kfac"),
    ("ekfac-heuristic", "kfac-heuristic"),
    ("ekfac", "kfac-heuristic"),
)
"""Those of T5 that are quoted; the last one is that of the paper's code."""

T5_BASE_STEPS = 5
"""How many of them docs/measured.md quotes, of the base run."""


def lds_of(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the metric "lds" has found in a run."""
    found: Mapping[str, Any] = run["results"]["metrics"]["lds"]
    return found


def t3_rows(made: Mapping[str, Any]) -> str:
    """Return T3's rows at alpha 0.5, and the LDS of the ensemble."""
    rows = lds_of(made["runs"]["digits"])["rows"]
    return aligned(
        ["method", "LDS", "95 %", "three models' scores averaged"],
        [
            [
                f"`{name}`",
                number(rows[name]["value"]),
                interval(rows[name]["interval"]),
                number(rows[name]["ensemble"]["value"]),
            ]
            for name in T3_ROWS
        ],
    )


def t5_base(made: Mapping[str, Any]) -> str:
    """Return T5's steps for the base run."""
    lds = lds_of(made["runs"]["base"])
    return aligned(
        ["step", "LDS lost", "95 %"],
        [
            [f"`{first}` → `{second}`", *step_between(lds, first, second)]
            for first, second in T5_STEPS[:T5_BASE_STEPS]
        ],
    )


def t5_steps(made: Mapping[str, Any]) -> str:
    """Return T5's steps for every variant."""
    return aligned(
        ["variant", *(f"{first} → {second}" for first, second in T5_STEPS)],
        [
            [
                name,
                *(" ".join(step_between(lds_of(run), first, second)) for first, second in T5_STEPS),
            ]
            for name, run in made["runs"].items()
        ],
    )


def t5_ceiling(made: Mapping[str, Any]) -> str:
    """Return how near each variant of T5 comes to what can be attained."""
    lines = []
    for name, run in made["runs"].items():
        lds = lds_of(run)
        ceiling = lds["truth"]["by_alpha"]["0.5"]["noise_ceiling"]["attainable"]
        rows = lds["rows"]
        lines.append(
            [
                name,
                str(len(run["results"]["problem"]["models"])),
                number(rows["exact"]["value"]),
                number(rows["exact"]["ensemble"]["value"]),
                number(rows["ekfac"]["ensemble"]["value"]),
                number(ceiling),
            ]
        )
    head = ["variant", "models", "exact, one model", "exact, ensemble", "ekfac, ensemble"]
    return aligned([*head, "attainable"], lines)


QUOTED = {
    "t3": {"rows": t3_rows},
    "t5": {"base": t5_base, "steps": t5_steps, "ceiling": t5_ceiling},
}
"""By table, and by the name of the part."""


def part(table: str, name: str) -> str:
    """Return a part of a table as it was committed."""
    made = json.loads((RESULTS / f"{table}.json").read_text(encoding="utf-8"))
    return QUOTED[table][name](made)


def main() -> None:
    """Print all parts."""
    for table, parts in QUOTED.items():
        for name in parts:
            print(f"{table}, {name}:\n\n{part(table, name)}\n")


if __name__ == "__main__":
    main()
