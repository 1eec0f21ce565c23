"""``(G + λI)⁻¹`` with the generalised Gauss-Newton matrix G, exact, in its smaller form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hessinf.curvature import CurvatureError
from hessinf.interpreters.dense_blocks import WHOLE, DenseBlocks
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.interpreters.method_hooks import MethodHooks
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import gradients as gradients_room
    from hessinf.curvature import dense, dual, dual_rows, dual_scores
    from hessinf.curvature.dual import DualInverse
    from hessinf.curvature.dual_factors import RowFactors
    from hessinf.curvature.dual_rows import DualRows
    from hessinf.curvature.gauss_newton_rows import GaussNewtonRows
    from hessinf.data import batching
    from hessinf.gradients.gradients import Gradients
    from hessinf.interpreters import few_examples
else:
    torch = lazy_import("torch")
    gradients_room = lazy_import("hessinf.gradients")
    few_examples = lazy_import("hessinf.interpreters.few_examples")
    dense = lazy_import("hessinf.curvature.dense")
    dual = lazy_import("hessinf.curvature.dual")
    dual_rows = lazy_import("hessinf.curvature.dual_rows")
    dual_scores = lazy_import("hessinf.curvature.dual_scores")

STAGE = "Gauss-Newton matrix"

PROJECTED_AT_ONCE = 256
"""Training examples whose products with all rows are there together."""


@InfluenceInterpreter.register("ggn")
class GaussNewton(DenseBlocks):
    """Influence with the exact generalised Gauss-Newton matrix, in its primal or its dual form.

    Registered as an `InfluenceInterpreter` with name "ggn".

    The generalised Gauss-Newton matrix ``1/N Σ J_iᵀ (∂²ℓ_i/∂f²) J_i`` is the Hessian of the model
    linearised in its parameters. It is positive semidefinite everywhere, so that scores mean
    something away from a minimum too, and equal to the Hessian for linear models. The first choice
    where it fits: where the parameters are few, or, however many they are, the examples.

    Parameters
    ----------
    form
        "primal": the P × P matrix; "dual": the Gram matrix of the rows that it is made of, M × M
        with M at most N times the number of outputs, by Woodbury's identity; "auto" for the smaller
        one. Both give the same scores.
    damping
        λ, or {"relative": share} of the mean eigenvalue.
    inversion
        How the damped matrix is inverted: "exact", "pseudo" or "eigen", with options.
    curvature_dtype
        The precision of the derivatives: "float64", or "model" for that of the model. Sums, factors
        and solutions are always float64.

    Cost
    ----
    With R columns in the square root of an example's output Hessian (C − 1 for a softmax over C
    classes, times the positions that have a target), and M = N·R rows. Time: one pass over the N
    training examples, with R backward passes to the outputs of layers. Primal: N·P² for the entries
    of layers that an example uses once, up to N·R·P² where it uses them at more than √R positions,
    and P³/3 for the inverse (about 9·P³ for "pseudo" and "eigen"). Dual: M² times the widths of
    such layers, M²·P for others, and M³/3. Memory, primal: about 2·P² numbers of 8 bytes, P² once
    fitted. Dual: 2·M², M² once fitted (4·P² and 4·M² at first for "pseudo" and "eigen"), and the
    rows in factors, N·R times the widths of layers, up to a quarter of memory_limit; where they
    take more, rows are computed anew, twice for each block of queries and several times in fit.
    Each block of queries, primal: Q·P² and N·P·Q. Dual: N·M times the widths of layers, plus Q·N·M,
    without a vector of length P, where that is less than Q·N·P, which it is otherwise. The dual
    form solves twice where eigenvalues differ by more than 10⁵, for as many right digits as the
    primal form. Scores have the digits that gradients have in the model's precision; of confident
    predictions those are few in float32: dtype "float64" gives all of them, at little more cost.
    Another damping: one more inverse, nothing for "pseudo" and "eigen". The refined loss change
    keeps a second inverse, P² or M² numbers more.

    References
    ----------
    Schraudolph, Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent, 2002.
    Martens, New Insights and Perspectives on the Natural Gradient Method, JMLR 2020.
    """

    def __init__(
        self, *args: Any, form: Literal["auto", "primal", "dual"] = "auto", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if form not in ("auto", "primal", "dual"):
            raise ValueError(f'form must be "auto", "primal" or "dual", found {form!r}')
        self.form = form

    operator: ClassVar[Literal["hessian", "ggn"]] = "ggn"

    form_: str
    """ "primal" or "dual"."""

    row_counts_: torch.Tensor
    """How many rows each training example has, ``[N]``; for the dual form."""

    _rows: DualRows | None = None
    _half: tuple[Any, Any] | None = None

    def fit(self) -> None:
        """Form the matrix, or the Gram matrix of its rows, and factorise it."""
        rows, data = self.gauss_newton_rows()
        self.form_, self.row_counts_ = self._choose_form(rows, data)
        self._rows = None
        if self.form_ == "primal":
            self.invert(self.gauss_newton_blocks(STAGE, rows, data))
        else:
            self._rows = self._dual_rows(rows, data)
            self.invert([(WHOLE, self._rows.gram(f"{STAGE}, dual"))])

    def curvature_blocks(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Form the matrix, whatever the form of the inverse; see the base class."""
        return self.gauss_newton_blocks(STAGE)

    # -- which form ----------------------------------------------------------------------------

    def _choose_form(
        self, rows: GaussNewtonRows, data: batching.Batches
    ) -> tuple[str, torch.Tensor]:
        """Choose the form, and count the rows of each training example where that takes part."""
        size, examples = self.model.layout.size, len(self.train_data)
        nothing = torch.zeros(0, dtype=torch.int64)
        fits = dense.gibibytes([size], self.inversion.matrices_held) <= self.memory_limit
        if fits and (self.form == "primal" or (self.form == "auto" and examples >= size)):
            return "primal", nothing
        counts = torch.cat([rows.counts(batch) for batch in data]).cpu()  # [N]
        number = int(counts.sum())  # M
        if number == 0:
            raise CurvatureError(
                "the Gauss-Newton matrix is zero: no training example has a loss that changes with "
                "the outputs; are all targets ignored, or the weights of their classes zero?"
            )
        form = self.form
        if form == "auto":
            form = "dual" if number < size else "primal"
        self._require_memory(form, number)
        return form, counts if form == "dual" else nothing

    def _require_memory(self, form: str, number: int) -> None:
        """Refuse a form that does not fit, and say what would."""
        size, limit = self.model.layout.size, self.memory_limit
        held = self.inversion.matrices_held
        needed = {
            "primal": dense.gibibytes([size], held),
            "dual": dense.gibibytes([number], held),
        }
        if needed[form] <= limit:
            return
        other = "primal" if form == "dual" else "dual"
        remedy = (
            f'use form "{other}"'
            if needed[other] <= limit
            else "freeze some parameters with params_to_freeze, explain with fewer training "
            'examples, raise memory_limit, or use "block-ggn", whose blocks are smaller, or '
            '"simple-influence", which forms no matrix'
        )
        raise CurvatureError(
            f"the Gauss-Newton matrix of {size:,} parameters needs {needed['primal']:,.1f} GiB to "
            f"form and factorise, its dual form of {number:,} rows {needed['dual']:,.1f} GiB; "
            f"memory_limit is {limit:g} GiB, which is enough for {dense.fitting(limit, held):,} "
            f"parameters or rows; {remedy}"
        )

    # -- the dual form -------------------------------------------------------------------------

    def _dual_rows(self, rows: GaussNewtonRows, data: batching.Batches) -> DualRows:
        numbers = int(self.memory_limit * 2**30 / 4 / 8)
        return dual_rows.DualRows(rows, data, self.row_counts_, numbers_kept=numbers)

    @property
    def _dual(self) -> DualInverse:
        return dual.DualInverse(
            self.inversion,
            weight_decay=self.weight_decay,
            size=self.model.layout.size,
            number=int(self.row_counts_.sum()),
        )

    def _with_rows(
        self, solve: Callable[[DualRows, Any, torch.Tensor], torch.Tensor]
    ) -> Callable[[Any, torch.Tensor], torch.Tensor]:
        """Hand on the rows, made anew where saved factors were read."""
        if self._rows is None:
            self._rows = self._dual_rows(*self.gauss_newton_rows())
        known = self._rows

        def solve_with_rows(factors: Any, vectors: torch.Tensor) -> torch.Tensor:
            with self.model.evaluating():
                return solve(known, factors, vectors)

        return solve_with_rows

    def mean_eigenvalue(self, matrix: torch.Tensor) -> float:
        """Return the mean eigenvalue of the Gauss-Newton matrix, from either form."""
        if self.form_ == "primal":
            return super().mean_eigenvalue(matrix)
        return float(matrix.trace()) / self.model.layout.size + self.weight_decay

    def factorize(self, matrix: torch.Tensor, damping: float) -> tuple[Any, Any]:
        """Prepare the inverse, from either form."""
        if self.form_ == "primal":
            return super().factorize(matrix, damping)
        return self._dual.factorize(matrix, damping)

    def redamp(self, factors: Any, damping: float) -> tuple[Any, Any]:
        """Prepare the inverse at another λ."""
        if self.form_ == "primal":
            return super().redamp(factors, damping)
        return self._dual.redamp(factors, damping)

    def eigenvalues(self, factors: Any) -> torch.Tensor | None:
        """Return the eigenvalues of the Gauss-Newton matrix, from either form."""
        if self.form_ == "primal":
            return super().eigenvalues(factors)
        return self._dual.eigenvalues(factors)

    def solve(self, factors: Any, vectors: torch.Tensor) -> torch.Tensor:
        """Apply the inverse to ``[K, P]``."""
        if self.form_ == "primal":
            return super().solve(factors, vectors)
        return self._with_rows(self._dual.solve)(factors, vectors)

    def scorer(self, query_gradients: Gradients) -> Callable[[Gradients], torch.Tensor]:
        """Score from the dual form itself where that is less work; see the base class."""
        otherwise = super().scorer
        found = self._in_factors(query_gradients)
        if found is None or not dual_scores.is_less_work(
            self._dual.number, found[0], len(self.train_data), query_gradients.count
        ):
            return otherwise(query_gradients)
        (factors,) = self.factors_.values()
        scores = dual_scores.DualScores(self._dual, found[0], factors, found[1])
        self.report(**self._total_facts())
        by_factors: list[Callable[[Gradients], torch.Tensor]] = []

        def score(gradients: Gradients) -> torch.Tensor:
            if isinstance(gradients, gradients_room.FactoredGradients) and dual_scores.holds(
                scores.layout, gradients
            ):
                return scores(gradients)
            if not by_factors:  # these examples were computed in another way
                by_factors.append(otherwise(query_gradients))
            return by_factors[0](gradients)

        return score

    def _in_factors(
        self, gradients: Gradients
    ) -> tuple[Sequence[RowFactors], gradients_room.FactoredGradients] | None:
        """Give all rows and gradients, where both are held in the same factors."""
        if self.form_ == "primal" or not isinstance(gradients, gradients_room.FactoredGradients):
            return None
        if self._rows is None:
            self._rows = self._dual_rows(*self.gauss_newton_rows())
        with self.model.evaluating():
            pieces = self._rows.kept()
        if pieces is None or not dual_scores.holds(pieces[0].layout, gradients):
            return None
        return pieces, gradients

    def self_score(self, gradients: Gradients) -> torch.Tensor:
        """Score from the dual form itself, where its rows are kept: ``[B]``; see the base class."""
        if self.form_ == "primal":
            return super().self_score(gradients)

        def of_few(some: Gradients) -> torch.Tensor:
            found = self._in_factors(some)
            if found is None:
                # The root of the dual form's inverse would take a decomposition of its own.
                return MethodHooks.self_score(self, some)
            (factors,) = self.factors_.values()
            return dual_scores.self_scores(self._dual, found[0], factors, found[1])  # [b]

        return few_examples.few_at_a_time(gradients, of_few, PROJECTED_AT_ONCE)

    def half_solve(self, factors: Any, vectors: torch.Tensor) -> torch.Tensor:
        """Apply a square root of the inverse to ``[K, P]``."""
        if self.form_ == "primal":
            return super().half_solve(factors, vectors)
        if self._half is None or self._half[0] is not factors:
            self._half = None  # frees its memory first
            self._half = factors, self._dual.half_factors(factors)
        return self._with_rows(self._dual.half_solve)(self._half[1], vectors)
