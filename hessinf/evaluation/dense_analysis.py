"""What is said of a curvature matrix, and of two: of the whole, and of each diagonal block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from hessinf.evaluation.analysis_config import AnalysisConfig
from hessinf.evaluation.curvature_inversion import inversion_errors
from hessinf.evaluation.curvature_metrics import (
    eigenbasis_overlap,
    eigenvalue_overlap,
    frobenius_norm,
    inverse_space_residuals,
    off_block_energy_ratio,
    off_block_energy_share,
    random_subspace_overlap,
    relative_residual,
)
from hessinf.evaluation.curvature_spectrum import (
    Blocks,
    Places,
    Spectrum,
    cut,
    joined,
    outside_norm,
    spectrum_of,
)
from hessinf.evaluation.curvature_stability import condition_number, stability_statistics
from hessinf.runtime.randomness import generator

MATRICES_HELD = 8
"""Both matrices, their eigenvectors, and room for a decomposition: in units of the matrix."""

WHOLE = "all parameters"


def dense_gibibytes(size: int) -> float:
    """Say what an analysis of P × P matrices needs, in GiB.

    Parameters
    ----------
    size
        P.
    """
    return float(MATRICES_HELD * size**2 * 8 / 2**30)


@dataclass(eq=False)
class DenseCurvature:
    """A curvature matrix with its decompositions, of the whole and of blocks.

    Parameters
    ----------
    matrix
        ``[P, P]``, float64, symmetric.
    blocks
        Where its diagonal blocks lie.
    """

    matrix: torch.Tensor
    blocks: Blocks

    @cached_property
    def block_spectra(self) -> Mapping[str, Spectrum]:
        """The spectrum of each diagonal block."""
        return {
            block: spectrum_of(f'the block "{block}"', cut(self.matrix, places))
            for block, places in self.blocks.items()
        }

    @cached_property
    def spectrum(self) -> Spectrum:
        """That of the whole; from those of the blocks where there is nothing between them."""
        if outside_norm(self.matrix, self.blocks) > 0:
            return spectrum_of("the matrix", self.matrix)
        return joined(len(self.matrix), self.block_spectra, self.blocks)

    def parts(self) -> Iterator[tuple[str, Places, Spectrum]]:
        """List the blocks: names, places, spectra."""
        for block, places in self.blocks.items():
            yield block, places, self.block_spectra[block]


def describe_dense(known: DenseCurvature, settings: AnalysisConfig, seed: int) -> dict[str, Any]:
    """Say what one curvature is like.

    Parameters
    ----------
    known
        The curvature.
    settings
        Dampings and thresholds.
    seed
        Of the vectors that rounding is measured with.

    Returns
    -------
    dict
        JSON: ``"whole"``, and ``"blocks"`` by name.
    """
    whole = _described(known.matrix, known.spectrum, settings, seed)
    whole["off_block_energy_ratio"] = off_block_energy_ratio(known.matrix, known.blocks)
    whole["off_block_energy_share"] = off_block_energy_share(known.matrix, known.blocks)
    return {
        "whole": whole,
        "blocks": {
            block: _described(cut(known.matrix, places), spectrum, settings, seed)
            for block, places, spectrum in known.parts()
        },
    }


def compare_dense(
    reference: DenseCurvature, approximation: DenseCurvature, settings: AnalysisConfig
) -> dict[str, Any]:
    """Say how near an approximation comes to the reference.

    Parameters
    ----------
    reference, approximation
        With the same blocks.
    settings
        Dampings, and how many eigenvectors.

    Returns
    -------
    dict
        JSON: ``"whole"``, and ``"blocks"`` by name.
    """
    whole = _compared(
        (reference.matrix, approximation.matrix),
        (reference.spectrum, approximation.spectrum),
        settings,
    )
    blocks = {
        block: _compared(
            (cut(reference.matrix, places), cut(approximation.matrix, places)),
            (spectrum, approximation.block_spectra[block]),
            settings,
        )
        for block, places, spectrum in reference.parts()
    }
    return {"whole": whole, "blocks": blocks}


def _described(
    matrix: torch.Tensor, spectrum: Spectrum, settings: AnalysisConfig, seed: int
) -> dict[str, Any]:
    eigenvalues = spectrum.eigenvalues  # [P]
    damped = [eigenvalues + damping for damping in settings.dampings]
    errors = inversion_errors(
        spectrum,
        settings.dampings,
        settings.thresholds,
        matrix=matrix,
        generator=generator(seed, "analysis.inversion"),
    )
    return {
        "parameters": spectrum.size,
        "frobenius_norm": frobenius_norm(matrix),
        "trace": float(matrix.trace()),
        "stability": stability_statistics(eigenvalues).to_json(),
        "seed_compatible_condition": condition_number(eigenvalues, seed_compatible=True),
        "condition_at_damping": [condition_number(values) for values in damped],
        "negative_at_damping": [int((values < 0).sum()) for values in damped],
        "inversion_errors": {name: found.to_json() for name, found in errors.items()},
    }


def _compared(
    matrices: tuple[torch.Tensor, torch.Tensor],
    spectra: tuple[Spectrum, Spectrum],
    settings: AnalysisConfig,
) -> dict[str, Any]:
    size, k = spectra[0].size, min(settings.top_k, spectra[0].size)
    return {
        "difference_norm": frobenius_norm(*matrices),
        "relative_residual": relative_residual(*matrices),
        "inverse_space_residual": inverse_space_residuals(*spectra, settings.dampings),
        "eigenvalue_overlap": eigenvalue_overlap(*spectra),
        "eigenvalue_overlap_top_k": eigenvalue_overlap(*spectra, k),
        "eigenbasis_overlap": eigenbasis_overlap(*spectra, k),
        "eigenbasis_overlap_of_random_subspaces": random_subspace_overlap(k, size),
        "eigenbasis_overlap_is_trivial": k >= size,
        "top_k": k,
    }
