"""``FactorLinearization``: products with the Gauss-Newton matrix by what layers received and gave.

The Gauss-Newton matrix of an example is ``Σ_r j_r j_rᵀ`` with R rows ``j_r = Jᵀ s_r``, where the
columns ``s_r`` make up a square root of the loss's Hessian in the outputs. A layer's part of a row
is ``Σ_s g_rs ⊗ a_s``, so that its inner product with V is ``Σ_s g_rs · V a_s``: no row is formed,
and where R is small this is less work than to go through the layers again for every vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch

from hessinf.data.batching import Batch
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.layers import LayerCapture, LayerGradients
from hessinf.gradients.layers.matrix_unit import MatrixUnit
from hessinf.gradients.linearization import Linearization, NotLinearizableError
from hessinf.gradients.output_derivatives import output_derivatives
from hessinf.models import Objective
from hessinf.models.errors import ObjectiveError

MOST_ROWS = 64
"""With more rows for an example it is less work to go through the layers."""

LARGEST_REST = 1 / 8
"""Up to this share of θ may be in parameters whose rows are formed."""


@dataclass(frozen=True)
class Factors:
    """What one call of a layer adds to the rows of B examples.

    Parameters
    ----------
    unit
        The layer's matrix.
    has_bias
        Whether this call used its bias.
    inputs
        a, ``[B, S, I]``.
    gradients
        g, ``[B, R, S·O]``.
    """

    unit: MatrixUnit
    has_bias: bool
    inputs: torch.Tensor
    gradients: torch.Tensor


class FactorLinearization(Linearization):
    """The Gauss-Newton matrix of the losses of B examples.

    Parameters
    ----------
    factors
        The rows' parts in matrices.
    rest
        The rows' parts in all other parameters, ``[B, R, p]`` by name.
    core
        What stands between rows, ``[B, R, R]``: ``Σ_rq j_r core_rq j_qᵀ``; None for the identity.
    """

    def __init__(
        self,
        factors: Sequence[Factors],
        rest: Mapping[str, torch.Tensor],
        core: torch.Tensor | None,
    ) -> None:
        one = factors[0].gradients  # [B, R, S·O]
        widest = max(f.gradients.shape[2] for f in factors)
        positions = max(f.inputs.shape[1] for f in factors)
        super().__init__(len(one), widest, one.device, positions)
        self.factors = factors
        self.rest = rest
        self.core = core

    def _add(
        self,
        vectors: Mapping[str, torch.Tensor],
        into: Mapping[str, torch.Tensor],
        factor: float,
        examples: int,
    ) -> None:
        matrices = [f.unit.views(vectors) for f in self.factors]
        totals = [f.unit.views(into) for f in self.factors]
        for start in range(0, self.size, examples):
            part = slice(start, start + examples)
            products = self._inner(vectors, matrices, part)  # [B, K, R]
            if self.core is not None:
                products = torch.bmm(products, self.core[part])  # [B, K, R]
            self._outer(into, totals, products, factor, part)

    def _inner(
        self,
        vectors: Mapping[str, torch.Tensor],
        matrices: Sequence[tuple[torch.Tensor, torch.Tensor | None]],
        part: slice,
    ) -> torch.Tensor:
        """Multiply rows and vectors: ``[B, K, R]``."""
        total: torch.Tensor | None = None
        for factors, (weight, bias) in zip(self.factors, matrices, strict=True):
            inputs = factors.inputs[part]  # [B, S, I]
            flat, matrix = inputs.flatten(0, 1), weight.flatten(0, 1).T  # [B·S, I], [I, K·O]
            if factors.has_bias and bias is not None:
                moved = torch.addmm(bias.flatten(), flat, matrix)  # [B·S, K·O]
            else:
                moved = flat @ matrix  # [B·S, K·O]
            if inputs.shape[1] > 1:
                moved = moved.view(len(inputs), -1, len(weight), weight.shape[1]).transpose(1, 2)
            there = moved.reshape(len(inputs), len(weight), -1)  # [B, K, S·O]
            gradients = factors.gradients[part].transpose(1, 2)  # [B, S·O, R]
            if total is None:
                total = torch.bmm(there, gradients)  # [B, K, R]
            else:
                total.baddbmm_(there, gradients)
        assert total is not None
        for name, rows in self.rest.items():
            flat = rows[part].flatten(0, 1)  # [B·R, p]
            found = vectors[name].reshape(total.shape[1], -1) @ flat.T  # [K, B·R]
            total += found.view(len(found), len(total), -1).transpose(0, 1)
        return total

    def _outer(
        self,
        into: Mapping[str, torch.Tensor],
        totals: Sequence[tuple[torch.Tensor, torch.Tensor | None]],
        products: torch.Tensor,
        factor: float,
        part: slice,
    ) -> None:
        """Add up rows, each as often as ``products`` ``[B, K, R]`` say."""
        count = products.shape[1]
        for factors, (weight, bias) in zip(self.factors, totals, strict=True):
            inputs, out = factors.inputs[part], weight.shape[1]  # [B, S, I], O
            change = torch.bmm(products, factors.gradients[part])  # [B, K, S·O]
            if inputs.shape[1] > 1:
                change = change.view(*change.shape[:2], -1, out).transpose(1, 2)
            rows = change.reshape(-1, count * out)  # [B·S, K·O]
            if weight.is_contiguous():
                weight.flatten(0, 1).addmm_(rows.T, inputs.flatten(0, 1), alpha=factor)
            else:
                weight.add_((rows.T @ inputs.flatten(0, 1)).view(weight.shape), alpha=factor)
            if factors.has_bias and bias is not None:
                bias.add_(rows.sum(dim=0).view(count, out), alpha=factor)
        if self.rest:
            often = products.transpose(0, 1).reshape(count, -1)  # [K, B·R]
            for name, rows in self.rest.items():
                flat = rows[part].flatten(0, 1)  # [B·R, p]
                into[name].view(count, -1).addmm_(often, flat, alpha=factor)

    @property
    def _plan(self) -> list[object]:
        """Say what is held, whatever the examples."""
        return [
            *(
                (f.unit, f.has_bias, f.inputs.shape[1:], f.gradients.shape[1:])
                for f in self.factors
            ),
            *((name, rows.shape[1:]) for name, rows in self.rest.items()),
            self.core is None,
        ]

    def _with(self, parts: Sequence[Self], join: Callable[[Any], torch.Tensor]) -> Self:
        """Make one of the tensors of all parts, joined."""
        return type(self)(
            [
                Factors(
                    calls[0].unit,
                    calls[0].has_bias,
                    join([call.inputs for call in calls]),
                    join([call.gradients for call in calls]),
                )
                for calls in zip(*(part.factors for part in parts), strict=True)
            ],
            {name: join([part.rest[name] for part in parts]) for name in self.rest},
            None if self.core is None else join([part.core for part in parts]),
        )

    @property
    def nbytes(self) -> int:
        """What the tensors of all examples take."""
        held = [x for f in self.factors for x in (f.inputs, f.gradients)]
        held += [*self.rest.values(), *(() if self.core is None else (self.core,))]
        return sum(tensor.nbytes for tensor in held)


def linearize_factors(
    model: FunctionalModel, capture: LayerCapture, objective: Objective, batch: Batch
) -> FactorLinearization:
    """Run a batch through the model, and pull back the columns of its output Hessians' roots.

    Parameters
    ----------
    model
        The model as a function of θ.
    capture
        Of the same model.
    objective
        The loss of every example.
    batch
        B examples.

    Raises
    ------
    NotLinearizableError
        When there are too many rows for an example, or layers do not make up most of θ.
    """
    with capture.recording(batch, explains=False) as record:
        outputs = record.outputs  # [B, ...]
        core = None
        try:
            roots = objective.hessian_square_root(outputs, batch.targets)  # [B, ..., R]
            columns = roots.movedim(-1, 0)  # [R, B, ...]
        except ObjectiveError:  # a function, whose derivatives are had in another way
            _, core = output_derivatives(objective, outputs, batch.targets)  # [B, C, C]
            basis = torch.eye(core.shape[1], dtype=outputs.dtype, device=outputs.device)  # [C, C]
            one = basis.view(-1, 1, *outputs.shape[1:])  # [C, 1, ...]
            columns = one.expand(-1, *outputs.shape)  # [R, B, ...]
        if len(columns) > MOST_ROWS:
            raise NotLinearizableError(f"{len(columns)} rows are more than {MOST_ROWS}")
        found = record.pull_back(columns)
        factors = [part for unit in capture.units for part in _factors(found, unit)]
        covered = {name for unit in capture.units for name in unit.parameters}
        names = [n for n in model.parameters if n not in covered and n not in capture.idle]
        numbers = sum(model.parameters[name].numel() for name in names)
        if not factors or numbers > LARGEST_REST * model.layout.size:
            raise NotLinearizableError(f"{numbers} parameters are in no matrices of layers")
        rest = found.materialize(names) if names else {}
    rows = {
        name: value.transpose(0, 1).reshape(batch.size, len(columns), -1)  # [B, R, p]
        for name, value in rest.items()
    }
    return FactorLinearization(factors, rows, core)


def _factors(found: LayerGradients, unit: MatrixUnit) -> list[Factors]:
    parts = []
    for usage in found.usages(unit):
        if usage.gradient_side != "rows":
            raise NotLinearizableError("an embedding has no matrix of inputs")
        gradients = usage.rows.transpose(0, 1).flatten(2)  # [B, R, S·O]
        parts.append(Factors(unit, bool(usage.bias_column), usage.inputs.contiguous(), gradients))
    return parts
