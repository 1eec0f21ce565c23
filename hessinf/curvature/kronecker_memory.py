"""Whether the factors of a model's matrices fit into memory."""

from __future__ import annotations

from collections.abc import Sequence

from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.kronecker_factors import by_module
from hessinf.gradients.layers import LayerGradients, MatrixUnit

FACTORS_HELD = 4
"""The sum, what a batch adds, their sum, and room for the decomposition."""

MATRICES_HELD = 4
"""Eigenvalues, places in θ and room to work: in units of the matrix of parameters itself."""

BYTES = 8
"""Of a number in float64."""


def require_memory(
    units: Sequence[MatrixUnit], probe: LayerGradients, memory_limit: float | None
) -> None:
    """Refuse factors that do not fit.

    Parameters
    ----------
    units
        The matrices of parameters.
    probe
        Says which sides are given by ids, so that their factor is diagonal.
    memory_limit
        In GiB; None for no limit.

    Raises
    ------
    CurvatureError
        Which names the matrix that needs most, and says what would fit.
    """
    if memory_limit is None or not units:
        return
    needed = {unit.name: _bytes(unit, probe) / 2**30 for unit in units}
    total = sum(needed.values())
    if total <= memory_limit:
        return
    largest = max(units, key=lambda unit: needed[unit.name])
    raise CurvatureError(
        f"the Kronecker factors need {total:,.1f} GiB, memory_limit is {memory_limit:g} GiB; "
        f'{needed[largest.name]:,.1f} GiB of that are for the matrix "{largest.name}", '
        f"{largest.out_features:,} × {largest.in_features:,}; freeze it "
        f"(params_to_freeze: {list(largest.parameters)}), raise memory_limit, or use what forms no "
        'factors: "diagonal" or "simple-influence", "jacobi" as a preconditioner'
    )


def _bytes(unit: MatrixUnit, probe: LayerGradients) -> int:
    """Count what one unit needs."""
    groups = by_module(probe, unit)
    sides = [usage.gradient_side for usages in groups.values() for usage in usages]
    row_factor = unit.out_features if set(sides) == {"columns"} else unit.out_features**2
    factors = (row_factor + unit.in_features**2) * len(groups)
    matrix = unit.out_features * unit.in_features
    return BYTES * (FACTORS_HELD * factors + MATRICES_HELD * matrix)
