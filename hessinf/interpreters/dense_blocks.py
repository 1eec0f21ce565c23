"""What methods share whose curvature is dense: one matrix, or one for each block of parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hessinf.curvature import (
    CurvatureError,
    Damping,
    ExactInversion,
    Inversion,
    as_damping,
    effective_damping,
)
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import gradients as gradients_room
    from hessinf.curvature import blocks as blocks_room
    from hessinf.curvature import (
        dense,
        gauss_newton_matrix,
        gauss_newton_rows,
        hessian_matrix,
        shown_spectrum,
    )
    from hessinf.curvature.gauss_newton_rows import GaussNewtonRows
    from hessinf.data import batching
    from hessinf.gradients.curvature_products import CurvatureProducts
    from hessinf.gradients.gradients import Gradients
    from hessinf.interpreters import few_examples
else:
    torch = lazy_import("torch")
    blocks_room = lazy_import("hessinf.curvature.blocks")
    dense = lazy_import("hessinf.curvature.dense")
    gauss_newton_matrix = lazy_import("hessinf.curvature.gauss_newton_matrix")
    gauss_newton_rows = lazy_import("hessinf.curvature.gauss_newton_rows")
    hessian_matrix = lazy_import("hessinf.curvature.hessian_matrix")
    shown_spectrum = lazy_import("hessinf.curvature.shown_spectrum")
    batching = lazy_import("hessinf.data.batching")
    gradients_room = lazy_import("hessinf.gradients")
    few_examples = lazy_import("hessinf.interpreters.few_examples")

COPIES_OF_ROWS = 4
"""Rows by parameter, side by side, without zeros, and scaled."""

WHOLE = "all parameters"
"""The name of the block of methods that have one only."""


class DenseBlocks(InfluenceInterpreter):
    """A damped dense matrix for each block of parameters, and its inverse.

    Subclasses form the matrices in :meth:`curvature_blocks`; ``fit`` hands them to :meth:`invert`.
    What the inverse is applied with keeps enough to invert again at another λ, without the data.

    Parameters
    ----------
    damping
        λ, or {"relative": share} of the mean eigenvalue, of each block where there are several.
    inversion
        How the damped matrix is inverted: "exact", "pseudo" or "eigen", with options.
    curvature_dtype
        The precision of the matrix's entries: "float64", or "model" for that of the model, which
        takes about half the time. Factors and solutions are always float64.
    """

    def __init__(
        self,
        *args: Any,
        damping: Damping = 1e-3,
        inversion: Inversion | None = None,
        curvature_dtype: Literal["float64", "model"] = "float64",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if curvature_dtype not in ("float64", "model"):
            raise ValueError(
                f'curvature_dtype must be "float64" or "model", found {curvature_dtype!r}'
            )
        if curvature_dtype == "model" and self.model.dtype.itemsize < 4:
            dtype = str(self.model.dtype).removeprefix("torch.")
            raise ValueError(
                f'curvature_dtype "model" needs a model in float32 or float64, found {dtype}, in '
                'which a curvature matrix is lost among rounding errors; use "float64"'
            )
        self.damping = as_damping(damping)
        if inversion is not None and not isinstance(inversion, Inversion):
            inversion = Inversion.from_config(inversion)
        self.inversion: Inversion = inversion or ExactInversion()
        self.curvature_dtype = curvature_dtype

    factors_: dict[str, Any]
    """What each block's inverse is applied with."""

    mean_eigenvalues_: dict[str, float]
    """Of each block, before damping."""

    inverse_facts_: dict[str, Any]
    """What each block's inversion says: counts."""

    damping_: float | dict[str, float]
    """λ; by block where it differs."""

    _with_less_ridge: tuple[Any, dict[str, Any]] | None = None

    @property
    def parameter_blocks(self) -> dict[str, tuple[str, ...]]:
        """The names of the parameters of each block."""
        return {WHOLE: tuple(self.model.parameters)}

    @cached_property
    def block_columns(self) -> dict[str, slice | torch.Tensor]:
        """Where the parameters of each block lie in a flat vector."""
        return {
            name: blocks_room.columns_of(self.model.layout, inside)
            for name, inside in self.parameter_blocks.items()
        }

    def inverse_blocks(self) -> Sequence[torch.Tensor | slice]:
        """List the places of each block; see the base class."""
        return list(self.block_columns.values())

    @property
    def precision(self) -> torch.dtype:
        """What the entries of matrices are computed in."""
        return torch.float64 if self.curvature_dtype == "float64" else self.model.dtype

    def gauss_newton_rows(self) -> tuple[GaussNewtonRows, batching.Batches]:
        """Make what computes the rows of the Gauss-Newton matrix, and the training data for it."""
        model = self.model
        if model.dtype != self.precision:
            model = gradients_room.FunctionalModel(
                model.module, device=model.device, dtype=self.precision, keep=model.parameters
            )
        numbers = int(self.memory_limit * 2**30 / 4 / COPIES_OF_ROWS / self.precision.itemsize)
        rows = gauss_newton_rows.GaussNewtonRows(model, self.objective, numbers)
        data = batching.batches(
            self.train_data,
            self.memory_plan.batch_size,
            device=model.device,
            dtype=self.precision,
        )
        return rows, data

    def gauss_newton_blocks(
        self,
        stage: str,
        rows: GaussNewtonRows | None = None,
        data: batching.Batches | None = None,
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Form each block of the Gauss-Newton matrix, ``[P_b, P_b]``, float64, in one pass."""
        if rows is None or data is None:
            rows, data = self.gauss_newton_rows()
        matrices = gauss_newton_matrix.gauss_newton_blocks(
            rows,
            data,
            self.block_columns,
            weight_decay=self.weight_decay,
            total=len(self.train_data),
            stage=stage,
        )
        for block in list(matrices):
            yield block, matrices.pop(block)  # whoever takes it may free it

    def require_memory(self) -> None:
        """Refuse matrices that do not fit; before anything is computed."""
        sizes = {name: blocks_room.count(part) for name, part in self.block_columns.items()}
        dense.require_memory(sizes, self.memory_limit, self.inversion.matrices_held)

    def hessian_blocks(self, stage: str) -> Iterator[tuple[str, torch.Tensor]]:
        """Form each block of the Hessian, ``[P_b, P_b]``, float64."""

        def products(names: Collection[str] | None) -> CurvatureProducts:
            return self.curvature_products("hessian", self.precision, names)

        return hessian_matrix.hessian_blocks(
            products, self.parameter_blocks, total=len(self.train_data), stage=stage
        )

    # -- the curvature itself ------------------------------------------------------------------

    curvature_needs_fit: ClassVar[bool] = False

    operator: ClassVar[Literal["hessian", "ggn"]]
    """Whose entries the matrices have."""

    @abstractmethod
    def curvature_blocks(self) -> Iterable[tuple[str, torch.Tensor]]:
        """Form each block's matrix, ``[P_b, P_b]``, float64, weight decay included."""

    def curvature_matrix(self) -> torch.Tensor:
        """Form C, zero between blocks; see the base class."""
        size = self.model.layout.size
        matrix: torch.Tensor | None = None
        for block, own in self.curvature_blocks():
            if len(own) == size:
                return own
            if matrix is None:
                matrix = own.new_zeros(size, size)  # [P, P]
            places = torch.arange(size, device=own.device)[self.block_columns[block]]  # [P_b]
            matrix[places[:, None], places[None]] = own
        assert matrix is not None  # a model has parameters
        return matrix

    def curvature_spectrum(self) -> shown_spectrum.ShownSpectrum | None:
        """Give the eigenvalues of each block, where those of all are known; see the base class."""
        columns = self.block_columns
        blocks = []
        for name, factors in self.factors_.items():
            eigenvalues = self.eigenvalues(factors)
            if eigenvalues is None:
                return None
            size = blocks_room.count(columns[name])
            blocks.append(
                shown_spectrum.SpectrumBlock(name, size, self.damping_of(name), eigenvalues)
            )
        whose = {"ggn": "generalized Gauss-Newton matrix", "hessian": "Hessian"}[self.operator]
        words = whose if len(blocks) == 1 else f"{whose}, block by block"
        return shown_spectrum.ShownSpectrum(words, complete=True, blocks=blocks)

    def multiply_curvature(self, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply with C, block by block; see the base class."""
        product = torch.empty_like(vectors, dtype=torch.float64)  # [K, P]
        for block, part in self.block_columns.items():
            own = vectors[:, part].to(self.precision)  # [K, P_b]
            product[:, part] = self._block_products[block].products(own).double()
        return product

    @cached_property
    def _block_products(self) -> dict[str, CurvatureProducts]:
        """Each block's matrix as an operator, in its own parameters."""
        blocks = self.parameter_blocks
        return {
            block: self.curvature_products(
                self.operator, self.precision, None if len(blocks) == 1 else names
            )
            for block, names in blocks.items()
        }

    # -- its inverse ---------------------------------------------------------------------------

    def invert(self, matrices: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Invert each block's matrix, ``[P_b, P_b]``, float64, which is used up."""
        self._with_less_ridge = None
        self.factors_, self.mean_eigenvalues_, self.inverse_facts_ = {}, {}, {}
        for block, matrix in matrices:
            self.mean_eigenvalues_[block] = self.mean_eigenvalue(matrix)
            factors, facts = self.factorize(matrix, self.damping_of(block))
            self.factors_[block], self.inverse_facts_[block] = factors, facts
        self.record_damping()

    # -- of one block; a method may keep something else than its matrix --------------------------

    def mean_eigenvalue(self, matrix: torch.Tensor) -> float:
        """Return the mean eigenvalue of a block, before damping."""
        return float(matrix.trace()) / len(matrix)

    def factorize(self, matrix: torch.Tensor, damping: float) -> tuple[Any, Any]:
        """Prepare a block's inverse: what it is applied with, and what results say of it."""
        return self.inversion.factorize(matrix, damping)

    def redamp(self, factors: Any, damping: float) -> tuple[Any, Any]:
        """Prepare a block's inverse at another λ."""
        return self.inversion.redamp(factors, damping)

    def eigenvalues(self, factors: Any) -> torch.Tensor | None:
        """Return the eigenvalues of a block before damping; None where they would take long."""
        return self.inversion.eigenvalues(factors)

    def solve(self, factors: Any, vectors: torch.Tensor) -> torch.Tensor:
        """Apply a block's inverse to ``[K, P_b]``."""
        return self.inversion.solve(factors, vectors)

    def half_solve(self, factors: Any, vectors: torch.Tensor) -> torch.Tensor:
        """Apply a square root of a block's inverse to ``[K, P_b]``."""
        return self.inversion.half_solve(factors, vectors)

    # -- of all of them ------------------------------------------------------------------------

    def damping_of(self, block: str) -> float:
        """Return the λ of a block."""
        return effective_damping(self.damping, self.mean_eigenvalues_[block], 1)

    def record_damping(self) -> None:
        """Say in ``damping_`` what λ is, by block where it differs."""
        dampings = {block: self.damping_of(block) for block in self.mean_eigenvalues_}
        same = len(set(dampings.values())) == 1
        self.damping_ = next(iter(dampings.values())) if same else dampings

    def precondition(self, gradients: Gradients) -> Gradients:
        """Solve with what was factorised, block by block."""
        flat = gradients.flatten()  # [Q, P]
        solved = self._by_block(self.solve, self.factors_, flat.double())
        self.report(**self._total_facts())
        return gradients.like(solved.to(flat.dtype))

    def self_score(self, gradients: Gradients) -> torch.Tensor:
        """Apply half of each inverse, where it has one: ``[B]``; see the base class."""
        if self._total_facts().get("negative_eigenvalues"):
            return super().self_score(gradients)

        def of_few(some: Gradients) -> torch.Tensor:
            halves = self._by_block(self.half_solve, self.factors_, some.flatten().double())
            return halves.square().sum(dim=1)  # [b]

        return few_examples.few_at_a_time(gradients, of_few)

    def _total_facts(self) -> dict[str, Any]:
        """Add up what the inversions say of each block."""
        totals: dict[str, Any] = {}
        for facts in self.inverse_facts_.values():
            for name, count in facts.items():
                totals[name] = totals.get(name, 0) + count
        return totals

    def _by_block(
        self,
        solve: Callable[[Any, torch.Tensor], torch.Tensor],
        factors: dict[str, Any],
        vectors: torch.Tensor,
    ) -> torch.Tensor:
        """Apply each block's factors to its columns of ``[K, P]``."""
        columns = self.block_columns
        if len(columns) == 1:
            (own,) = factors.values()
            return solve(own, vectors)
        solved = torch.empty_like(vectors)  # [K, P]
        for block, part in columns.items():
            solved[:, part] = solve(factors[block], vectors[:, part])
        return solved

    def change_damping(self, damping: Damping) -> None:
        """Take another λ: a new factorisation (P³/3) at most, no pass over the data."""
        before = self.damping
        self.damping = as_damping(damping)
        try:
            redamped = {
                block: self.redamp(factors, self.damping_of(block))
                for block, factors in self.factors_.items()
            }
        except CurvatureError:
            self.damping = before
            raise
        self._with_less_ridge = None
        self.factors_ = {block: factors for block, (factors, _) in redamped.items()}
        self.inverse_facts_ = {block: facts for block, (_, facts) in redamped.items()}
        self.record_damping()

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        """Give vectors of length P whose inner products are the scores: see the base class.

        Raises
        ------
        CurvatureError
            When the damped curvature is not positive definite.
        """
        flat = gradients.flatten()  # [B, P]
        return self._by_block(self.half_solve, self.factors_, flat.double()).to(flat.dtype)

    def solve_with_ridge(self, vectors: torch.Tensor, share: float) -> torch.Tensor:
        """Apply ``(C_data + share·(wd + λ)I)⁻¹`` to ``[K, P]``, float64; see the base class.

        What that needs beside the factors, as much memory as they take, is computed at the first
        call and kept for the share that was asked for last.
        """
        return self._by_block(self.solve, self.factors_with_ridge(share), vectors)

    def factors_with_ridge(self, share: float) -> dict[str, Any]:
        """Prepare each block's inverse with a share of weight decay and damping."""
        if share == 1:
            return self.factors_
        dampings = {
            block: share * (self.weight_decay + self.damping_of(block)) - self.weight_decay
            for block in self.factors_
        }
        key = tuple(dampings.items())
        if self._with_less_ridge is None or self._with_less_ridge[0] != key:
            self._with_less_ridge = None  # frees its memory first
            self._with_less_ridge = (
                key,
                {
                    block: self.redamp(self.factors_[block], damping)[0]
                    for block, damping in dampings.items()
                },
            )
        return self._with_less_ridge[1]
