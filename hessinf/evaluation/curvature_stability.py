"""What a curvature matrix is like for whoever inverts it: condition, signs of its eigenvalues."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from hessinf.evaluation.curvature_metrics import rounding
from hessinf.evaluation.curvature_spectrum import spectrum_of
from hessinf.evaluation.errors import EvaluationError

NEAR_ZERO = 1e-6
"""Eigenvalues of a smaller magnitude count as near zero."""

SEED_OFFSET = 1e-12
"""What the published code adds to the magnitude that it divides by."""


@dataclass(frozen=True)
class StabilityStatistics:
    """Counts over the eigenvalues w of a matrix.

    Parameters
    ----------
    condition
        ``max|w| / min|w|``; infinite where the smallest is zero to working precision.
    smallest, largest
        The eigenvalues at both ends, with their signs.
    positive, negative
        How many are above and below zero beyond rounding, P units of rounding of the largest.
    zero
        How many are zero up to rounding.
    near_zero
        How many have a magnitude below the threshold, those that are zero among them.
    """

    condition: float
    smallest: float
    largest: float
    positive: int
    negative: int
    zero: int
    near_zero: int

    def to_json(self) -> dict[str, Any]:
        """Return a dict by name."""
        return asdict(self)


def condition_number(matrix: Any, *, seed_compatible: bool = False) -> float:
    """Return ``max|w| / min|w|`` over the eigenvalues w: right for indefinite matrices too.

    Parameters
    ----------
    matrix
        ``[P, P]``, its spectrum, or its eigenvalues ``[P]``.
    seed_compatible
        What the published code computes: ``|w_first| / (|w_last| + 1e-12)`` after sorting with
        signs. For ``w = (5.4, 1e-7, -4e-3)`` that is 1,350, where the condition number is 5.4e7.

    Returns
    -------
    float
        Infinite where the smallest magnitude is zero to working precision (at most P units of
        rounding of the largest): what would be divided by is rounding alone.
    """
    eigenvalues = _eigenvalues(matrix)  # [P]
    if seed_compatible:
        last, first = abs(float(eigenvalues.min())), abs(float(eigenvalues.max()))
        return first / (last + SEED_OFFSET)
    magnitudes = eigenvalues.abs()  # [P]
    smallest, largest = float(magnitudes.min()), float(magnitudes.max())
    return largest / smallest if smallest > rounding(eigenvalues) else float("inf")


def stability_statistics(matrix: Any, near_zero: float = NEAR_ZERO) -> StabilityStatistics:
    """Return the condition number, both ends of the spectrum, and counts of signs.

    Parameters
    ----------
    matrix
        ``[P, P]``, its spectrum, or its eigenvalues ``[P]``.
    near_zero
        Below which magnitude an eigenvalue is near zero.
    """
    eigenvalues = _eigenvalues(matrix)  # [P]
    uncertain = rounding(eigenvalues)
    positive = int((eigenvalues > uncertain).sum())
    negative = int((eigenvalues < -uncertain).sum())
    return StabilityStatistics(
        condition=condition_number(eigenvalues),
        smallest=float(eigenvalues.min()),
        largest=float(eigenvalues.max()),
        positive=positive,
        negative=negative,
        zero=len(eigenvalues) - positive - negative,
        near_zero=int((eigenvalues.abs() < near_zero).sum()),
    )


def _eigenvalues(matrix: Any) -> torch.Tensor:
    """Return the eigenvalues ``[P]`` of what may be a matrix, a spectrum, or they themselves."""
    if getattr(matrix, "ndim", None) == 1 or isinstance(matrix, list | tuple):
        eigenvalues = torch.as_tensor(matrix, dtype=torch.float64)
        if eigenvalues.ndim == 1:
            if len(eigenvalues) == 0 or not bool(eigenvalues.isfinite().all()):
                raise EvaluationError(
                    "the eigenvalues are none, or not finite: nothing can be said of them"
                )
            return eigenvalues
        matrix = eigenvalues
    return spectrum_of("the matrix", matrix).eigenvalues
