"""What methods share that put a low rank in the place of the curvature."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hessinf.curvature import Damping, as_damping, effective_damping
from hessinf.interpreters import finite_factors, method_hooks
from hessinf.interpreters.choices import require_choice
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.runtime import progress, randomness
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import solvers
    from hessinf.curvature import shown_spectrum
    from hessinf.data.batching import Batch
    from hessinf.gradients.curvature_products import CurvatureProducts
    from hessinf.gradients.gradients import Gradients
    from hessinf.interpreters import few_examples, projected_gradients
    from hessinf.scores import contraction
else:
    torch = lazy_import("torch")
    solvers = lazy_import("hessinf.solvers")
    shown_spectrum = lazy_import("hessinf.curvature.shown_spectrum")
    projected_gradients = lazy_import("hessinf.interpreters.projected_gradients")
    few_examples = lazy_import("hessinf.interpreters.few_examples")
    contraction = lazy_import("hessinf.scores.contraction")

logger = logging.getLogger(__name__)

PROBES = 16
"""Random vectors that say how much of the trace a low rank leaves out."""


class LowRankInterpreter(InfluenceInterpreter):
    """``C ≈ VᵀΘV + κ(I − VᵀV) + wd·I``, V being few orthonormal rows, inverted with any damping.

    Parameters
    ----------
    damping
        λ, or {"relative": share} of the mean eigenvalue: that of the low rank, and of what it
        leaves out by the products with 16 random vectors.
    curvature
        "ggn", the generalised Gauss-Newton matrix, which is positive semidefinite, or "hessian".
    complement
        What directions beside the eigenvectors count for. "mean-curvature": λ, weight decay and the
        mean curvature κ that is left out there, weighted by itself: ``κ = tr(R²) / tr(R)`` for
        ``R = C − VᵀΘV``, estimated from the products with 16 random vectors. "damping": λ and
        weight decay alone (Woodbury's identity). "drop": nothing.
    curvature_dtype
        The precision of products and eigenvectors: "float64", or "model" for that of the model.
        What is small is always computed in float64.
    """

    def __init__(
        self,
        *args: Any,
        damping: Damping = 1e-3,
        curvature: Literal["ggn", "hessian"] = "ggn",
        complement: Literal["mean-curvature", "damping", "drop"] = "mean-curvature",
        curvature_dtype: Literal["float64", "model"] = "float64",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        require_choice("curvature", curvature, ("ggn", "hessian"))
        require_choice("complement", complement, ("mean-curvature", "damping", "drop"))
        require_choice("curvature_dtype", curvature_dtype, ("float64", "model"))
        self.damping = as_damping(damping)
        self.curvature: Literal["ggn", "hessian"] = curvature
        self.complement = complement
        self.curvature_dtype = curvature_dtype

    scores_are_inner_products: ClassVar[bool] = True

    _coordinates: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
    """Eigenvectors ``[R, P]``, the training gradients on them ``[N, R]``, their losses ``[N]``."""

    @abstractmethod
    def approximate(
        self, products: CurvatureProducts
    ) -> tuple[solvers.LowRank, float | None, dict[str, Any]]:
        """Find the low rank.

        Parameters
        ----------
        products
            The curvature without weight decay.

        Returns
        -------
        LowRank
            Eigenvalues and eigenvectors.
        float or None
            An estimate from below of the largest eigenvalue left out; 0 where the low rank is the
            curvature itself.
        dict
            What diagnostics say about it.
        """

    def fit(self) -> None:
        """Find the low rank, and how much of the curvature it has."""
        wide = torch.float64 if self.curvature_dtype == "float64" else None
        products = self.curvature_products(self.curvature, wide)
        products.weight_decay = 0.0  # it is no matter of rank, and added to all directions
        if products.model.dtype not in (torch.float32, torch.float64):
            raise InterpreterError(
                f"{self.registered_name()} needs products in float32 at least, the model is "
                f'{str(products.model.dtype).removeprefix("torch.")}; use curvature_dtype "float64"'
            )
        found, largest, facts = self.approximate(products)
        self.eigenvalues_ = found.eigenvalues  # [R]
        self.eigenvectors_ = found.eigenvectors  # [R, P]
        kept = float(found.eigenvalues.sum())
        left_out, self.beside_ = (
            (0.0, 0.0) if largest == 0 else self._left_out(products, found, largest)
        )
        self.trace_ = kept + left_out
        self.facts_ = {"rank": len(found.eigenvalues), **facts}
        if largest is not None:
            self.facts_["largest_eigenvalue_left_out"] = largest
        if self.trace_ > 0:
            self.facts_["trace_captured"] = kept / self.trace_
        self._damp()

    def _left_out(
        self, products: CurvatureProducts, found: solvers.LowRank, largest: float | None
    ) -> tuple[float, float]:
        """Estimate the trace, and the mean curvature κ, of what the low rank leaves out."""
        rest = solvers.estimate_trace(
            lambda rows: products.products(rows) - found.product(rows),
            products.size,
            samples=PROBES,
            generator=randomness.generator(self.seed, f"{self.registered_name()}.trace"),
            dtype=products.model.dtype,
            device=products.model.device,
        )
        mean = rest.of_square / rest.value if rest.value > 0 else 0.0
        # No mean exceeds the largest, but a ratio of noisy numbers may, or one of mixed signs.
        return rest.value, mean if largest is None else min(mean, largest)

    def change_damping(self, damping: Damping) -> None:
        """Take another damping: the eigenvalues stay, so the training data are not gone through."""
        self.damping = as_damping(damping)
        self._damp()

    def _damp(self) -> None:
        size = self.model.layout.size
        trace = self.trace_ + self.weight_decay * size
        self.damping_ = effective_damping(self.damping, trace, size)
        ridge = self._ridge
        self._low_rank.require_invertible(ridge, self._beside)
        negative = int((self.eigenvalues_ + ridge < 0).sum())
        self.facts_["negative_eigenvalues"] = negative
        if negative:
            logger.warning(
                "the damped curvature is not positive: %d of %d eigenvalues found are negative at "
                "damping %g, so the parameters are no minimum and scores may mean little; train "
                'longer, raise damping, or use curvature "ggn"',
                negative,
                len(self.eigenvalues_),
                self.damping_,
            )

    @property
    def _ridge(self) -> float:
        """What is added to all eigenvalues: ``λ + wd``."""
        return self.damping_ + self.weight_decay

    @property
    def _beside(self) -> float | None:
        """The curvature of directions beside the low rank; None where they are dropped."""
        return {"mean-curvature": self.beside_, "damping": 0.0, "drop": None}[self.complement]

    @property
    def _low_rank(self) -> solvers.LowRank:
        return solvers.LowRank(self.eigenvalues_, self.eigenvectors_)

    def curvature_facts(self) -> dict[str, Any]:
        """Say how the curvature was made; see the base class."""
        return dict(self.facts_)

    def curvature_spectrum(self) -> shown_spectrum.ShownSpectrum:
        """Give the eigenvalues of the low rank; see the base class."""
        size = self.model.layout.size
        block = shown_spectrum.SpectrumBlock(
            "all parameters", size, self.damping_, self.eigenvalues_ + self.weight_decay
        )
        whose = {"ggn": "generalized Gauss-Newton matrix", "hessian": "Hessian"}[self.curvature]
        return shown_spectrum.ShownSpectrum(
            f"{whose}, low rank", complete=len(self.eigenvalues_) == size, blocks=[block]
        )

    def multiply_curvature(self, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply with the low rank, and what the complement has beside it; see the base class."""
        own = vectors.to(self.eigenvectors_.dtype)  # [K, P]
        return self._low_rank.power(own, self.weight_decay, 1.0, self._beside).double()

    def precondition(self, gradients: Gradients) -> Gradients:
        """Divide by damped eigenvalues in the low rank, by what the complement has beside it."""
        self.report(**self.facts_)
        if self._beside is None:
            scaled = self._project(gradients) / (self.eigenvalues_ + self._ridge)  # [Q, R]
            solved = scaled.to(self.eigenvectors_.dtype) @ self.eigenvectors_  # [Q, P]
        else:
            self.report(complement_curvature=self._beside)
            vectors = gradients.flatten().to(self.eigenvectors_.dtype)  # [Q, P]
            solved = self._low_rank.power(vectors, self._ridge, -1.0, self._beside)  # [Q, P]
        return gradients.like(solved.to(self.model.dtype))

    def scorer(self, query_gradients: Gradients) -> Callable[[Gradients], torch.Tensor]:
        """Score by inner products in all of θ, unless coordinates in the low rank will do."""
        if self._beside is None:
            return super().scorer(query_gradients)
        factors = method_hooks.factors_of(self, query_gradients)
        finite_factors.require_finite_factors(factors)
        return contraction.InnerProducts(factors, precision=self.score_precision)

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        """Multiply factors with training gradients: by coordinates, where the rest is dropped."""
        if self._beside is not None:
            return query_gradients.dot(train_gradients)
        found = self._project(query_gradients) @ self._project(train_gradients).T  # [Q, B]
        return found.to(self.model.dtype)

    def self_score(self, gradients: Gradients) -> torch.Tensor:
        """Weigh squares of coordinates, and what lies beside them: ``[B]``; see the base class."""
        ridge, beside = self._ridge, self._beside
        outside = 0.0 if beside is None or self._low_rank.complete else 1 / (ridge + beside)
        inside = 1 / (self.eigenvalues_ + ridge) - outside  # [R]

        def of_few(some: Gradients) -> torch.Tensor:
            own = self._project(some).double().square() @ inside  # [b]
            if not outside:
                return own
            return own + outside * some.flatten().double().square().sum(dim=1)

        return few_examples.few_at_a_time(gradients, of_few)

    def _project(self, gradients: Gradients) -> torch.Tensor:
        """Return coordinates in the low rank, ``[B, R]``."""
        if isinstance(gradients, projected_gradients.ProjectedGradients):
            return gradients.coordinates
        return self._low_rank.project(gradients.flatten().to(self.eigenvectors_.dtype))

    def train_pass(
        self, stage: str, *, factored: bool = False
    ) -> Iterator[tuple[Gradients, torch.Tensor]]:
        """Compute training gradients and losses; where the complement is dropped, only once.

        Then the coordinates ``[N, R]`` are kept, never the gradients ``[N, P]``.
        """
        if self.complement != "drop" or not self.fitted:
            yield from super().train_pass(stage, factored=factored)
            return
        basis = self.eigenvectors_
        if self._coordinates is not None and self._coordinates[0] is basis:
            _, coordinates, losses = self._coordinates
            size = self.memory_plan.batch_size
            for start in range(0, len(losses), size):
                places = slice(start, start + size)
                yield self._on_demand(coordinates[places], start), losses[places]
            return
        kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        with progress.bar(stage=stage, total=len(self.train_data)) as shown:
            for batch in self._train_batches:
                gradients, losses = self._per_example(batch)
                kept.append((self._project(gradients), losses))
                yield self._known(gradients, kept[-1][0]), losses
                shown.update(batch.size)
        self._coordinates = (
            basis,
            torch.cat([coordinates for coordinates, _ in kept]),  # [N, R]
            torch.cat([losses for _, losses in kept]),  # [N]
        )

    def _known(self, gradients: Gradients, coordinates: torch.Tensor) -> Gradients:
        return projected_gradients.ProjectedGradients(
            coordinates, self.model.layout, gradients.flatten
        )

    def _on_demand(self, coordinates: torch.Tensor, start: int) -> Gradients:
        """Stand for the gradients of a batch, which are computed anew for those who ask."""

        def whole() -> torch.Tensor:
            places = torch.arange(start, start + len(coordinates))  # [B]
            batch: Batch = self._train_batches.select(places)
            return self._per_example(batch)[0].flatten()  # [B, P]

        return projected_gradients.ProjectedGradients(coordinates, self.model.layout, whole)

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        """Multiply with the square root of the inverse: ``[B, R]``, or ``[B, P]`` with all of θ.

        Raises
        ------
        InterpreterError
            When a damped eigenvalue is negative, so that scores are no inner products.
        """
        if self.facts_["negative_eigenvalues"]:
            raise InterpreterError(
                f"{self.facts_['negative_eigenvalues']} damped eigenvalues are negative, so scores "
                'are no inner products of real vectors; use curvature "ggn", or raise damping'
            )
        if self._beside is not None and not self._low_rank.complete:
            vectors = gradients.flatten().to(self.eigenvectors_.dtype)  # [B, P]
            return self._low_rank.power(vectors, self._ridge, -0.5, self._beside)  # [B, P]
        return self._project(gradients) * (self.eigenvalues_ + self._ridge) ** -0.5  # [B, R]


def require_memory(
    vectors: int, rank: int, size: int, bytes_per_number: int, memory_limit: float
) -> None:
    """Refuse a low rank whose vectors do not fit.

    Parameters
    ----------
    vectors
        How many vectors of length P are held.
    rank
        For how many eigenpairs.
    size
        P.
    bytes_per_number
        8 for float64.
    memory_limit
        In GiB.

    Raises
    ------
    InterpreterError
        Which says how much is needed, and what would fit.
    """
    needed = vectors * size * bytes_per_number / 2**30
    if needed > memory_limit:
        fitting = int(rank * memory_limit / needed)
        raise InterpreterError(
            f"a low rank of {rank:,} for {size:,} parameters needs {needed:,.1f} GiB for "
            f"{vectors:,} vectors, memory_limit is {memory_limit:g} GiB, which is enough for a "
            f"rank of about {fitting:,}; lower rank, freeze parameters with params_to_freeze, or "
            'raise memory_limit; "conjugate-gradient" keeps no such vectors'
        )
