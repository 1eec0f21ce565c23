"""Fitting K-FAC and EK-FAC: a pass for the factors, and for EK-FAC one for the eigenvalues."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import torch

from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.fisher_blocks import BlockSums, ParameterBlock, parameter_blocks
from hessinf.curvature.fisher_columns import Fisher, FisherColumns, choose_fisher
from hessinf.curvature.fisher_pass import Beside, FisherPass, NewLayersError
from hessinf.curvature.fisher_spread import TraceSpread, relative_standard_errors
from hessinf.curvature.kronecker import KroneckerCurvature
from hessinf.curvature.kronecker_basis import decomposed, unit_basis
from hessinf.curvature.kronecker_blocks import (
    DenseBlock,
    DiagonalBlock,
    EigenBlock,
    KroneckerBlock,
)
from hessinf.curvature.kronecker_eigenvalues import SquaredGradients
from hessinf.curvature.kronecker_factors import FactorSums, WeightSharing
from hessinf.curvature.kronecker_memory import require_memory
from hessinf.data.batching import Batches
from hessinf.execution import Executor
from hessinf.gradients import FunctionalModel
from hessinf.gradients.layers import LayerCapture, LayerGradients, MatrixUnit
from hessinf.models import Objective

logger = logging.getLogger(__name__)

KEPT_SHARE = 1 / 32
"""The share of the memory limit that factors kept for the second pass may take: all of them on
small data; on large data it saves no more time than the share of the examples that it holds."""


def fit_kronecker(
    model: FunctionalModel,
    objective: Objective,
    batches: Batches,
    *,
    fisher: Fisher = "auto",
    samples: int = 1,
    weight_sharing: WeightSharing = "expand",
    corrected: bool = False,
    weight_decay: float = 0.0,
    seed: int = 0,
    columns_at_once: int | None = None,
    memory_limit: float | None = None,
    executor: Executor | None = None,
    capture: LayerCapture | None = None,
    beside: Beside | None = None,
) -> KroneckerCurvature:
    """Learn K-FAC or EK-FAC from the training data.

    Parameters
    ----------
    model
        The model as a function of θ, in evaluation mode.
    objective
        The loss of every example.
    batches
        The training data.
    fisher
        Which Fisher; see :mod:`hessinf.curvature.fisher_columns`.
    samples
        Targets drawn for every example, where the Fisher is sampled.
    weight_sharing
        What is done with several positions of one example in the factors.
    corrected
        Whether the eigenvalues are those of EK-FAC.
    weight_decay
        The coefficient of ``½·wd·‖θ‖²`` on the mean loss.
    seed
        Of the sampled targets.
    columns_at_once
        How many columns of the Fisher go back through the model together.
    memory_limit
        In GiB; None for no limit. A part of it goes to what is kept of the first pass for the
        second.
    executor
        Where batches are worked on; one after another when None.
    capture
        Records what the layers of the model do; a new one when None.
    beside
        What else to make of the forward pass of the first pass.

    Returns
    -------
    KroneckerCurvature
        In float64.

    Raises
    ------
    CurvatureError
        When the objective cannot give the Fisher, factors do not fit or are not finite.
    """
    kind = choose_fisher(fisher, objective, model, batches)
    columns = FisherColumns(objective, kind, samples, seed)
    through = FisherPass(
        LayerCapture(model) if capture is None else capture,
        columns,
        batches,
        executor,
        columns_at_once,
        keeps=KEPT_SHARE * (math.inf if memory_limit is None else memory_limit) * 2**30,
        beside=beside,
    )
    while True:
        try:
            return _fit(through, model, weight_sharing, corrected, weight_decay, memory_limit)
        except NewLayersError:
            logger.info("a later batch uses layers that earlier ones did not: starting anew")


def _fit(
    through: FisherPass,
    model: FunctionalModel,
    weight_sharing: WeightSharing,
    corrected: bool,
    weight_decay: float,
    memory_limit: float | None,
) -> KroneckerCurvature:
    """Go through the training data once or twice."""
    probe = through.probe()
    units = through.capture.units
    others = other_blocks(through.capture, model)
    places = Places(model, units, others)
    require_memory(units, probe, memory_limit)

    columns = through.columns
    sampled = columns.kind == "monte-carlo"
    sums = through.first_sum(
        lambda: _FirstPass(units, others, weight_sharing, sampled),
        "Kronecker factors",
        keep=corrected,
    )
    count = sums["examples"]
    # With "expand", gradients have no part in a space of zeros.
    ties = corrected and weight_sharing == "reduce"
    bases = [
        unit_basis(unit, factors, count, settle_ties=ties, device=model.device)
        for unit, factors in zip(units, sums["factors"], strict=True)
    ]
    eigenvalues = [basis.eigenvalues for basis in bases]
    if corrected:
        sides = [(basis.rows, basis.columns) for basis in bases]
        squares = through.sum(lambda: SquaredGradients(units, sides), "corrected eigenvalues")
        through.forget()
        eigenvalues = [total / count for total in squares]
    blocks: list[EigenBlock] = [
        KroneckerBlock(
            unit.name,
            places.of_unit(unit),
            values,
            basis.rows,
            basis.columns,
            basis.row_eigenvalues,
            basis.column_eigenvalues,
        )
        for unit, basis, values in zip(units, bases, eigenvalues, strict=True)
    ]
    for block, total in zip(others, sums["others"], strict=True):
        blocks.append(_other_block(block, places.of_block(block), total / count))
    curvature = KroneckerCurvature(blocks, weight_decay, {"fisher": columns.kind})
    _say_what_is_no_matrix(curvature, others)
    if sampled:
        curvature.facts["fisher_samples"] = columns.samples
        curvature.facts["fisher_relative_standard_error"] = max(
            relative_standard_errors(sums["spread"])
        )
    return curvature


def other_blocks(capture: LayerCapture, model: FunctionalModel) -> tuple[ParameterBlock, ...]:
    """Group the parameters that no unit covers to blocks."""
    sizes = dict(zip(model.layout.shapes, model.layout.sizes, strict=True))
    rest = {*capture.elementwise, *capture.general, *capture.idle}
    return parameter_blocks({name: size for name, size in sizes.items() if name in rest})


class Places:
    """Where the numbers of units and blocks lie in the flat vector θ.

    Parameters
    ----------
    model
        Whose parameters these are.
    units, others
        Together they hold each parameter once.
    """

    def __init__(
        self,
        model: FunctionalModel,
        units: Sequence[MatrixUnit],
        others: Sequence[ParameterBlock],
    ) -> None:
        size = model.layout.size
        self.by_name = model.layout.unflatten(torch.arange(size, device=model.device))
        parts = [self.of_unit(unit) for unit in units] + [self.of_block(one) for one in others]
        found = torch.zeros(size, dtype=torch.bool, device=model.device)  # [P]
        for part in parts:
            found[part.flatten()] = True
        count = sum(part.numel() for part in parts)
        if count != size or not bool(found.all()):
            raise CurvatureError(
                f"the layers of the model cover {count} numbers, its parameters have {size}; "
                "a parameter is used in ways that cannot be told apart: freeze it with "
                "params_to_freeze"
            )

    def of_unit(self, unit: MatrixUnit) -> torch.Tensor:
        """Return places ``[O, I]``."""
        return unit.matrix(self.by_name).contiguous()

    def of_block(self, block: ParameterBlock) -> torch.Tensor:
        """Return places ``[D]``."""
        return torch.cat([self.by_name[name].flatten() for name in block.parameters])


class _FirstPass:
    """Everything but corrected eigenvalues, over one batch."""

    def __init__(
        self,
        units: Sequence[MatrixUnit],
        others: Sequence[ParameterBlock],
        weight_sharing: WeightSharing,
        sampled: bool,
    ) -> None:
        self.factors = FactorSums(units, weight_sharing)
        self.others = BlockSums(others)
        self.spread = TraceSpread() if sampled else None
        self.examples = 0
        self._seen = 0

    def add(self, gradients: LayerGradients) -> None:
        """Take in K columns."""
        traces = self.factors.add(gradients) + self.others.add(gradients)
        self._seen = gradients.count
        if self.spread is not None:
            self.spread.add(traces)

    def end_examples(self) -> None:
        """Learn that all columns of the examples were there."""
        self.examples += self._seen
        self.factors.end_examples()
        if self.spread is not None:
            self.spread.end_examples()

    def result(self) -> dict[str, Any]:
        """Return the sums."""
        return {
            "examples": self.examples,
            "factors": self.factors.result(),
            "others": self.others.result(),
            **({} if self.spread is None else {"spread": self.spread.result()}),
        }


def _other_block(block: ParameterBlock, places: torch.Tensor, values: torch.Tensor) -> EigenBlock:
    """Make a block of products ``[D, D]`` or squares ``[D]``."""
    eigenvalues, basis = decomposed(values, f'the Fisher of "{block.name}"')
    if basis is None:
        return DiagonalBlock(block.name, places, eigenvalues)
    return DenseBlock(block.name, places, eigenvalues, basis)


def _say_what_is_no_matrix(curvature: KroneckerCurvature, others: Sequence[ParameterBlock]) -> None:
    """Record how parameters are approximated, where it is not by two factors."""
    if not others:
        return
    curvature.facts["kronecker_share"] = curvature.kronecker_share
    for kind, dense in (("dense", True), ("diagonal", False)):
        names = [name for block in others if block.dense is dense for name in block.parameters]
        if names:
            logger.info("no matrices, %s blocks of the Fisher instead: %s", kind, ", ".join(names))
    diagonal = [block.name for block in others if not block.dense]
    if diagonal:
        curvature.facts["diagonal_parameters"] = ", ".join(diagonal)
