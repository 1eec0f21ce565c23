"""Square roots of the losses' Hessians in the outputs, column by column, without zeros."""

from __future__ import annotations

import torch

from hessinf.curvature.errors import CurvatureError
from hessinf.models import CrossEntropy, Objective

WIDEST_TURNED = 64
"""Up to so many classes, the columns of a softmax are turned so that one of them is zero. Beyond,
that saves less than it costs."""


class OutputColumns:
    """The columns of S for every example of a batch, ``∂²ℓ/∂f² = S Sᵀ``.

    Columns of zeros, such as those of masked positions, are left out, example by example: what an
    example has does not depend on the batch that it is in.

    Parameters
    ----------
    objective
        The loss of every example.
    outputs
        The model's, ``[B, ...]``, detached.
    targets
        ``[B, ...]``.

    Raises
    ------
    CurvatureError
        When the objective has no square root of its output Hessian.
    """

    def __init__(self, objective: Objective, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        blocks = _blocks(objective, outputs, targets)  # [B, S, C, R]
        if _is_softmax(objective) and blocks.shape[3] <= WIDEST_TURNED:
            blocks = _without_one_column(blocks)  # [B, S, C, C - 1]
        self._arrange(blocks, outputs.shape)

    def _arrange(self, blocks: torch.Tensor, shape: torch.Size) -> None:
        """List the columns that are not zero, example by example."""
        self._blocks = blocks  # [B, S, C, R]
        self.shape = shape
        examples, rank = len(blocks), max(blocks.shape[3], 1)
        present = blocks.ne(0).any(dim=2).reshape(examples, -1)  # [B, S · R]
        self.counts = present.sum(dim=1)  # [B]
        self.most = int(self.counts.max()) if examples else 0
        first = present.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
        first = first[:, : self.most]  # [B, most]: the columns that are there, in order
        self._positions, self._columns = first // rank, first % rank  # [B, most] each

    def select(self, places: slice) -> OutputColumns:
        """Keep some examples."""
        chosen = object.__new__(OutputColumns)
        blocks = self._blocks[places]
        chosen._arrange(blocks, torch.Size((len(blocks), *self.shape[1:])))
        return chosen

    def cotangents(self, start: int, stop: int) -> torch.Tensor:
        """Give the columns from ``start`` to ``stop`` of every example.

        Returns
        -------
        torch.Tensor
            ``[K, B, *outputs.shape[1:]]``; zero where an example has fewer.
        """
        examples, positions, width, _ = self._blocks.shape
        position = self._positions[:, start:stop].T  # [K, B]
        column = self._columns[:, start:stop].T  # [K, B]
        number = len(position)
        example = torch.arange(examples, device=position.device)  # [B]
        row = torch.arange(number, device=position.device)[:, None]  # [K, 1]
        values = self._blocks[example, position, :, column]  # [K, B, C]
        laid_out = self._blocks.new_zeros(number, examples, positions, width)  # [K, B, S, C]
        laid_out[row, example, position] = values
        return laid_out.reshape(number, *self.shape)


def _blocks(objective: Objective, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute the square roots, one for every position: ``[B, S, C, R]``."""
    cls = type(objective)
    if cls.hessian_square_root_blocks is not Objective.hessian_square_root_blocks:
        return objective.hessian_square_root_blocks(outputs, targets)
    if cls.hessian_square_root is not Objective.hessian_square_root:
        root = objective.hessian_square_root(outputs, targets)  # [B, ..., R]
        return root.reshape(len(outputs), 1, -1, root.shape[-1])
    raise CurvatureError(
        f"{objective.described} has no square root of its output Hessian, which the Gauss-Newton "
        'matrix is made of; use "exact" or "block-hessian", which need derivatives of the loss '
        "only, or give the objective a method `hessian_square_root_blocks`"
    )


def _is_softmax(objective: Objective) -> bool:
    """Whether a constant added to all outputs changes nothing, so that S has no full rank."""
    blocks = type(objective).hessian_square_root_blocks
    return blocks is CrossEntropy.hessian_square_root_blocks


def _without_one_column(blocks: torch.Tensor) -> torch.Tensor:
    """Turn the columns of a softmax, ``[B, S, C, C]``, so that the last one is zero: leave it out.

    ``Sᵀ = Q U`` with an upper triangular U gives ``S Sᵀ = Uᵀ U``. The rank of S is C - 1, and the
    last column of Uᵀ has one entry, which is zero up to rounding.
    """
    upper: torch.Tensor = torch.linalg.qr(blocks.mT, mode="r").R  # [B, S, C, C]
    return upper.mT[..., :-1].contiguous()  # [B, S, C, C - 1]
