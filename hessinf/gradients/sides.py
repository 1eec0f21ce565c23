"""``Sides``: what a Hessian has of a layer beside its Gauss-Newton matrix."""

from __future__ import annotations

import torch


def sides_of(count: int, matrix: torch.Tensor, total: torch.Tensor, factor: float) -> Sides:
    """Choose how to compute them for some number of examples; arguments as of :class:`Sides`.

    Laying V out anew, and back, moves ``3·O·I`` numbers for each vector; without, ``2·(O + I)``
    numbers for each example are copied on the way.
    """
    _, out, wide = matrix.shape
    kind = Sides if 2 * count * (out + wide) > 3 * out * wide else SidesOfFewExamples
    return kind(matrix, total, factor)


class Sides:
    """What is left of a layer: ``gᵀ ȧ`` for the weight, ``g V`` for its inputs.

    Its matrices lie as ``[O, K·I]`` here, so that both are single products, too.

    Parameters
    ----------
    matrix
        V.
    total
        What to add to, ``[K, O, I]``.
    factor
        How often.
    """

    def __init__(self, matrix: torch.Tensor, total: torch.Tensor, factor: float) -> None:
        self.matrix = matrix.transpose(0, 1).flatten(1)  # [O, K·I]
        self.summed = torch.zeros_like(self.matrix)  # [O, K·I]
        self.total = total
        self.factor = factor

    def step(
        self,
        gradient: torch.Tensor,
        tangent: torch.Tensor | None,
        change: torch.Tensor | None,
    ) -> torch.Tensor:
        """Take some examples: g ``[B, O]``, ȧ ``[B, K, I]``; add to the change ``[B, K, I]``."""
        if tangent is not None:
            self.summed.addmm_(gradient.T, tangent.flatten(1))
        if change is None:
            return (gradient @ self.matrix).view(len(gradient), -1, self.total.shape[2])
        change.flatten(1).addmm_(gradient, self.matrix)
        return change

    def finish(self) -> None:
        """Add up."""
        out, count, wide = self.total.shape[1], self.total.shape[0], self.total.shape[2]
        parts = self.summed.view(out, count, wide).transpose(0, 1)  # [K, O, I]
        self.total.add_(parts, alpha=self.factor)


class SidesOfFewExamples(Sides):
    """The same for so few examples that it does not pay to lay matrices out anew."""

    def __init__(self, matrix: torch.Tensor, total: torch.Tensor, factor: float) -> None:
        self.matrix = matrix  # [K, O, I]
        self.total = total
        self.factor = factor

    def step(
        self,
        gradient: torch.Tensor,
        tangent: torch.Tensor | None,
        change: torch.Tensor | None,
    ) -> torch.Tensor:
        """Take them all."""
        count = len(self.matrix)
        if tangent is not None:
            rows = gradient.T.expand(count, -1, -1)  # [K, O, B]
            self.total.baddbmm_(rows, tangent.transpose(0, 1), alpha=self.factor)
        other = torch.bmm(gradient.expand(count, -1, -1), self.matrix)  # [K, B, I]
        if change is None:
            return other.transpose(0, 1).contiguous()  # [B, K, I]
        return change.add_(other.transpose(0, 1))

    def finish(self) -> None:
        """Nothing is left to be done."""
