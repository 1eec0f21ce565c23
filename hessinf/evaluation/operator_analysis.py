"""What can be said of curvatures of which only products are to be had, with standard errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch

from hessinf.evaluation.analysis_config import AnalysisConfig
from hessinf.evaluation.curvature_metrics import (
    eigenbasis_overlap,
    eigenvalue_overlap_of,
    random_subspace_overlap,
)
from hessinf.evaluation.curvature_spectrum import Blocks, Spectrum
from hessinf.runtime.progress import bar
from hessinf.runtime.randomness import generator
from hessinf.solvers.lanczos import RitzPairs, lanczos
from hessinf.solvers.spectral_density import Estimate, SpectralDensity, mean_of, spectral_density
from hessinf.solvers.trace import random_signs

if TYPE_CHECKING:
    from hessinf.solvers.product import Product

ROWS_AT_ONCE = 64
"""Vectors that are multiplied together."""

NEGATIVE = 1e-10
"""Nodes below zero by this share of the largest magnitude count as negative."""

NOT_COMPUTED = {
    "inverse_space_residual": "needs both inverses",
    "eigenvalue_overlap": "needs all eigenvalues; eigenvalue_overlap_top_k has the largest",
    "condition": "needs the eigenvalue of smallest magnitude, which Lanczos does not find",
    "inversion_errors": "need all eigenvalues",
    "blocks": "need the blocks as matrices; off_block_energy_share is estimated",
    "pairwise_relative_residuals": "need products of all with the same vectors; see "
    "relative_residual",
}
"""What is not there without matrices, and why."""


@dataclass(eq=False)
class OperatorCurvature:
    """A curvature that vectors are multiplied with.

    Parameters
    ----------
    name
        What progress bars call it.
    product
        From row vectors ``[K, P]`` to ``[K, P]``, float64.
    size
        P.
    device
        Where it computes.
    settings
        How many vectors.
    seed
        Of the vectors, which are the same for every curvature: differences are less noisy so.
    """

    name: str
    product: Product
    size: int
    device: torch.device
    settings: AnalysisConfig
    seed: int

    @cached_property
    def density(self) -> SpectralDensity:
        """The spectral density, by stochastic Lanczos quadrature."""
        settings = self.settings
        steps = min(settings.lanczos_steps, self.size)
        with bar(
            stage=f"spectrum, {self.name}", total=settings.probes * steps, unit="products"
        ) as shown:
            return spectral_density(
                self.product,
                self.size,
                probes=settings.probes,
                steps=steps,
                generator=generator(self.seed, "analysis.density"),
                device=self.device,
                memory_limit=settings.memory_limit / 2,
                on_step=shown.update,
            )

    @cached_property
    def signs(self) -> torch.Tensor:
        """Random signs, ``[S, P]``."""
        return random_signs(
            self.settings.probes,
            self.size,
            generator(self.seed, "analysis.residual"),
            torch.float64,
            self.device,
        )

    @cached_property
    def images(self) -> torch.Tensor:
        """Their products, ``[S, P]``."""
        return self.multiply(self.signs, f"products, {self.name}")

    def energies(self, basis: torch.Tensor, less: OperatorCurvature | None = None) -> torch.Tensor:
        """Estimate ``‖M‖_F²``, or with another curvature ``‖M − A‖_F²``, from each probe.

        Parameters
        ----------
        basis
            Orthonormal rows ``[R, P]`` that take most of it: see :func:`energies_of`.
        less
            A.

        Returns
        -------
        torch.Tensor
            ``[S]``.
        """
        on_basis = self.on(basis)  # [R, P]
        images = self.images  # [S, P]
        if less is not None:
            on_basis = on_basis - less.on(basis)
            images = images - less.images
        return energies_of(images, on_basis, self.signs @ basis.T)

    def on(self, basis: torch.Tensor) -> torch.Tensor:
        """Multiply the rows of a basis; the last one is remembered."""
        if self._on_basis is None or self._on_basis[0] is not basis:
            self._on_basis = basis, self.multiply(basis, f"leading directions, {self.name}")
        return self._on_basis[1]

    _on_basis: tuple[torch.Tensor, torch.Tensor] | None = field(default=None, init=False)

    @cached_property
    def largest(self) -> RitzPairs:
        """The eigenpairs of largest magnitude, by Lanczos."""
        k = min(self.settings.top_k, self.size)
        dimension = min(self.size, max(4 * k, 2 * k + 20))
        with bar(stage=f"eigenvectors, {self.name}", total=dimension, unit="products") as shown:
            return lanczos(
                self.product,
                self.size,
                rank=k,
                dimension=dimension,
                generator=generator(self.seed, "analysis.eigenvectors"),
                device=self.device,
                on_step=shown.update,
            )

    def multiply(self, vectors: torch.Tensor, stage: str) -> torch.Tensor:
        """Multiply many vectors ``[K, P]``, some at a time."""
        found = []
        with bar(stage=stage, total=len(vectors), unit="products") as shown:
            for part in torch.split(vectors, ROWS_AT_ONCE):
                found.append(self.product(part))
                shown.update(len(part))
        return torch.cat(found)


def describe_operator(known: OperatorCurvature, blocks: Blocks) -> dict[str, Any]:
    """Estimate what one curvature is like.

    Parameters
    ----------
    known
        The curvature.
    blocks
        Between which energy is looked for.

    Returns
    -------
    dict
        JSON; estimates are ``{"value": ..., "standard_error": ...}``, and where the resolution of
        the spectrum matters ``"with_half_the_steps"``.
    """
    density, settings = known.density, known.settings
    bound = -NEGATIVE * max(abs(density.smallest), abs(density.largest))
    energy = mean_of(known.energies(known.largest.low_rank.eigenvectors))
    whole = {
        "parameters": known.size,
        "frobenius_norm": asdict(Estimate(energy.value**0.5, _error_of_root(energy))),
        "trace": asdict(density.trace()),
        "smallest_eigenvalue_at_most": density.smallest,
        "largest_eigenvalue_at_least": density.largest,
        "negative": _resolved(density, lambda known: known.count_below(bound)),
        "log_determinant_at_damping": [
            _resolved(density, partial(SpectralDensity.log_determinant, damping=damping))
            for damping in settings.dampings
        ],
        "largest_eigenvalues": known.largest.low_rank.eigenvalues.tolist(),
        "residuals_of_largest_eigenvalues": known.largest.residuals.tolist(),
        **_off_block_energy(known, blocks),
    }
    return {"whole": whole}


def compare_operators(
    reference: OperatorCurvature, approximation: OperatorCurvature
) -> dict[str, Any]:
    """Estimate how near an approximation comes to the reference.

    Parameters
    ----------
    reference, approximation
        With the same seed and settings.

    Returns
    -------
    dict
        JSON.
    """
    leading = torch.cat(
        [known.largest.low_rank.eigenvectors for known in (reference, approximation)]
    )
    basis = torch.linalg.qr(leading.T)[0].T  # [2k, P]
    residual = ratio_of_norms(reference.energies(basis, approximation), reference.energies(basis))
    ours, theirs = (_pairs(known) for known in (reference, approximation))
    k = len(ours.eigenvalues)
    return {
        "whole": {
            "relative_residual": asdict(residual),
            "eigenvalue_overlap_top_k": eigenvalue_overlap_of(ours.eigenvalues, theirs.eigenvalues),
            "eigenbasis_overlap": eigenbasis_overlap(ours, theirs, k),
            "eigenbasis_overlap_of_random_subspaces": random_subspace_overlap(k, reference.size),
            "eigenbasis_overlap_is_trivial": k >= reference.size,
            "top_k": k,
        }
    }


def energies_of(images: torch.Tensor, on_basis: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Estimate ``‖M‖_F²`` from each of some random signs v.

    ``E‖M v‖² = ‖M‖_F²`` (Hutchinson 1990), of which a few leading directions make up nearly all,
    and nearly all the variance. For orthonormal rows Q, ``‖M‖_F² = ‖M Qᵀ‖_F² + ‖M (I − QᵀQ)‖_F²``:
    the first is computed, the second estimated, without a further product.

    Parameters
    ----------
    images
        ``M v_s``, ``[S, P]``.
    on_basis
        ``M q_r``, ``[R, P]``.
    shares
        ``v_s · q_r``, ``[S, R]``.

    Returns
    -------
    torch.Tensor
        ``[S]``, each without bias.
    """
    rest = images - shares @ on_basis  # M (I − QᵀQ) v: [S, P]
    return on_basis.square().sum() + rest.square().sum(dim=1)


