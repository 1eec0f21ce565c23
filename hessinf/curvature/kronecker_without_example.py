"""K-FAC and EK-FAC of all training examples but one, from what they all add up to.

An example's part of each factor is taken out of the sum and the rest decomposed again, as if it had
never been there: the factors are small. That keeps what K-FAC assumes, that inputs and gradients
are independent, on both sides: taking the example's own Gauss-Newton matrix out of a block that
approximates their sum may take out more than there is in some direction.

EK-FAC's eigenvalues would need all examples in each new basis. They are brought there from the old
one instead, ``Λ' = m(Λ − own) ∘ K' / m(K)``: K' are the eigenvalues of the rest's K-FAC, K is its
diagonal in the old basis, and m gives the diagonal in the new basis of what is diagonal in the old.
Where EK-FAC is K-FAC, so is this.
"""

from __future__ import annotations

import logging
from typing import Any

import torch

from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.fisher_blocks import BlockSums
from hessinf.curvature.fisher_pass import FisherPass, NewLayersError
from hessinf.curvature.kronecker import BlockDamping, KroneckerCurvature
from hessinf.curvature.kronecker_basis import (
    UnitBasis,
    decomposed,
    diagonal_in,
    unit_basis,
)
from hessinf.curvature.kronecker_blocks import (
    DenseBlock,
    DiagonalBlock,
    EigenBlock,
    KroneckerBlock,
)
from hessinf.curvature.kronecker_eigenvalues import SquaredGradients
from hessinf.curvature.kronecker_factors import (
    FactorSums,
    ModuleSums,
    UnitSums,
    WeightSharing,
)
from hessinf.curvature.kronecker_fit import other_blocks
from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel
from hessinf.gradients.layers import LayerGradients, MatrixUnit

logger = logging.getLogger(__name__)

SMALLEST_COMPARED = 1e-10
"""Ratios of eigenvalues are taken above this share of the largest; below is rounding."""


class KroneckerWithoutExample:
    """Inverses of K-FAC or EK-FAC, each fitted without one training example.

    Parameters
    ----------
    through
        Over the training data; gone through once, when this is made.
    model
        The model as a function of θ, in evaluation mode.
    curvature
        What was fitted to all examples.
    weight_sharing
        As for the fit.
    corrected
        Whether the eigenvalues are those of EK-FAC.
    """

    def __init__(
        self,
        through: FisherPass,
        model: FunctionalModel,
        curvature: KroneckerCurvature,
        weight_sharing: WeightSharing,
        corrected: bool,
    ) -> None:
        self.through = through
        self.curvature = curvature
        self.weight_sharing = weight_sharing
        self.corrected = corrected
        self.count = len(through.batches.dataset)
        while True:
            try:
                through.probe()
                self.units = through.capture.units
                self.others = other_blocks(through.capture, model)
                self.total = through.sum(self._statistic, "Kronecker factors")
                break
            except NewLayersError:
                logger.info("a later batch uses layers that earlier ones did not: starting anew")

    def _statistic(self, with_squares: bool = False) -> _Parts:
        squares = None
        if with_squares:
            bases = [
                (block.row_basis, block.column_basis)
                for block in self.curvature.blocks
                if isinstance(block, KroneckerBlock)
            ]
            squares = SquaredGradients(self.units, bases)
        return _Parts(FactorSums(self.units, self.weight_sharing), BlockSums(self.others), squares)

    def solve(
        self,
        batch: Batch,
        vectors: torch.Tensor,
        damping: BlockDamping,
        heuristic: bool,
        ridge_share: float,
    ) -> torch.Tensor:
        """Multiply ``(C_data − C_i/N + share·(wd + λ)I)⁻¹`` with a vector for each example.

        Parameters
        ----------
        batch
            B training examples, with their places among all as ``indices``.
        vectors
            ``[B, P]``.
        damping, heuristic, ridge_share
            As for :meth:`hessinf.curvature.kronecker.KroneckerCurvature.solve`.

        Returns
        -------
        torch.Tensor
            ``[B, P]``, float64; NaN for an example without which the curvature has no inverse.
        """
        solved = torch.full_like(vectors, torch.nan, dtype=torch.float64)  # [B, P]
        for place in range(batch.size):
            some = slice(place, place + 1)
            rest = self.without(batch.select(some))
            try:
                solved[some] = rest.solve(vectors[some], damping, heuristic, ridge_share)
            except CurvatureError as error:
                index = int(batch.indices[place])
                logger.info("without training example %d: %s", index, error)
        return solved

    def without(self, one: Batch) -> KroneckerCurvature:
        """Return ``C_data − C_i/N`` for one example: (N − 1)/N times the curvature of the rest."""
        found = self.curvature.blocks[: len(self.units)]
        own = self.through.of_batch(one, lambda: self._statistic(self.corrected))
        share = 1 - 1 / self.count
        blocks: list[EigenBlock] = []
        for number, (unit, block) in enumerate(zip(self.units, found, strict=True)):
            assert isinstance(block, KroneckerBlock)
            rest = _less(self.total["factors"][number], own["factors"][number])
            basis = unit_basis(unit, rest, self.count - 1)
            eigenvalues = basis.eigenvalues
            if self.corrected:
                known = self.count * block.eigenvalues - own["squares"][number]  # [O, I]
                known = known.clamp(min=0) / (self.count - 1)
                eigenvalues = _in_new_basis(known, block, basis, unit, rest, self.count - 1)
            blocks.append(
                KroneckerBlock(
                    block.name,
                    block.places,
                    share * eigenvalues,
                    basis.rows,
                    basis.columns,
                    share * basis.row_eigenvalues,
                    basis.column_eigenvalues,
                )
            )
        for number, block in enumerate(self.curvature.blocks[len(self.units) :]):
            values = (self.total["others"][number] - own["others"][number]) / self.count
            eigenvalues, vectors = decomposed(values, f'the Fisher of "{block.name}"')
            eigenvalues = eigenvalues.clamp(min=0)
            blocks.append(
                DiagonalBlock(block.name, block.places, eigenvalues)
                if vectors is None
                else DenseBlock(block.name, block.places, eigenvalues, vectors)
            )
        return KroneckerCurvature(blocks, self.curvature.weight_decay, self.curvature.facts)


