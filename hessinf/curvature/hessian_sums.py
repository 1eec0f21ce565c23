"""``HessianSums``: diagonal blocks of the Hessian, added up from derivatives in layers' outputs."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from hessinf.curvature import blocks as blocks_room
from hessinf.curvature.hessian_taps import Tap, TappedPass
from hessinf.curvature.matrix_part import MatrixPart, matrix_part
from hessinf.curvature.outer_sums import OuterSums
from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel
from hessinf.gradients.layers.matrix_unit import MatrixUnit
from hessinf.gradients.layers.plan import Plan
from hessinf.models import Objective

Columns = slice | torch.Tensor

SHARE = 4
"""Derivatives may take a share of 1 in so many of the memory that the matrices take."""

FEWEST_NUMBERS = 1 << 22
"""What they may take in any case: 32 MB."""

FEWEST_EXAMPLES, MOST_EXAMPLES = 64, 1024
"""At once: with fewer, adding to the matrices is bound by memory; with more, nothing is gained."""


class OtherUseError(Exception):
    """Some examples use matrices otherwise than those before them did."""

    def __init__(self, units: set[MatrixUnit]) -> None:
        super().__init__(", ".join(sorted(unit.name for unit in units)))
        self.units = units


class HessianSums:
    """Adds up the Hessians of examples' losses, as far as linear layers make them up.

    Parameters
    ----------
    model
        The model as a function of θ, in evaluation mode while this is used.
    objective
        The loss of every example.
    plan
        What was learnt of the model.
    blocks
        Which columns make up each diagonal block.
    barred
        Matrices that are left out.
    """

    def __init__(
        self,
        model: FunctionalModel,
        objective: Objective,
        plan: Plan,
        blocks: Mapping[str, Columns],
        barred: set[MatrixUnit],
    ) -> None:
        self.model = model
        self.objective = objective
        self.plan = plan
        self.barred = barred
        layout, device = model.layout, model.device
        places = layout.unflatten(torch.arange(layout.size, device=device))  # [P]
        self.units = [unit for unit in plan.units if unit not in barred]
        self.blocks: dict[str, OuterSums] = {}
        self._columns = blocks
        self._parts: dict[str, dict[MatrixUnit, int]] = {}
        for name, columns in blocks.items():
            size = blocks_room.count(columns)
            inside = torch.full((layout.size,), -1, dtype=torch.int64, device=device)  # [P]
            inside[columns] = torch.arange(size, device=device)
            parts: list[MatrixPart] = []
            self._parts[name] = {}
            for unit in self.units:
                part = matrix_part(unit, inside[unit.matrix(places)], one_position=True)
                if part is not None:
                    self._parts[name][unit] = len(parts)
                    parts.append(part)
            matrix = torch.zeros(size, size, dtype=torch.float64, device=device)
            self.blocks[name] = OuterSums(matrix, parts)

    def left_out(self, block: str) -> torch.Tensor:
        """Say which rows of a block are not summed up here, and may not be zero: ``[P_b]``."""
        layout, sums = self.model.layout, self.blocks[block]
        idle = torch.zeros(layout.size, dtype=torch.bool, device=sums.matrix.device)  # [P]
        for name, part in layout.unflatten(idle).items():
            part.fill_(name in self.plan.idle)
        left = ~idle[self._columns[block]]  # [P_b]
        for own in sums.parts:
            left[own.places.flatten()] = False
        return left

    def add(self, batch: Batch) -> None:
        """Add the Hessians of B examples.

        Raises
        ------
        UnseenCallError
            When the model did something that was not learnt yet.
        OtherUseError
            When matrices are used otherwise than as linear layers at one position.
        """
        at_once = self._examples_at_once()
        for start in range(0, batch.size, at_once):
            self._add(batch.select(slice(start, start + at_once)))

    def _examples_at_once(self) -> int:
        outputs = sum(unit.out_features for unit in self.units)
        inputs = sum(unit.in_features for unit in self.units)
        largest = max((unit.out_features for unit in self.units), default=1)
        numbers = outputs * (largest + inputs)
        room = max(
            sum(len(sums.matrix) ** 2 for sums in self.blocks.values()) // SHARE, FEWEST_NUMBERS
        )
        return min(max(room // max(numbers, 1), FEWEST_EXAMPLES), MOST_EXAMPLES)

    def _add(self, batch: Batch) -> None:
        tapped = TappedPass(self.model, self.objective, batch, self.plan, self.barred)
        if tapped.several - self.barred:
            raise OtherUseError(tapped.several - self.barred)
        taps = tapped.taps
        together = [
            [later for later in range(place, len(taps)) if self._meet(tap, taps[later])]
            for place, tap in enumerate(taps)
        ]
        slopes: dict[tuple[int, int], torch.Tensor | None] = {}
        for later in range(len(taps)):
            before = [place for place in range(later) if later in together[place]]
            for place, found in zip(before, tapped.slopes(later, before), strict=True):
                slopes[place, later] = found
        for place, others in enumerate(together):
            for later, found in zip(others, tapped.curvature(place, others), strict=True):
                self._add_pair(taps[place], taps[later], found, slopes.pop((place, later), None))

    def _meet(self, one: Tap, other: Tap) -> bool:
        """Whether two layers have parts in one block."""
        return any(one.unit in parts and other.unit in parts for parts in self._parts.values())

    def _add_pair(
        self,
        one: Tap,
        other: Tap,
        curvature: torch.Tensor | None,
        slopes: torch.Tensor | None,
    ) -> None:
        """Add what two uses of layers make up together, the other one being later or the same."""
        if curvature is None and slopes is None:
            return
        if curvature is None:
            shape = (len(one.inputs), one.unit.out_features, other.unit.out_features)
            curvature = one.inputs.new_zeros(shape)  # [B, O, O']
        for name, sums in self.blocks.items():
            parts = self._parts[name]
            if one.unit not in parts or other.unit not in parts:
                continue
            left, right = parts[one.unit], parts[other.unit]
            inputs = one.inputs[:, sums.parts[left].columns]  # [B, I']
            if one is other:
                sums.add_within(left, curvature, inputs)
                continue
            columns = sums.parts[right].columns
            motion = None
            if slopes is not None:
                motion = other.gradient_rows, slopes[:, :, columns]
            sums.add_between(left, right, curvature, inputs, other.inputs[:, columns], motion)
