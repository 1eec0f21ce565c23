"""``LowRankInverse``: the damped inverse eigenvalues of a matrix's block, as a sum of few products.

In the eigenbasis, the share that a matrix of parameters has in a score is, for one position an
example, ``(g_q ∘ g_i)ᵀ W (a_q ∘ a_i)`` with ``W = 1 / (Λ + λ)``, ``[O, I]``. W is smooth in the
order of the eigenvalues, so that ``W ≈ Σ_k u_k v_kᵀ`` with few terms, each of which takes two small
matrix products for all queries and examples.

What counts is the error in scores, and gradients are far from being of one size in all directions.
So the decomposition is that of ``D_r W D_c``, where ``D_r`` and ``D_c`` hold the root mean squares
of the training examples' gradients and inputs in each direction. For what is left out, ``R``, each
score is off by no more than ``‖R‖ ‖D_r⁻¹ (g_q ∘ g_i)‖ ‖D_c⁻¹ (a_q ∘ a_i)‖``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

TERMS_AT_ONCE = 16
"""How many terms the decomposition finds together."""

SPARE_TERMS = 4
"""What is found beyond the terms that are kept, so that these are nearly the best ones."""


SMALLEST_SIZE = 1e-4
"""As a share of the largest one."""


@dataclass(frozen=True)
class Terms:
    """``W ≈ Σ_k rows[k] ⊗ columns[k]``.

    Parameters
    ----------
    rows, columns
        ``[K, O]`` and ``[K, I]``, float64.
    error
        At least ``‖R‖`` (the largest singular value) of what is left out, scaled.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    error: float


class LowRankInverse:
    """Decomposes a matrix ``[O, I]`` of inverse eigenvalues, as far as is asked for.

    By products with random vectors, block by block (Martinsson & Voronin 2016), in float64. The
    error that is told is computed from what is left, not estimated.

    Parameters
    ----------
    inverse
        W, ``[O, I]``, float64, positive.
    row_sizes, column_sizes
        ``[O]`` and ``[I]``: what training examples have in each direction, as a root mean square.
    """

    def __init__(
        self, inverse: torch.Tensor, row_sizes: torch.Tensor, column_sizes: torch.Tensor
    ) -> None:
        self.row_sizes = _positive(row_sizes)
        self.column_sizes = _positive(column_sizes)
        scaled = inverse * self.row_sizes[:, None] * self.column_sizes  # [O, I]
        self._scaled = scaled
        self._rest = scaled.clone()
        """What the basis does not span."""
        self._basis = scaled.new_empty(len(scaled), 0)  # [O, K]
        self._generator = torch.Generator().manual_seed(0)
        self._values = scaled.new_empty(0)  # [K]
        self._left = scaled.new_empty(0, 0)
        self._right = scaled.new_empty(0, 0)

    def terms(self, allowed: float, most: int) -> Terms | None:
        """Find the fewest terms that are good enough.

        Parameters
        ----------
        allowed
            How large the error may be.
        most
            How many terms there may be.

        Returns
        -------
        Terms or None
            None where more would be needed.
        """
        while True:
            beyond = float(self._rest.norm())
            errors = torch.cat([self._values, self._values.new_zeros(1)])  # [K + 1]
            enough = ((errors.square() + beyond**2).sqrt() <= allowed).nonzero()
            found = int(enough[0]) if len(enough) else None
            known = len(self._values)
            if found is not None and (
                found + SPARE_TERMS <= known or known == min(self._rest.shape)
            ):
                if found > most:
                    return None
                error = float((errors[found].square() + beyond**2).sqrt())
                return Terms(
                    self._left[:, :found].T / self.row_sizes,  # [K, O]
                    self._right[:found] / self.column_sizes,  # [K, I]
                    error,
                )
            if known >= min(most + SPARE_TERMS, *self._rest.shape):
                return None
            self._extend()

    def _extend(self) -> None:
        """Find more terms."""
        rows, columns = self._rest.shape
        number = min(TERMS_AT_ONCE, min(rows, columns) - self._basis.shape[1])
        drawn = torch.randn(columns, number, generator=self._generator, dtype=torch.float64)
        sample = self._rest @ drawn.to(self._rest.device)  # [O, n]
        sample = torch.linalg.qr(sample).Q
        sample = self._rest @ torch.linalg.qr(self._rest.T @ sample).Q  # [O, n]
        sample = torch.linalg.qr(sample).Q
        sample = sample - self._basis @ (self._basis.T @ sample)
        sample = torch.linalg.qr(sample).Q
        self._rest = self._rest - sample @ (sample.T @ self._rest)
        self._basis = torch.cat([self._basis, sample], dim=1)  # [O, K]
        within = self._basis.T @ self._scaled  # [K, I]
        left, values, right = torch.linalg.svd(within, full_matrices=False)
        self._left = self._basis @ left  # [O, K]
        self._values = values
        self._right = values[:, None] * right  # [K, I]


def _positive(sizes: torch.Tensor) -> torch.Tensor:
    """Lift the smallest sizes: queries may have more than training examples in a direction.

    It costs no terms. Where training examples have next to nothing, Λ is far below λ, and one term
    is enough for all such directions together.
    """
    sizes = sizes.double()
    least = SMALLEST_SIZE * float(sizes.max())
    return sizes.clamp(min=least if least > 0 else 1.0)
