"""The factors of a layer's gradients, all of its calls together."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hessinf.gradients.layers import LayerGradients, MatrixUnit


class LookedUpError(Exception):
    """The gradient of a matrix is on the side of the columns."""


@dataclass(frozen=True)
class LayerFactors:
    """What the gradients of a matrix are made of: ``Σ_s rows[k, b, s] ⊗ columns[b, s]``.

    Parameters
    ----------
    rows
        ``[K, B, S, O]``.
    columns
        ``[B, S, I]``.
    """

    rows: torch.Tensor
    columns: torch.Tensor

    @property
    def positions(self) -> int:
        """S: positions at which an example uses the matrix, in all calls."""
        return self.columns.shape[1]

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return self.rows.numel() + self.columns.numel()

    def select(self, examples: slice) -> LayerFactors:
        """Keep some examples."""
        return LayerFactors(self.rows[:, examples], self.columns[examples])


def layer_factors(gradients: LayerGradients, unit: MatrixUnit) -> LayerFactors | None:
    """Collect the factors of a matrix.

    Returns
    -------
    LayerFactors or None
        None where the examples do not use the matrix.

    Raises
    ------
    LookedUpError
        When rows of the matrix are looked up, as an embedding's are: the gradient is then on the
        side of the columns.
    """
    usages = gradients.usages(unit)
    if not usages:
        return None
    if any(usage.gradient_side != "rows" for usage in usages):
        raise LookedUpError(unit.name)
    return LayerFactors(
        torch.cat([usage.rows for usage in usages], dim=2),  # [K, B, S, O]
        torch.cat([usage.columns for usage in usages], dim=1),  # [B, S, I]
    )
