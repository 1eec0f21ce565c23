"""LiSSA over curvature-vector products of mini-batches, all queries at once.

``x_{t+1} = x_t + (v − (C_t + λI) x_t) / s``; see :mod:`hessinf.solvers.lissa` for the sources.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from hessinf.curvature import Damping, as_damping, effective_damping
from hessinf.interpreters.choices import require_choice
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.interpreters.method_hooks import A_SOLVE_EACH
from hessinf.interpreters.recursion_depth import RecursionDepth, as_depth
from hessinf.registry import Above, AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import solvers
    from hessinf.data.batching import Batch
    from hessinf.gradients import block_vectors
    from hessinf.gradients.curvature_products import CurvatureProducts
    from hessinf.gradients.gradients import Gradients
    from hessinf.runtime import progress, randomness
else:
    torch = lazy_import("torch")
    solvers = lazy_import("hessinf.solvers")
    block_vectors = lazy_import("hessinf.gradients.block_vectors")
    progress = lazy_import("hessinf.runtime.progress")
    randomness = lazy_import("hessinf.runtime.randomness")

logger = logging.getLogger(__name__)

ALLENNLP_SCALE = 1e4
"""AllenNLP's default scale, used with ``compatibility: "allennlp"`` when none is given."""

BATCHES_PROBED = 8
"""Mini-batches whose largest eigenvalue is estimated, to choose a scale."""

SAFETY = 1.25
"""How much larger than the largest eigenvalue seen the automatic scale is: others may be larger."""

SCALES_TRIED = 5
"""An automatic scale that lets the recursion run away is doubled at most this many times."""

CONVERGED_RESIDUAL = 0.1
"""Queries with a larger relative residual are marked as stopped early."""