def ratio_of_norms(apart: torch.Tensor, own: torch.Tensor) -> Estimate:
    """Estimate ``‖T − A‖_F / ‖T‖_F`` from the squares of both, by the same random signs.

    Parameters
    ----------
    apart, own
        Estimates of ``‖T − A‖_F²`` and ``‖T‖_F²`` by probe, ``[S]``, S at least 2.

    Returns
    -------
    Estimate
        The standard error is that of the first-order expansion of the root of the ratio. NaN where
        T is zero.
    """
    difference, total = float(apart.mean()), float(own.mean())
    if not total > 0:
        return Estimate(float("nan"), float("nan"))
    if not difference > 0:
        return Estimate(0.0, 0.0)
    ratio = (difference / total) ** 0.5
    relative = mean_of(apart / difference - own / total)
    return Estimate(ratio, ratio / 2 * relative.standard_error)


def _resolved(
    density: SpectralDensity, estimate: Callable[[SpectralDensity], Estimate | None]
) -> dict[str, Any] | None:
    """Give an estimate beside that of half the Lanczos steps; None where there is none."""
    found = estimate(density)
    if found is None:
        return None
    coarse = None if density.coarse is None else estimate(density.coarse)
    half = None if coarse is None else coarse.value
    return {**asdict(found), "with_half_the_steps": half}


