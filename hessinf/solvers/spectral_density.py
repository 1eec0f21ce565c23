"""The spectrum of a large symmetric matrix by stochastic Lanczos quadrature.

``1/P Σ_i f(w_i) ≈ 1/S Σ_s Σ_j ω_sj f(θ_sj)``: a Lanczos iteration from each of S random vectors
gives nodes θ (Ritz values) and weights ω (squared first entries of the tridiagonal matrix's
eigenvectors), a Gauss quadrature of the spectral density (Ghorbani, Krishnan & Xiao 2019; Lin, Saad
& Yang 2016; Ubaru, Chen & Saad 2017). Directions are reorthogonalised fully, all probes together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.errors import SolverError
from hessinf.solvers.trace import random_signs

if TYPE_CHECKING:
    import torch

    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")

ROUNDING = 100
"""A remainder of up to this many units of rounding of the largest image is nothing: the Krylov
space is used up."""


@dataclass(frozen=True)
class Estimate:
    """A number with the standard error that random vectors leave.

    Parameters
    ----------
    value
        The mean over the random vectors.
    standard_error
        Of that mean.
    """

    value: float
    standard_error: float


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """A quadrature of the spectral density for each probe.

    Parameters
    ----------
    nodes
        Ritz values, ``[S, m]``, float64.
    weights
        ``[S, m]``, not negative, each row with sum 1; zero for nodes that do not count.
    size
        P.
    coarse
        The quadrature of half as many Lanczos steps, which costs no product more. Standard errors
        say what the random vectors leave; how far both are apart says what the steps leave, of sums
        that look at details of the spectrum, such as counts beside a bulk of eigenvalues.
    """

    nodes: torch.Tensor
    weights: torch.Tensor
    size: int
    coarse: SpectralDensity | None = None

    @property
    def smallest(self) -> float:
        """The smallest Ritz value: an upper bound of the smallest eigenvalue."""
        return float(self.nodes[self.weights > 0].min())

    @property
    def largest(self) -> float:
        """The largest Ritz value: a lower bound of the largest eigenvalue."""
        return float(self.nodes[self.weights > 0].max())

    def sum_of(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Estimate:
        """Estimate ``Σ_i f(w_i)`` over all eigenvalues, the trace of f of the matrix.

        Parameters
        ----------
        function
            f, elementwise on tensors.
        """
        values = torch.where(self.weights > 0, function(self.nodes), 0.0)  # [S, m]
        return mean_of(self.size * (self.weights * values).sum(dim=1))

    def trace(self) -> Estimate:
        """Estimate the trace."""
        return self.sum_of(lambda w: w)

    def count_below(self, bound: float) -> Estimate:
        """Estimate how many eigenvalues are smaller than a bound."""
        return self.sum_of(lambda w: (w < bound).double())

    def log_determinant(self, damping: float) -> Estimate | None:
        """Estimate ``Σ log(w + λ)``; None where a node shows that it does not exist.

        Parameters
        ----------
        damping
            λ.
        """
        if self.smallest + damping <= 0:
            return None
        return self.sum_of(lambda w: (w + damping).log())

    def density(self, places: torch.Tensor, width: float) -> torch.Tensor:
        """Return the density smoothed by a Gaussian, with integral 1.

        Parameters
        ----------
        places
            Where, ``[G]``.
        width
            The standard deviation of the Gaussian.

        Returns
        -------
        torch.Tensor
            ``[G]``, float64.
        """
        nodes, weights = self.nodes.flatten(), self.weights.flatten() / len(self.weights)  # [S·m]
        return smoothed_density(nodes, weights, places, width)


def smoothed_density(
    nodes: torch.Tensor, weights: torch.Tensor, places: torch.Tensor, width: float
) -> torch.Tensor:
    """Return ``Σ_j ω_j N(x; θ_j, σ²)`` at places x: ``[G]``.

    Parameters
    ----------
    nodes, weights
        ``[n]``: of a quadrature, or eigenvalues with weights 1/P.
    places
        ``[G]``.
    width
        σ, above 0.
    """
    if not width > 0:
        raise SolverError(f"the width of a smoothed density is {width}, expected more than 0")
    scaled = (places[:, None] - nodes[None]) / width  # [G, n]
    bumps = (-scaled.square() / 2).exp() / (width * math.sqrt(2 * math.pi))
    return bumps @ weights  # [G]


def mean_of(values: torch.Tensor) -> Estimate:
    """Return the mean of independent values ``[S]``, S at least 2, with its standard error."""
    return Estimate(float(values.mean()), float(values.std() / len(values) ** 0.5))


def spectral_density(
    product: Product,
    size: int,
    *,
    probes: int,
    steps: int,
    generator: torch.Generator,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    memory_limit: float = 4.0,
    on_step: Callable[[int], None] = lambda _: None,
) -> SpectralDensity:
    """Estimate the spectral density of a symmetric matrix from its products.

    Parameters
    ----------
    product
        Multiplies row vectors with the matrix.
    size
        P.
    probes
        S, how many random vectors to begin with, at least 2: the standard error falls with √S.
    steps
        m, how many products each takes, at most P: the resolution of the density.
    generator
        Draws the signs, on the CPU.
    dtype, device
        Of the vectors; float64 when left out.
    memory_limit
        GiB for the vectors that are kept, S·m·P numbers; fewer probes go together where they are
        more.
    on_step
        Called after each product with the number of vectors.

    Raises
    ------
    SolverError
        When a product is not finite, or not even one probe fits.
    """
    if probes < 2:
        raise SolverError(f"a standard error needs at least 2 probes, found {probes}")
    dtype = dtype or torch.float64
    steps = min(steps, size)
    fitting = int(memory_limit * 2**30 / (steps * size * dtype.itemsize))
    if fitting < 1:
        raise SolverError(
            f"{steps} Lanczos vectors of {size:,} numbers need "
            f"{steps * size * dtype.itemsize / 2**30:,.1f} GiB, memory_limit is {memory_limit:g} "
            "GiB; take fewer steps, or raise memory_limit"
        )
    signs = random_signs(probes, size, generator, dtype, device)  # [S, P]
    parts = [
        _tridiagonal(product, part / size**0.5, steps, on_step)
        for part in torch.split(signs, fitting)
    ]
    diagonal, beside = (torch.cat([part[place] for part in parts]) for place in (0, 1))
    half = max(steps // 2, 1)
    coarse = SpectralDensity(*_quadrature(diagonal[:, :half], beside[:, : half - 1]), size)
    return SpectralDensity(*_quadrature(diagonal, beside), size, coarse)


def _tridiagonal(
    product: Product, start: torch.Tensor, steps: int, on_step: Callable[[int], None]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Iterate from unit vectors ``[S, P]``: the diagonals ``[S, m]`` and ``[S, m - 1]``, float64.

    Where a probe's Krylov space is used up, what stands beside the diagonal is zero from there on.
    """
    count, size = start.shape
    basis = start.new_zeros(count, steps, size)  # [S, m, P]
    diagonal = torch.zeros(count, steps, dtype=torch.float64, device=start.device)
    beside = torch.zeros(count, max(steps - 1, 0), dtype=torch.float64, device=start.device)
    scale = torch.zeros(count, dtype=torch.float64, device=start.device)
    vectors = start
    for step in range(steps):
        basis[:, step] = vectors
        images = product(vectors)  # [S, P]
        on_step(count)
        if not bool(images.isfinite().all()):
            raise SolverError(
                f"Lanczos: product {step + 1} with the curvature is not finite; likely causes: NaN "
                "or huge values in the training data, or a model whose training diverged"
            )
        diagonal[:, step] = (images * vectors).sum(dim=1)
        if step + 1 == steps:
            break
        scale = torch.maximum(scale, images.norm(dim=1).double())
        known = basis[:, : step + 1]  # [S, k, P]
        for _ in range(2):  # once leaves rounding errors that grow
            shares = torch.einsum("skp,sp->sk", known, images)
            images = images - torch.einsum("sk,skp->sp", shares, known)
        rest = images.norm(dim=1).double()  # [S]
        alive = rest > ROUNDING * torch.finfo(start.dtype).eps * scale  # [S]
        beside[:, step] = torch.where(alive, rest, 0.0)
        divisors = torch.where(alive, rest, 1.0)[:, None].to(images.dtype)
        vectors = torch.where(alive[:, None], images / divisors, 0.0)  # [S, P]
        if not bool(alive.any()):
            break
    return diagonal, beside


def _quadrature(diagonal: torch.Tensor, beside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the nodes and weights of tridiagonal matrices, ``[S, m]`` each.

    Behind a zero beside the diagonal the matrix falls apart, and the first unit vector has no share
    in what comes after: its weights are exactly zero there up to rounding, which is cut off.
    """
    matrices = torch.diag_embed(diagonal)  # [S, m, m]
    if beside.shape[1]:
        matrices = matrices + torch.diag_embed(beside, 1) + torch.diag_embed(beside, -1)
    nodes, vectors = torch.linalg.eigh(matrices)  # [S, m], [S, m, m]
    weights = vectors[:, 0].square()  # [S, m]
    tiny = torch.finfo(torch.float64).eps ** 2
    weights = torch.where(weights > tiny, weights, 0.0)
    return nodes, weights / weights.sum(dim=1, keepdim=True)