class _Parts:
    """What examples add to factors, to the Fisher of what is no matrix, and to eigenvalues."""

    def __init__(
        self, factors: FactorSums, others: BlockSums, squares: SquaredGradients | None
    ) -> None:
        self.factors = factors
        self.others = others
        self.squares = squares

    def add(self, gradients: LayerGradients) -> None:
        """Take in K columns."""
        self.factors.add(gradients)
        self.others.add(gradients)
        if self.squares is not None:
            self.squares.add(gradients)

    def end_examples(self) -> None:
        """Learn that all columns of the examples were there."""
        self.factors.end_examples()
        if self.squares is not None:
            self.squares.end_examples()

    def result(self) -> dict[str, Any]:
        """Return the sums."""
        return {
            "factors": self.factors.result(),
            "others": self.others.result(),
            "squares": [] if self.squares is None else self.squares.result(),
        }


def _less(total: UnitSums, own: UnitSums) -> UnitSums:
    """Take what one example adds up to out of the sums; modules that only it uses with it."""
    rest = dict(total.modules)
    for module, part in own.modules.items():
        whole = rest.pop(module)
        if whole.count > part.count:
            rest[module] = ModuleSums(
                whole.gradients - part.gradients,
                whole.inputs - part.inputs,
                whole.count - part.count,
            )
    return UnitSums(rest)


def _in_new_basis(
    known: torch.Tensor,
    block: KroneckerBlock,
    basis: UnitBasis,
    unit: MatrixUnit,
    rest: UnitSums,
    count: int,
) -> torch.Tensor:
    """Bring eigenvalues ``[O, I]`` of EK-FAC from the block's basis to another."""
    before = diagonal_in(block.row_basis, block.column_basis, unit, rest, count)  # [O, I]
    rows, columns = (
        _overlaps(block.row_basis, basis.rows),
        _overlaps(block.column_basis, basis.columns),
    )

    def moved(diagonal: torch.Tensor) -> torch.Tensor:
        if rows is not None:
            diagonal = rows.T @ diagonal
        return diagonal if columns is None else diagonal @ columns

    ours, theirs = moved(known), moved(before)  # [O, I] each
    enough = theirs > SMALLEST_COMPARED * theirs.max()
    return ours * torch.where(enough, basis.eigenvalues / theirs, 1.0)


def _overlaps(before: torch.Tensor | None, after: torch.Tensor | None) -> torch.Tensor | None:
    """Return the squared inner products of two bases, ``[D, D]``; None where they are the same."""
    if before is None:
        return None if after is None else after.square()
    if after is None:
        return before.T.square()
    return (before.T @ after).square()
