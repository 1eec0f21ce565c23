"""Scores with curvature whose blocks lie in eigenbases, without influence factors in all of θ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch

from hessinf.curvature.kronecker import BlockDamping, KroneckerCurvature
from hessinf.curvature.kronecker_blocks import EigenBlock, KroneckerBlock
from hessinf.gradients import FactoredGradients, FunctionalModel, Gradients
from hessinf.gradients.layers import MatrixUnit
from hessinf.interpreters.finite_factors import FactorsNotFinite
from hessinf.scores.eigenbasis import Eigenbasis, EigenbasisProducts, QuerySides
from hessinf.scores.planner import Choice
from hessinf.scores.precision import ScorePrecision, products_in
from hessinf.scores.weighted_norms import MatrixWeights, weighted_norms
from hessinf.scores.workspace import Workspace

TOLERANCE = 1e-6
"""How far the scores of a query may be off where inverse eigenvalues are taken as a sum of few
products, as a share of the scores, both as a root mean square over the training examples."""

SURPRISE = 2
"""How much nearer than that they are made to be, by what is expected of training gradients: those
at the true targets are of another size than those at targets that the model draws."""


class DampedBases:
    """The blocks of a curvature at one damping, in the precision of a model.

    Parameters
    ----------
    curvature
        What was fitted.
    damping, heuristic
        As for :meth:`KroneckerCurvature.solve`.
    model
        The model as a function of θ.

    Raises
    ------
    CurvatureError
        When a block is singular at this damping.
    """

    def __init__(
        self,
        curvature: KroneckerCurvature,
        damping: BlockDamping,
        heuristic: bool,
        model: FunctionalModel,
    ) -> None:
        self.model = model
        self.matrices: dict[str, tuple[KroneckerBlock, Eigenbasis]] = {}
        self.others: list[tuple[EigenBlock, torch.Tensor]] = []
        cast: dict[int, torch.Tensor] = {}

        def own(basis: torch.Tensor | None) -> torch.Tensor | None:
            if basis is None:
                return None
            if id(basis) not in cast:
                cast[id(basis)] = basis.to(model.dtype)
            return cast[id(basis)]

        for block, damped in curvature.damped(damping, heuristic):
            if not isinstance(block, KroneckerBlock):
                self.others.append((block, damped))
                continue
            basis = Eigenbasis(
                own(block.row_basis),
                own(block.column_basis),
                damped.reciprocal(),
                block.eigenvalues,
                block.row_eigenvalues.sqrt(),
                block.column_eigenvalues.sqrt(),
            )
            self.matrices[block.name] = (block, basis)

    @cached_property
    def weights(self) -> dict[str, MatrixWeights]:
        """The damped inverse as weights of squares, in float32 at least."""
        wide = torch.promote_types(self.model.dtype, torch.float32)

        def basis(own: torch.Tensor | None, exact: torch.Tensor | None) -> torch.Tensor | None:
            return own if own is None or exact is None or own.dtype == wide else exact.to(wide)

        return {
            name: MatrixWeights(
                own.inverse.to(wide),
                basis(own.rows, block.row_basis),
                basis(own.columns, block.column_basis),
            )
            for name, (block, own) in self.matrices.items()
        }

    def hold(self, units: Sequence[MatrixUnit]) -> bool:
        """Whether the blocks are those of these matrices, number by number."""
        if {unit.name for unit in units} != set(self.matrices) or len(units) != len(self.matrices):
            return False
        size = self.model.layout.size
        places = self.model.layout.unflatten(torch.arange(size, device=self.model.device))
        return all(
            torch.equal(unit.matrix(places), self.matrices[unit.name][0].places) for unit in units
        )


def self_scores(bases: DampedBases, gradients: FactoredGradients) -> torch.Tensor:
    """Score training examples for themselves, ``[B]``.

    Parameters
    ----------
    bases
        The curvature.
    gradients
        Of B examples, as factors of matrices that ``bases`` hold.
    """
    rest = (_solved_rest(bases, gradients) * gradients.rest).sum(dim=1)  # [B]
    return weighted_norms(gradients, bases.weights) + rest


class KroneckerScores:
    """Scores training examples for a block of queries, matrix by matrix of θ.

    Parameters
    ----------
    bases
        The curvature.
    queries
        The gradients of Q queries, as factors of matrices that ``bases`` hold.
    num_train
        N.
    exact
        Whether inverse eigenvalues are taken as they are, whatever that costs.
    precision
        What products are computed in.
    report
        Called with how far scores may be off, ``[Q]``, where inverse eigenvalues are taken as a sum
        of few products.
    otherwise
        Makes a function that scores gradients that are no factors.

    Raises
    ------
    FactorsNotFinite
        When what is made of a query is not finite.
    """

    def __init__(
        self,
        bases: DampedBases,
        queries: FactoredGradients,
        num_train: int,
        *,
        exact: bool,
        precision: ScorePrecision,
        report: Callable[..., None],
        otherwise: Callable[[], Callable[[Gradients], torch.Tensor]],
    ) -> None:
        self._precision: ScorePrecision = precision
        self._count = queries.count
        self._report = report
        self._otherwise = otherwise
        self._scorer: Callable[[Gradients], torch.Tensor] | None = None
        exact = exact or precision != "model"
        with products_in(precision, queries.rest.device):
            self.products = _products(bases, queries, num_train, exact, precision)
            self._rest = _solved_rest(bases, queries)  # [Q, R]
            _require_finite([self._rest.sum(dim=1), *(one.prepare() for one in self.products)])
        self._approximate = any(one.terms is not None for one in self.products)
        self._squares = queries.rest.new_zeros(2, self._count, dtype=torch.float64)  # [2, Q]

    @property
    def plan(self) -> list[Choice]:
        """How each matrix's share of the scores is computed."""
        return [one.choice for one in self.products]

    def __call__(self, gradients: Gradients) -> torch.Tensor:
        """Score B training examples: ``[Q, B]``."""
        if not isinstance(gradients, FactoredGradients):
            if self._scorer is None:
                self._scorer = self._otherwise()
            return self._scorer(gradients)
        with products_in(self._precision, gradients.rest.device):
            total = self._rest @ gradients.rest.T  # [Q, B]
            bound = torch.zeros_like(total) if self._approximate else None  # [Q, B]
            for one in self.products:
                one.add_to(total, gradients, bound)
        if bound is not None:
            for place, values in enumerate((bound, total)):
                self._squares[place] += torch.linalg.vector_norm(values, dim=1).double().square()
            bounds, scores = self._squares  # [Q] each
            shares = torch.where(bounds > 0, (bounds / scores).sqrt(), 0.0)
            self._report(score_error_bound=shares)
        return total