def _error_of_root(square: Estimate) -> float:
    """Return the standard error of a root, to first order."""
    return square.standard_error / (2 * square.value**0.5) if square.value > 0 else 0.0


def _pairs(known: OperatorCurvature) -> Spectrum:
    """Return the largest eigenpairs as columns."""
    found = known.largest.low_rank
    return Spectrum(found.eigenvalues, found.eigenvectors.T)


def _off_block_energy(known: OperatorCurvature, blocks: Blocks) -> Mapping[str, Any]:
    """Estimate the share of the energy between blocks, from signs that are zero but in one block.

    ``E‖(M v_b)_{outside b}‖²``, added up over blocks b: nothing cancels. What the leading
    eigenvectors have in the block takes most of the variance, as in :func:`energies_of`.
    """
    if len(blocks) < 2:
        return {"off_block_energy_share": asdict(Estimate(0.0, 0.0))}
    inside = known.signs.new_zeros(len(known.signs))  # [S]
    outside = torch.zeros_like(inside)
    leading = known.largest.low_rank.eigenvectors  # [k, P]
    for block, places in blocks.items():
        own = torch.zeros_like(known.signs)  # [S, P]
        own[:, places] = known.signs[:, places]
        directions = torch.linalg.qr(leading[:, places].T)[0].T  # [R, P_b], R at most k and P_b
        basis = leading.new_zeros(len(directions), known.size)  # [R, P]
        basis[:, places] = directions
        both = known.multiply(torch.cat([own, basis]), f"block {block}, {known.name}")
        images, on_basis = both[: len(own)], both[len(own) :]  # [S, P], [R, P]
        shares = own @ basis.T  # [S, R]
        inside += energies_of(images[:, places], on_basis[:, places], shares)
        both[:, places] = 0.0
        outside += energies_of(images, on_basis, shares)
    total = float((inside + outside).mean())
    if not total > 0:
        return {"off_block_energy_share": asdict(Estimate(float("nan"), float("nan")))}
    share = float(outside.mean()) / total
    error = mean_of((outside - share * (inside + outside)) / total).standard_error
    return {"off_block_energy_share": asdict(Estimate(share, error))}
