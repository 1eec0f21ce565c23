"""``KroneckerCurvature``: block-diagonal curvature, every block in an eigenbasis at hand.

With the eigenbasis there, the inverse at any damping is a division: K-FAC's factors damped exactly,
EK-FAC's corrected eigenvalues, and the dense or diagonal blocks of what is no matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hessinf.curvature.damping import RelativeDamping, effective_damping
from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.kronecker_blocks import EigenBlock, KroneckerBlock, block_from_state

ROUNDING = 10
"""Eigenvalues up to this many units of rounding of a block's largest count as zero."""

BlockDamping = float | dict[str, float]
"""λ, the same everywhere or by the name of the block."""


class KroneckerCurvature:
    """Curvature as blocks in eigenbases, that together hold each parameter once.

    Parameters
    ----------
    blocks
        The blocks.
    weight_decay
        What is added to every eigenvalue.
    facts
        What reports say of how it was made: numbers and texts.
    """

    def __init__(
        self, blocks: Sequence[EigenBlock], weight_decay: float, facts: dict[str, Any]
    ) -> None:
        self.blocks = tuple(blocks)
        self.weight_decay = weight_decay
        self.facts = facts

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return sum(block.size for block in self.blocks)

    def damping(self, wanted: float | RelativeDamping) -> BlockDamping:
        """Return λ: as it is, or for a relative damping that of each block.

        A block without any curvature takes its share of the mean over all blocks: no training
        example has a gradient there, so that it makes no difference to scores.

        Raises
        ------
        CurvatureError
            When all curvature is zero.
        """
        if not isinstance(wanted, RelativeDamping):
            return wanted
        traces = {
            block.name: float(block.eigenvalues.sum()) + self.weight_decay * block.size
            for block in self.blocks
        }
        elsewhere = effective_damping(wanted, sum(traces.values()), self.size)
        return {
            block.name: effective_damping(wanted, traces[block.name], block.size)
            if traces[block.name] > 0
            else elsewhere
            for block in self.blocks
        }

    def solve(
        self,
        vectors: torch.Tensor,
        damping: BlockDamping,
        heuristic: bool = False,
        ridge_share: float = 1.0,
    ) -> torch.Tensor:
        """Multiply ``(C + λI)⁻¹`` with row vectors.

        Parameters
        ----------
        vectors
            ``[K, P]``.
        damping
            λ.
        heuristic
            Whether matrices are damped by their factors.
        ridge_share
            The share of weight decay and damping that is added.

        Returns
        -------
        torch.Tensor
            ``[K, P]``, float64.

        Raises
        ------
        CurvatureError
            When a block is singular at this damping.
        """
        vectors = vectors.double()
        solved = torch.empty_like(vectors)  # [K, P]
        for block, damped in self.damped(damping, heuristic, ridge_share):
            block.write(block.coordinates(vectors) / damped, solved)
        return solved

    def half_solve(
        self, vectors: torch.Tensor, damping: BlockDamping, heuristic: bool = False
    ) -> torch.Tensor:
        """Multiply ``(Λ + λ)^(-1/2) Qᵀ``: vectors whose inner products are those with the inverse.

        Parameters
        ----------
        vectors, damping, heuristic
            As for :meth:`solve`.

        Returns
        -------
        torch.Tensor
            ``[K, P]``, float64.
        """
        vectors = vectors.double()
        parts = [
            (block.coordinates(vectors) / damped.sqrt()).flatten(1)
            for block, damped in self.damped(damping, heuristic)
        ]
        return torch.cat(parts, dim=1)  # [K, P]

    def damped(
        self, damping: BlockDamping, heuristic: bool = False, ridge_share: float = 1.0
    ) -> list[tuple[EigenBlock, torch.Tensor]]:
        """Pair each block with its damped eigenvalues.

        Parameters
        ----------
        damping, heuristic, ridge_share
            As for :meth:`solve`.

        Raises
        ------
        CurvatureError
            When a block is singular at this damping.
        """
        pairs = []
        for block in self.blocks:
            own = damping[block.name] if isinstance(damping, dict) else damping
            damped = block.damped(ridge_share * (own + self.weight_decay), heuristic)
            smallest, largest = float(damped.min()), float(damped.max())
            if not smallest > ROUNDING * torch.finfo(damped.dtype).eps * largest:
                raise CurvatureError(
                    f'the curvature of the block "{block.name}" is singular to working precision '
                    f"at damping {own:g} (eigenvalues from {smallest:.3g} to {largest:.3g}); raise "
                    "damping"
                )
            pairs.append((block, damped))
        return pairs

    def multiply(self, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply the whole matrix, weight decay included, with row vectors.

        Parameters
        ----------
        vectors
            ``[K, P]``.

        Returns
        -------
        torch.Tensor
            ``[K, P]``, float64.
        """
        vectors = vectors.double()
        product = torch.empty_like(vectors)  # [K, P]
        for block in self.blocks:
            scaled = block.coordinates(vectors) * (block.eigenvalues + self.weight_decay)
            block.write(scaled, product)
        return product

    def dense(self) -> torch.Tensor:
        """Return the whole matrix, weight decay included, ``[P, P]``: for small models only."""
        unit_vectors = torch.eye(
            self.size, dtype=torch.float64, device=self.blocks[0].eigenvalues.device
        )
        return self.multiply(unit_vectors)

    @property
    def kronecker_share(self) -> float:
        """The share of parameters that lie in matrices with two factors."""
        inside = sum(block.size for block in self.blocks if isinstance(block, KroneckerBlock))
        return inside / self.size

    def state(self) -> dict[str, Any]:
        """Return everything, as tensors, numbers and texts."""
        return {
            "blocks": [block.state() for block in self.blocks],
            "weight_decay": self.weight_decay,
            "facts": self.facts,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> KroneckerCurvature:
        """Make a curvature again from its :meth:`state`."""
        blocks = [block_from_state(block) for block in state["blocks"]]
        return cls(blocks, state["weight_decay"], state["facts"])
