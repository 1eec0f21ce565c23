"""What inverting a curvature matrix costs in truth: ``‖M·M⁻¹ − I‖_F`` over damping and threshold.

The ways to invert are those of :mod:`hessinf.curvature`. Of those by eigenvalues the error is
computed from the eigenvalues, so that it is what mending them changes; of the exact one it is
measured on the factorisation itself, so that it is rounding.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hessinf.curvature import CurvatureError, EigenInversion, ExactInversion, PseudoInversion
from hessinf.curvature.spectral_inversion import SpectralInversion
from hessinf.evaluation.curvature_spectrum import Spectrum
from hessinf.evaluation.errors import EvaluationError
from hessinf.solvers.trace import random_signs

POLICIES: dict[str, Callable[[float], SpectralInversion]] = {
    "pseudo": lambda threshold: PseudoInversion(threshold),
    "eigen-drop": lambda threshold: EigenInversion(threshold, small="drop", negative="clamp"),
    "eigen-clamp": lambda threshold: EigenInversion(threshold, small="clamp", negative="clamp"),
    "eigen-flip": lambda threshold: EigenInversion(threshold, small="clamp", negative="flip"),
    "eigen-keep": lambda threshold: EigenInversion(threshold, small="drop", negative="keep"),
}
"""Inversions by eigenvalues, from a threshold. In the published code "eigen-drop" is
``replace_with=0.0``, "eigen-flip" ``"positive"``, "eigen-keep" ``"keep_negative"``. Its
``"threshold"`` makes the eigenvalue of the *inverse* as small as the threshold; "eigen-clamp"
raises the eigenvalue of the matrix to it."""

EXACT_PROBES = 16
"""Random vectors that the rounding of the exact inverse is measured with."""


@dataclass(frozen=True)
class InversionErrors:
    """The errors of one way to invert.

    Parameters
    ----------
    inversion
        Its name: "exact", or one of :data:`POLICIES`.
    thresholds
        The columns; None alone where it has none.
    of_damped
        ``‖(M + λI) M⁻¹ − I‖_F``, a row for each damping; NaN where it cannot be inverted.
    of_undamped
        ``‖M M⁻¹ − I‖_F`` with the same inverse: what the published code calls the error. Damping
        itself is in it.
    """

    inversion: str
    thresholds: tuple[float | None, ...]
    of_damped: tuple[tuple[float, ...], ...]
    of_undamped: tuple[tuple[float, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return a dict by name."""
        return {
            "thresholds": list(self.thresholds),
            "of_damped": [list(row) for row in self.of_damped],
            "of_undamped": [list(row) for row in self.of_undamped],
        }


def inversion_errors(
    spectrum: Spectrum,
    dampings: Sequence[float],
    thresholds: Sequence[float],
    *,
    matrix: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, InversionErrors]:
    """Return the errors of every way to invert, over damping and threshold.

    Parameters
    ----------
    spectrum
        Of M.
    dampings
        The λ: rows.
    thresholds
        Columns: a share of the largest eigenvalue for "pseudo", an eigenvalue for the others.
    matrix
        M, ``[P, P]``, float64, which stays as it is: "exact" is then measured on it. Left out, so
        is "exact".
    generator
        Draws the vectors that it is measured with.

    Returns
    -------
    dict of str to InversionErrors
    """
    if not dampings or not thresholds:
        raise EvaluationError("inversion errors need at least one damping and one threshold")
    found = {}
    if matrix is not None:
        if generator is None:
            raise EvaluationError(
                'the inversion "exact" is measured with random vectors: give a generator'
            )
        found["exact"] = _exact(spectrum, matrix, dampings, generator)
    for name, make in POLICIES.items():
        pairs = [
            [_mended(spectrum.eigenvalues, make(threshold), damping) for threshold in thresholds]
            for damping in dampings
        ]
        found[name] = InversionErrors(
            name,
            tuple(thresholds),
            tuple(tuple(damped for damped, _ in row) for row in pairs),
            tuple(tuple(undamped for _, undamped in row) for row in pairs),
        )
    return found


def _mended(
    eigenvalues: torch.Tensor, inversion: SpectralInversion, damping: float
) -> tuple[float, float]:
    """Return both errors of an inverse by eigenvalues; NaN where it refuses them."""
    try:
        inverse, _ = inversion.invert_eigenvalues(eigenvalues, damping)  # [P]
    except CurvatureError:
        return float("nan"), float("nan")
    return (
        float(((eigenvalues + damping) * inverse - 1).norm()),
        float((eigenvalues * inverse - 1).norm()),
    )


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep quiet about negative eigenvalues: they are counted, and scores are not at stake."""
    logger = logging.getLogger(ExactInversion.__module__)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _exact(
    spectrum: Spectrum,
    matrix: torch.Tensor,
    dampings: Sequence[float],
    generator: torch.Generator,
) -> InversionErrors:
    """Factorise at each damping, and multiply random signs v with ``(M + λI)(M + λI)⁻¹ − I``.

    The mean of ``‖E v‖²`` is ``‖E‖_F²`` (Hutchinson 1990).
    """
    probes = random_signs(EXACT_PROBES, len(matrix), generator, matrix.dtype, matrix.device)
    inversion = ExactInversion()
    damped, undamped = [], []
    for damping in dampings:
        try:
            with _without_warnings():
                factors, _ = inversion.factorize(matrix.clone(), damping)
        except CurvatureError:
            damped.append((float("nan"),))
            undamped.append((float("nan"),))
            continue
        solved = inversion.solve(factors, probes)  # [K, P]
        errors = solved @ matrix + damping * solved - probes  # [K, P]
        damped.append((float(errors.square().sum(dim=1).mean()) ** 0.5,))
        undamped.append((damping * float((1 / (spectrum.eigenvalues + damping)).norm()),))
    return InversionErrors("exact", (None,), tuple(damped), tuple(undamped))