@InfluenceInterpreter.register("simple-influence")
class SimpleInfluence(InfluenceInterpreter):
    """Influence by LiSSA: a stochastic recursion that needs no matrix, only products with it.

    Registered as an `InfluenceInterpreter` with name "simple-influence".

    AllenNLP's arguments, with the damping that they say: the recursion solves ``(C + λI) x = v`` at
    ``λ = damping``, whatever the scale. Every query carries its relative residual
    ``‖(C + λI)x − v‖ / ‖v‖``, unless that is turned off.

    Parameters
    ----------
    lissa_batch_size
        Training examples in the mini-batch of a step.
    damping
        λ, or {"relative": share} of the mean eigenvalue.
    num_samples
        How many times the recursion is run; the mean is taken.
    recursion_depth
        How many steps: a float or "25%" is a share of an epoch, an int or {"steps": 500} a number
        of steps. Jsonnet prints 1.0 as 1: write "100%" or {"epochs": 1}.
    scale
        What products are divided by, so that the recursion converges; null to choose it from the
        largest eigenvalue of the curvature of mini-batches.
    curvature
        "ggn", the generalised Gauss-Newton matrix, which is positive semidefinite, so that the
        recursion converges away from a minimum too; or "hessian".
    averaging
        "tail" for the mean of the second half of the iterates, or "last" for the last one.
    compatibility
        "allennlp" repeats AllenNLP's recursion to the letter, with the Hessian, without weight
        decay: its effective damping is damping × scale.
    residuals
        Whether to compute how far each solution is from one, by a product with all training
        examples: more work than a recursion of a quarter of an epoch.

    Cost
    ----
    Time: num_samples × steps products of Q vectors with the curvature of lissa_batch_size examples,
    and one with that of all N examples for the residual. Memory: about 4·Q·P numbers.

    References
    ----------
    Agarwal, Bullins & Hazan, Second-Order Stochastic Optimization for Machine Learning in Linear
    Time, JMLR 2017. Koh & Liang 2017. Han, Wallace & Tsvetkov 2020 (the defaults of AllenNLP).
    """

    why_no_self_influence = A_SOLVE_EACH

    def __init__(
        self,
        *args: Any,
        lissa_batch_size: Annotated[int, AtLeast(1)] = 8,
        damping: Damping = 3e-3,
        num_samples: Annotated[int, AtLeast(1)] = 1,
        recursion_depth: RecursionDepth = 0.25,
        scale: Annotated[float, Above(0)] | None = None,
        curvature: Literal["ggn", "hessian"] = "ggn",
        averaging: Literal["tail", "last"] = "tail",
        compatibility: Literal["allennlp"] | None = None,
        residuals: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        require_choice("curvature", curvature, ("ggn", "hessian"))
        require_choice("averaging", averaging, ("tail", "last"))
        require_choice("compatibility", compatibility, ("allennlp", None))
        if lissa_batch_size < 1 or num_samples < 1:
            raise ValueError(
                "lissa_batch_size and num_samples must be at least 1, "
                f"found {lissa_batch_size} and {num_samples}"
            )
        if scale is not None and not scale > 0:
            raise ValueError(f"scale must be > 0, or None to have it chosen, found {scale}")
        self.lissa_batch_size = min(lissa_batch_size, len(self.train_data))
        self.damping = as_damping(damping)
        self.num_samples = num_samples
        self.depth = as_depth(recursion_depth)
        self.scale = scale
        self.curvature: Literal["ggn", "hessian"] = curvature
        self.averaging = averaging
        self.compatibility = compatibility
        self.residuals = residuals
        if compatibility is not None and not isinstance(self.damping, float):
            raise ValueError('compatibility "allennlp" takes damping as a number')
        self.steps = self._steps(recursion_depth)

    def _steps(self, recursion_depth: RecursionDepth) -> int:
        """Count the steps, and say how the depth was understood."""
        batches_per_epoch = -(-len(self.train_data) // self.lissa_batch_size)
        steps = self.depth.count(batches_per_epoch)
        if self.compatibility == "allennlp" and self.depth.epochs is not None:
            steps = int(batches_per_epoch * self.depth.epochs)  # as AllenNLP rounds: down
            if steps < 1:
                raise ValueError(
                    f"recursion_depth {recursion_depth!r} of {batches_per_epoch} batches is no "
                    "whole step, and AllenNLP would not recurse at all; raise it, or leave out "
                    'compatibility: "allennlp"'
                )
        share = steps / batches_per_epoch
        noun = "step" if steps == 1 else "steps"
        said = f"recursion_depth {recursion_depth!r} means {steps} {noun}, {share:.3g} epochs"
        if isinstance(recursion_depth, int) and steps <= batches_per_epoch:
            logger.warning(
                "%s: an int counts steps. If %d.0 was written, Jsonnet printed it as %d: write "
                '"%d%%" or {"epochs": %d} for epochs, {"steps": %d} for steps',
                said,
                *(steps, steps, 100 * steps, steps, steps),
            )
        else:
            logger.info("%s", said)
        return steps

    def fit(self) -> None:
        """Choose damping and scale."""
        products = self._products
        if self.compatibility == "allennlp":
            self.scale_ = self.scale or ALLENNLP_SCALE
            assert isinstance(self.damping, float)
            self.damping_ = self.damping * self.scale_
            return
        self.damping_ = effective_damping(self.damping, *self._trace(products))
        self.scale_ = self.scale or SAFETY * self._largest_eigenvalue(products)

    @cached_property
    def _products(self) -> CurvatureProducts:
        """The curvature as an operator, which keeps what it knows of the training data."""
        products = self.curvature_products(self._effective_curvature)
        if self.compatibility == "allennlp":
            products.weight_decay = 0.0
        return products

    @property
    def _effective_curvature(self) -> Literal["ggn", "hessian"]:
        return "hessian" if self.compatibility == "allennlp" else self.curvature

    def _trace(self, products: Any) -> tuple[float, int]:
        """Estimate the trace where damping is relative to it (Hutchinson 1990)."""
        size = self.model.layout.size
        if isinstance(self.damping, float):
            return 0.0, size
        generator = randomness.generator(self.seed, "simple-influence.trace")
        probes = solvers.random_signs(
            64, size, generator, self.model.dtype, self.model.device
        )  # [64, P]
        quadratic = (probes * products.products(probes)).sum(dim=1)  # [64]
        return float(quadratic.mean()), size

    def _largest_eigenvalue(self, products: Any) -> float:
        """Estimate the largest eigenvalue of ``C_t + λI`` over some mini-batches."""
        generator = randomness.generator(self.seed, "simple-influence.scale")
        largest = 0.0
        probed = zip(range(BATCHES_PROBED), self._lissa_batches("scale"), strict=False)
        for _, batch in progress.track(
            probed, stage="LiSSA scale", total=BATCHES_PROBED, unit="batches"
        ):
            value = solvers.largest_eigenvalue(
                products.of_batch(batch),
                self.model.layout.size,
                generator=generator,
                dtype=self.model.dtype,
                device=self.model.device,
            )
            # Spelled out because max() may lose a NaN.
            largest = value if not math.isfinite(value) else max(largest, value)
            if not math.isfinite(largest):
                break
        if not 0 < largest < math.inf:
            raise InterpreterError(
                f"LiSSA cannot choose a scale: the largest eigenvalue of the curvature is "
                f"{largest}; give scale, or check the model and the training data"
            )
        return largest + self.damping_

    def _lissa_places(self, run: str) -> Iterator[torch.Tensor]:
        """Draw mini-batches without end: shuffled epochs, the same for every block of queries."""
        generator = randomness.generator(self.seed, f"simple-influence.order.{run}")
        while True:
            order = torch.randperm(len(self.train_data), generator=generator)  # [N]
            yield from torch.split(order, self.lissa_batch_size)

    def _lissa_batches(self, run: str) -> Iterator[Batch]:
        """Read the same mini-batches."""
        return map(self._train_batches.select, self._lissa_places(run))

    def precondition(self, gradients: Gradients) -> Gradients:
        """Run the recursion for all queries together."""
        vectors = gradients.flatten()  # [Q, P]
        products = self._products
        solutions, scale = self._solve(products, vectors)  # [Q, P]
        self.report(steps=self.steps * self.num_samples, scale=scale)
        if not self.residuals:
            return gradients.like(solutions)
        residuals = products.products(solutions)  # [Q, P]
        residuals.add_(solutions, alpha=self.damping_).sub_(vectors)
        sizes = vectors.norm(dim=1)  # [Q]
        relative = residuals.norm(dim=1) / torch.where(sizes > 0, sizes, 1.0)  # [Q]
        self.report(
            relative_residual=relative,
            converged=relative <= CONVERGED_RESIDUAL,
        )
        return gradients.like(solutions)

    def _solve(self, products: Any, vectors: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Run all samples; with an automatic scale, again at twice the scale when they run away.

        The scale that was needed is not remembered: a block of queries gives the same results
        whatever blocks came before it, or were finished before a run was resumed.
        """
        scale = self.scale_
        automatic = self.scale is None and self.compatibility is None
        for attempt in range(SCALES_TRIED):
            try:
                return self._mean_of_samples(products, vectors, scale), scale
            except solvers.DivergenceError as error:
                if not automatic or attempt == SCALES_TRIED - 1:
                    raise solvers.DivergenceError(self._advice(error, products)) from error
                scale *= 2
                logger.warning("%s; going on with %.6g", error, scale)
        raise AssertionError("unreachable")

    def _mean_of_samples(self, products: Any, vectors: torch.Tensor, scale: float) -> torch.Tensor:
        total: torch.Tensor | None = None
        stage = f"LiSSA, {len(vectors)} queries"
        with progress.bar(stage=stage, total=self.steps * self.num_samples, unit="steps") as shown:
            for sample in range(self.num_samples):
                found = self._recursion(products, vectors, scale, str(sample), shown.update)
                total = found if total is None else total.add_(found)
        assert total is not None
        return total.div_(self.num_samples)  # [Q, P]

    def _recursion(
        self,
        products: CurvatureProducts,
        vectors: torch.Tensor,
        scale: float,
        run: str,
        on_step: Callable[[], None],
    ) -> torch.Tensor:
        """Run the recursion once: with what is known of all examples, where that is kept."""
        compatible = self.compatibility == "allennlp"
        options: dict[str, Any] = {
            "steps": self.steps,
            "damping": self.damping_,
            "scale": scale,
            "tail_average": self.averaging == "tail" and not compatible,
            "bounded": not compatible,
            "on_step": on_step,
        }
        kept = products.linearized
        if kept is None:

            def add(batch: Batch, given: torch.Tensor, into: torch.Tensor, factor: float) -> None:
                into.add_(products.batch_products(batch, given), alpha=factor)

            return solvers.lissa_in_place(
                vectors / scale, add, self._lissa_batches(run), **options
            )  # [Q, P]
        options["damping"] += products.weight_decay
        rows = block_vectors.BlockVectors.of_rows(vectors, self.model.layout)

        def add_in_blocks(
            places: torch.Tensor, given: torch.Tensor, into: torch.Tensor, factor: float
        ) -> None:
            kept.add_batch_products(places, rows.like(given), rows.like(into), factor)

        solved = solvers.lissa_in_place(
            rows.numbers.div_(scale),
            add_in_blocks,
            self._lissa_places(run),
            norms=lambda numbers: rows.like(numbers).norms(),
            **options,
        )  # [Q·P]
        return rows.like(solved).rows()  # [Q, P]

    def _advice(self, error: Exception, products: Any) -> str:
        """Say what to do against divergence."""
        largest = self._largest_eigenvalue(products)
        text = f"{error}; try scale: {float(f'{2 * largest:.2g}'):g}, or null to have it chosen"
        if self._effective_curvature == "hessian":
            text += (
                ". The Hessian may have negative eigenvalues, which no scale helps against: try "
                'curvature: "ggn", or more damping'
            )
        return text