def _products(
    bases: DampedBases,
    queries: FactoredGradients,
    num_train: int,
    exact: bool,
    precision: ScorePrecision,
) -> list[EigenbasisProducts]:
    """Prepare each matrix that the queries' outputs depend on."""
    factors = {unit: usages for unit in queries.units if (usages := queries.usages(unit))}
    sides: dict[MatrixUnit, QuerySides] = {}
    if not exact:
        for unit, usages in factors.items():
            basis = bases.matrices[unit.name][1]
            if len(usages) == 1 and usages[0].positions == 1 and usages[0].gradient_side == "rows":
                sides[unit] = QuerySides(basis, usages[0])
    expected = sum(side.expected_square for side in sides.values())  # [Q]
    workspace = Workspace()
    found = []
    for unit, usages in factors.items():
        allowed = None
        if unit in sides:
            share = (expected / sides[unit].expected_error).sqrt()  # [Q]
            share = share[share.isfinite()]
            within = TOLERANCE / SURPRISE / len(sides)
            allowed = within * float(share.min()) if len(share) else 0.0
        found.append(
            EigenbasisProducts(
                bases.matrices[unit.name][1],
                unit,
                usages,
                num_train,
                allowed=allowed,
                sides=sides.get(unit),
                precision=precision,
                workspace=workspace,
            )
        )
    return found


def _solved_rest(bases: DampedBases, queries: FactoredGradients) -> torch.Tensor:
    """Apply the inverse to what is in no matrix, ``[Q, R]``, in the precision of the model."""
    layout = queries.layout
    everywhere = layout.unflatten(torch.arange(layout.size, device=queries.rest.device))
    names = queries.rest_names
    solved = torch.zeros_like(queries.rest)  # [Q, R]
    if not names:
        return solved
    places = torch.cat([everywhere[name].flatten() for name in names])  # [R]
    column = places.new_full((layout.size,), -1)  # [P]
    column[places] = torch.arange(len(places), device=places.device)
    for block, damped in bases.others:
        own = column[block.places]  # [D], -1 for parameters that no output depends on
        here = own >= 0
        values = queries.rest.new_zeros(queries.count, len(own), dtype=torch.float64)  # [Q, D]
        values[:, here] = queries.rest[:, own[here]].double()
        values = block.from_basis(block.to_basis(values) / damped)
        solved[:, own[here]] = values[:, here].to(solved.dtype)
    return solved


def _require_finite(numbers: Sequence[torch.Tensor]) -> None:
    """Refuse queries that numbers ``[Q]`` are not finite of."""
    finite = torch.stack([values.double() for values in numbers]).isfinite().all(dim=0)  # [Q]
    if not bool(finite.all()):
        raise FactorsNotFinite(int((~finite).nonzero()[0]))
