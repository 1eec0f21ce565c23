"""The largest eigenvalues of a symmetric operator with their eigenvectors, by block Lanczos.

Lanczos (1950), Golub & Underwood (1977), with full reorthogonalisation: each new direction is made
orthogonal to all before it, twice. Where a Krylov space is used up (an invariant subspace), the
iteration goes on from a new random direction, so that repeated eigenvalues are found as often as
they occur, and the whole space can be reached.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.errors import SolverError
from hessinf.solvers.low_rank import LowRank

if TYPE_CHECKING:
    import torch

    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")

ROUNDING = 100
"""What is left of an image after reorthogonalisation, up to this many units of rounding of the
largest image, is nothing."""


@dataclass(frozen=True)
class RitzPairs:
    """What Lanczos found.

    Parameters
    ----------
    low_rank
        The Ritz values of largest magnitude, and their vectors.
    residuals
        ``‖A v − θ v‖`` of each pair, ``[R]``, float64: an eigenvalue lies within this of θ.
    left_out
        The largest magnitude of a Ritz value that was not kept; 0 where nothing is left, None where
        all that were computed are kept.
    """

    low_rank: LowRank
    residuals: torch.Tensor
    left_out: float | None


def lanczos(
    product: Product,
    size: int,
    *,
    rank: int,
    dimension: int,
    block_size: int = 1,
    generator: torch.Generator,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    on_step: Callable[[int], None] = lambda _: None,
) -> RitzPairs:
    """Find the eigenpairs of largest magnitude.

    Parameters
    ----------
    product
        Multiplies row vectors with A.
    size
        P, the number of rows of A.
    rank
        How many pairs to keep, at most P. With P, directions without curvature are among them.
    dimension
        Of the Krylov space: how many vectors are multiplied and kept, at most P.
    block_size
        How many of them are multiplied together.
    generator
        Draws the start, on the CPU.
    dtype, device
        Of the vectors; float64 when left out.
    on_step
        Called after each product with the number of vectors.

    Raises
    ------
    SolverError
        When a product is not finite.
    """
    krylov = _Krylov(product, size, min(dimension, size), generator, dtype or torch.float64, device)
    krylov.grow(block_size, on_step)
    if krylov.exhausted and rank >= size:
        krylov.fill()
    values, vectors = torch.linalg.eigh(krylov.core)  # [M], [M, M]
    order = values.abs().argsort(descending=True, stable=True)  # [M]
    kept = order[: min(rank, len(order))]  # [R]
    ritz = vectors[:, kept]  # [M, R]
    complete = krylov.exhausted or len(values) == size
    left_out = float(values[order[len(kept)]].abs()) if len(order) > len(kept) else None
    return RitzPairs(
        LowRank(
            values[kept],
            (ritz.T.to(krylov.basis.dtype) @ krylov.basis).contiguous(),
        ),
        krylov.residuals(ritz),
        0.0 if left_out is None and complete else left_out,
    )


class _Krylov:
    """An orthonormal basis that grows, and A on it."""

    def __init__(
        self,
        product: Product,
        size: int,
        dimension: int,
        generator: torch.Generator,
        dtype: torch.dtype,
        device: str | torch.device,
    ) -> None:
        self.product, self.size, self.generator = product, size, generator
        self._rows = torch.empty(dimension, size, dtype=dtype, device=device)  # [M, P]
        self._core = torch.zeros(dimension, dimension, dtype=torch.float64, device=device)
        self.count = 0
        self.scale = 0.0
        self.exhausted = False
        self._outside: list[tuple[slice, torch.Tensor]] = []

    @property
    def basis(self) -> torch.Tensor:
        """``[m, P]``, what has been multiplied so far."""
        return self._rows[: self.count]

    @property
    def core(self) -> torch.Tensor:
        """A on the basis, ``[m, m]``."""
        return self._core[: self.count, : self.count]

    def grow(self, block_size: int, on_step: Callable[[int], None]) -> None:
        """Go on until the dimension is reached, or A vanishes on all that is left."""
        dimension = len(self._rows)
        block = self._random_rows(min(block_size, dimension))  # [b, P]
        fresh = True
        while True:
            rest, shares = self._multiply(block)  # [b', P], [b', b]
            on_step(len(block))
            self.exhausted = fresh and len(rest) == 0 and self._flat(len(block))
            room = dimension - self.count
            if len(rest) > room:
                self._outside.append((slice(self.count - len(block), self.count), shares[room:]))
            if self.exhausted or room == 0:
                return
            fresh = len(rest) == 0
            # What a Krylov space that is used up leaves free goes to new random directions.
            block = self._random_rows(min(block_size, room)) if fresh else rest[:room]

    def fill(self) -> None:
        """Take in all directions that are left, on which A vanishes."""
        rest = self._random_rows(self.size - self.count)  # [P - m, P]
        rows = torch.cat([self.basis, rest])  # [P, P]
        core = torch.zeros(self.size, self.size, dtype=self._core.dtype, device=rows.device)
        core[: self.count, : self.count] = self.core
        self._rows, self._core, self.count = rows, core, self.size

    def residuals(self, ritz: torch.Tensor) -> torch.Tensor:
        """Return ``‖A v − θ v‖`` for Ritz vectors given on the basis, ``[m, R]``: ``[R]``.

        Where the last block of the basis had to be cut, a bound from above.
        """
        total = ritz.new_zeros(ritz.shape[1])  # [R]
        for rows, shares in self._outside:
            total += (shares @ ritz[rows]).norm(dim=0)
        return total

    def _multiply(self, block: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take a block into the basis.

        Returns
        -------
        torch.Tensor
            What its images have beside the basis: orthonormal rows, ``[b', P]``.
        torch.Tensor
            How much of each of them the images have, ``[b', b]``.
        """
        first = self.count
        self._rows[first : first + len(block)] = block
        self.count += len(block)
        images = self.product(block)  # [b, P]
        if not bool(images.isfinite().all()):
            raise SolverError(
                f"Lanczos: product {first + 1} with the curvature is not finite; likely causes: "
                "NaN or huge values in the training data, or a model whose training diverged"
            )
        entries = (images @ self.basis.T).double()  # [b, m]
        self._core[first : self.count, : self.count] = entries
        self._core[: self.count, first : self.count] = entries.T
        own = entries[:, first:]  # [b, b]
        self._core[first : self.count, first : self.count] = (own + own.T) / 2
        self.scale = max(self.scale, float(images.norm(dim=1).max()))
        rest = self._orthogonal(images)  # [b, P]
        columns, triangle = torch.linalg.qr(rest.T)  # [P, b], [b, b]
        left, values, right = torch.linalg.svd(triangle)  # [b, b], [b], [b, b]
        kept = values > ROUNDING * torch.finfo(images.dtype).eps * self.scale  # [b]
        shares = (values[kept, None] * right[kept]).double()  # [b', b]
        # Once more: where little is left of an image, its rounding errors are not orthogonal.
        found = self._orthogonal((columns @ left[:, kept]).T)  # [b', P]
        return (torch.linalg.qr(found.T)[0].T if len(found) else found), shares

    def _orthogonal(self, vectors: torch.Tensor) -> torch.Tensor:
        """Take away what lies in the basis."""
        for _ in range(2):  # once leaves rounding errors that grow
            vectors = vectors - (vectors @ self.basis.T) @ self.basis
        return vectors

    def _random_rows(self, count: int) -> torch.Tensor:
        """Draw orthonormal rows beside the basis, ``[count, P]``."""
        drawn = torch.randn(count, self.size, generator=self.generator, dtype=torch.float64)
        rows = self._orthogonal(drawn.to(self._rows))  # [count, P]
        rows = torch.linalg.qr(rows.T)[0].T  # [count, P]
        again: torch.Tensor = torch.linalg.qr(self._orthogonal(rows).T)[0]  # [P, count]
        return again.T

    def _flat(self, count: int) -> bool:
        """Whether A vanishes on the last vectors of the basis."""
        block = self._core[self.count - count : self.count, : self.count]  # [b, m]
        unit = torch.finfo(self._rows.dtype).eps
        return float(block.abs().max()) <= ROUNDING * unit * self.scale
