"""What plots of a spectrum agree on: how blocks are called, and what is rounding."""

from __future__ import annotations

ROUNDING = 1e-12
"""Eigenvalues of a smaller share of the largest are rounding, and would squeeze all others."""


def block_label(name: str) -> str:
    """Name a block: the layers of a sequence have numbers for names.

    Parameters
    ----------
    name
        As ``spectrum.json`` has it.
    """
    if not name:
        return "all parameters"
    return f"layer {name}" if name.isdigit() else name
