"""``Plan``: of what each parameter's gradient is made, as learnt from forward passes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch

from hessinf.gradients.layers.call import Call, MatrixPart
from hessinf.gradients.layers.example_axis import ExampleAxis
from hessinf.gradients.layers.matrix_unit import MatrixUnit
from hessinf.gradients.layers.parameter_table import ParameterView, Region, row_range


@dataclass(frozen=True)
class Plan:
    """Which route each parameter goes, and where examples lie in what layers give.

    Parameters
    ----------
    shapes
        θ, in order.
    general
        Parameters that go the general route, and why.
    used
        Parameters that any function was seen to receive.
    parts
        The matrices that calls were seen to use.
    others
        The parameters that calls used as no matrices.
    axes
        Where examples lie, by call site.
    checked
        The call sites whose gradients were compared with automatic differentiation's.
    silent
        The call sites that no output depended on.
    shared
        The call sites whose output is the same for all examples.
    """

    shapes: Mapping[str, torch.Size]
    general: Mapping[str, str] = field(default_factory=dict)
    used: frozenset[str] = frozenset()
    parts: frozenset[MatrixPart] = frozenset()
    others: frozenset[str] = frozenset()
    axes: Mapping[str, ExampleAxis] = field(default_factory=dict)
    checked: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    unit_of: Mapping[Region, MatrixUnit] = field(default_factory=dict)
    """The unit of each weight's region."""

    def having(self, calls: Iterable[Call], used: Collection[str]) -> Plan:
        """Add what calls of one more forward pass used."""
        parts, others = set(self.parts), set(self.others)
        for call in calls:
            within = call.parts()
            parts.update(within)
            if not within:
                others.update(call.names)
            for part in within:
                for view in (part.weight, part.bias):
                    if view is not None and view.is_derived:
                        others.update(view.roots)
        return replace(
            self,
            used=self.used | set(used),
            parts=frozenset(parts),
            others=frozenset(others),
        ).planned()

    def planned(self) -> Plan:
        """Decide which parameters make up which matrices."""
        return replace(self, unit_of=_units(self))

    @property
    def units(self) -> tuple[MatrixUnit, ...]:
        """The matrices, in the order of θ."""
        return tuple(self.unit_of.values())

    @property
    def elementwise(self) -> tuple[str, ...]:
        """Parameters that layers cover and that are no matrices."""
        within = {name for unit in self.units for name in unit.parameters}
        return tuple(
            name for name in self.shapes if name in self.used - within - self.general.keys()
        )

    @property
    def idle(self) -> tuple[str, ...]:
        """Parameters that nothing has used yet."""
        return tuple(name for name in self.shapes if name not in self.used | self.general.keys())

    def surprises(self, calls: Iterable[Call], left: Collection[str], count: int) -> bool:
        """Whether a forward pass of B examples did anything that was not learnt yet."""
        if any(name not in self.general for name in left):
            return True
        for call in calls:
            if call.site in self.silent or self.leaves(call):
                continue
            axis = self.axes.get(call.site)
            if call.site not in self.checked or (
                count > 1 and (axis is None or not axis.fits(call.shape, count))
            ):
                return True
        return False

    def leaves(self, call: Call) -> bool:
        """Whether everything that a call used goes the general route anyway."""
        return all(name in self.general for name in call.names)


def _units(plan: Plan) -> dict[Region, MatrixUnit]:
    weights = _by_name(part.weight for part in plan.parts)
    biases = _by_name(part.bias for part in plan.parts)
    barred = plan.others | plan.general.keys() | (weights.keys() & biases.keys())
    rows = _tiled(weights, plan.shapes, barred)
    bias_rows = _tiled(biases, plan.shapes, barred)
    pairs = {
        (None if part.weight is None else part.weight.region, part.bias)
        for part in plan.parts
        if part.bias is not None
    }
    alone = {
        bias.name for weight, bias in pairs if not _belong_together(weight, bias, pairs, rows)
    }  # a bias that does not belong to one matrix throughout belongs to none
    units = {}
    for name, shape in plan.shapes.items():
        for region, view in weights[name].items():
            if region not in rows:
                continue
            joined = [bias for weight, bias in pairs if weight == region and bias.name not in alone]
            bias = joined[0] if joined and joined[0].region in bias_rows else None
            units[region] = MatrixUnit(
                name=_unit_name(view, rows[region], shape),
                weight=name,
                bias=None if bias is None else bias.name,
                out_features=view.size[0],
                in_features=math.prod(view.size[1:]) + (bias is not None),
                rows=rows[region],
                bias_rows=range(0) if bias is None else bias_rows[bias.region],
                transposed=_is_transposed(view, shape),
                weight_dimensions=len(shape),
            )
    return units


def _by_name(
    views: Iterable[ParameterView | None],
) -> defaultdict[str, dict[Region, ParameterView]]:
    """Collect the regions of each parameter, from its first row to its last."""
    found: defaultdict[str, dict[Region, ParameterView]] = defaultdict(dict)
    present = (view for view in views if view is not None)
    for view in sorted(present, key=lambda view: view.offset):
        found[view.name].setdefault(view.region, view)
    return found


def _belong_together(
    weight: Region | None,
    bias: ParameterView,
    pairs: Collection[tuple[Region | None, ParameterView]],
    rows: Mapping[Region, range],
) -> bool:
    """Whether a bias is only ever added to one matrix, and that one never has another bias."""
    above = {other for other, view in pairs if view.region == bias.region}
    beside = {view.region for other, view in pairs if other == weight}
    return weight in rows and len(above) == 1 and len(beside) == 1


def _tiled(
    views: Mapping[str, Mapping[Region, ParameterView]],
    shapes: Mapping[str, torch.Size],
    barred: Collection[str],
) -> dict[Region, range]:
    """Say which rows each region shows, of parameters that their regions make up."""
    found: dict[Region, range] = {}
    for name, regions in views.items():
        if name in shapes and name not in barred:
            found |= _tiles(regions.values(), shapes[name])
    return found


def _tiles(views: Iterable[ParameterView], shape: torch.Size) -> dict[Region, range]:
    """Say which rows regions show, in their order; nothing where they overlap or leave any out."""
    listed = list(views)
    if len(listed) == 1 and _is_transposed(listed[0], shape):
        return {listed[0].region: range(listed[0].size[0])}
    found: dict[Region, range] = {}
    end = 0
    for view in listed:
        rows = row_range(view, shape)
        if rows is None or rows.start != end or min(len(view.size), 2) > len(shape):
            return {}
        found[view.region] = rows
        end = rows.stop
    return found if end == shape[0] else {}


def _is_transposed(view: ParameterView, shape: torch.Size) -> bool:
    if row_range(view, shape) is not None or len(view.size) != 2 or len(shape) != 2:
        return False
    return row_range(view.transposed, shape) == range(shape[0])


def _unit_name(view: ParameterView, rows: range, shape: torch.Size) -> str:
    if _is_transposed(view, shape) or rows == range(shape[0]):
        return view.name.removesuffix(".weight")
    return f"{view.name}[{rows.start}:{rows.stop}]"
