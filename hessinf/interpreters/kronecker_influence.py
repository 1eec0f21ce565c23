"""What K-FAC and EK-FAC share: fitting, inverting, damping anew, embedding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from hessinf.curvature import Damping, RelativeDamping, as_damping
from hessinf.interpreters.choices import require_choice
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import gradients as gradients_room
    from hessinf.curvature import (
        fisher_columns,
        fisher_pass,
        kronecker,
        kronecker_fit,
        kronecker_without_example,
        shown_spectrum,
    )
    from hessinf.data.batching import Batch, Batches
    from hessinf.gradients import layers
    from hessinf.gradients.gradients import Gradients
    from hessinf.interpreters import kronecker_scores, training_gradients
else:
    gradients_room = lazy_import("hessinf.gradients")
    kronecker_scores = lazy_import("hessinf.interpreters.kronecker_scores")
    fisher_columns = lazy_import("hessinf.curvature.fisher_columns")
    fisher_pass = lazy_import("hessinf.curvature.fisher_pass")
    kronecker = lazy_import("hessinf.curvature.kronecker")
    kronecker_fit = lazy_import("hessinf.curvature.kronecker_fit")
    kronecker_without_example = lazy_import("hessinf.curvature.kronecker_without_example")
    shown_spectrum = lazy_import("hessinf.curvature.shown_spectrum")
    layers = lazy_import("hessinf.gradients.layers")
    training_gradients = lazy_import("hessinf.interpreters.training_gradients")

EXAMPLES_IN_BATCH = 4096
"""How many examples a batch of the fit has, where the data lie side by side in memory anyway."""


class KroneckerInfluence(InfluenceInterpreter):
    """Influence with curvature whose blocks are approximated by two small factors each.

    Matrices of parameters, such as the weight and bias of a layer together, get a block with two
    factors; so does each group of a convolution. All else (scales and shifts of normalizations,
    positional embeddings) gets a dense block of the same Fisher where it has at most 1,024
    numbers, and its diagonal beyond; reports say which.

    Parameters
    ----------
    damping
        λ, or {"relative": share} of the mean eigenvalue of each block.
    heuristic_damping
        Damp as if √λ were added to each factor, shared out by the ratio of their traces, as
        optimizers do: (G + √λ/π) ⊗ (A + π√λ) has λ + π√λ·g + √λ/π·a more than G ⊗ A at the
        eigenvalues g and a. More damping than λ says, at the large eigenvalues. For "ekfac" the
        same is added to the corrected eigenvalues.
    fisher
        Whose factors: "type-2" for the Gauss-Newton matrix, exactly (one backward pass for every
        output, and position, of an example); "monte-carlo" for the same in expectation, from
        targets that the model itself draws; "empirical" for the gradients at the true targets,
        which is another matrix and works with any loss; "auto" for "type-2" where an example has
        at most 64 outputs, or outputs × N × P is at most 10^10, and "monte-carlo" beyond.
    samples
        How many targets are drawn for each example. The spread that this leaves is reported.
    weight_sharing
        What is done with the positions of one example (tokens, places of an image) in the factors:
        "expand" takes them as independent, "reduce" adds them up first.
    exact_scores
        Never take the inverse eigenvalues of a matrix as a sum of few products. That is done where
        it is much less work, with an error of 10^-6 of a query's scores; diagnostics then have a
        bound of it, `score_error_bound`.
    """

    without_effect_on_factors: ClassVar[tuple[str, ...]] = (
        *InfluenceInterpreter.without_effect_on_factors,
        "exact_scores",
    )

    version: ClassVar[int] = 2

    corrected: ClassVar[bool]
    """Whether the eigenvalues are those of EK-FAC."""

    def __init__(
        self,
        *args: Any,
        damping: Damping = RelativeDamping(0.1),  # noqa: B008 (frozen)
        heuristic_damping: bool = False,
        fisher: Literal["auto", "type-2", "monte-carlo", "empirical"] = "auto",
        samples: Annotated[int, AtLeast(1)] = 1,
        weight_sharing: Literal["expand", "reduce"] = "expand",
        exact_scores: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.exact_scores = exact_scores
        self.damping = as_damping(damping)
        self.heuristic_damping = heuristic_damping
        require_choice("fisher", fisher, ("auto", "type-2", "monte-carlo", "empirical"))
        require_choice("weight_sharing", weight_sharing, ("expand", "reduce"))
        if samples < 1:
            raise ValueError(f"samples must be at least 1, found {samples}")
        self.fisher = fisher
        self.samples = samples
        self.weight_sharing = weight_sharing

    def fit(self) -> None:
        """Learn the factors, and decompose them."""
        capture = layers.LayerCapture(self.model)
        batches = self._fisher_batches()
        curvature = kronecker_fit.fit_kronecker(
            self.model,
            self.objective,
            batches,
            fisher=self.fisher,
            samples=self.samples,
            weight_sharing=self.weight_sharing,
            corrected=self.corrected,
            weight_decay=self.weight_decay,
            seed=self.seed,
            columns_at_once=self._columns_at_once(batches),
            memory_limit=self.memory_limit,
            executor=self.executor,
            capture=capture,
            beside=training_gradients.GradientsBeside(self.kept_pass, self.objective, capture),
        )
        self.damping_ = curvature.damping(self.damping)
        self.curvature_ = curvature.state()

    def _fisher_batches(self) -> Batches:
        """Go through the training data in large batches, where that costs nothing.

        Only a few of their examples are ever worked on together, but what they add up to is put
        together once a batch.
        """
        planned = self.train_batches()
        if self.batch_size != "auto" or not planned.assembled:
            return planned
        return self.train_batches(max(planned.batch_size, EXAMPLES_IN_BATCH))

    def _columns_at_once(self, batches: Batches) -> int:
        """How many columns of the Fisher go back together, planned for other batches."""
        plan = self.memory_plan
        return max(plan.vectors_at_once * plan.batch_size // batches.batch_size, 1)

    @property
    def curvature(self) -> kronecker.KroneckerCurvature:
        """The curvature that was learnt, as an operator."""
        known = self._curvature
        if known is None or known[0] is not self.curvature_:
            known = (self.curvature_, kronecker.KroneckerCurvature.from_state(self.curvature_))
            self._curvature = known
        return known[1]

    _curvature: tuple[dict[str, Any], kronecker.KroneckerCurvature] | None = None

    def change_damping(self, damping: Damping) -> None:
        """Set another λ, without a pass over the training data.

        Parameters
        ----------
        damping
            As for the constructor.
        """
        self.damping = as_damping(damping)
        self.damping_ = self.curvature.damping(self.damping)

    def curvature_facts(self) -> dict[str, Any]:
        """Say how the curvature was made; see the base class."""
        return dict(self.curvature.facts)

    def curvature_spectrum(self) -> shown_spectrum.ShownSpectrum:
        """Give the eigenvalues of each block; see the base class."""
        curvature, damping = self.curvature, self.damping_
        method = "EK-FAC" if self.corrected else "K-FAC"
        return shown_spectrum.ShownSpectrum(
            f"{method}, {curvature.facts['fisher']} Fisher",
            complete=True,
            blocks=[
                shown_spectrum.SpectrumBlock(
                    block.name,
                    block.size,
                    damping[block.name] if isinstance(damping, dict) else damping,
                    block.eigenvalues + self.weight_decay,
                )
                for block in curvature.blocks
            ],
        )

    def multiply_curvature(self, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply in the eigenbasis; see the base class."""
        return self.curvature.multiply(vectors)

    def precondition(self, gradients: Gradients) -> Gradients:
        """Divide by the damped eigenvalues, in the eigenbasis."""
        flat = gradients.flatten()  # [Q, P]
        curvature = self.curvature
        factors = curvature.solve(flat, self.damping_, self.heuristic_damping).to(flat.dtype)
        self.report(**curvature.facts)
        return gradients.like(factors)

    def scorer(self, query_gradients: Gradients) -> Callable[[Gradients], torch.Tensor]:
        """Score matrix by matrix of θ, in the eigenbasis where that is less work."""
        if not isinstance(query_gradients, gradients_room.FactoredGradients):
            return super().scorer(query_gradients)
        bases = self._damped_bases
        if not bases.hold(query_gradients.units):
            return super().scorer(query_gradients)
        self.report(**self.curvature.facts)
        return kronecker_scores.KroneckerScores(
            bases,
            query_gradients,
            len(self.train_data),
            exact=self.exact_scores,
            precision=self.score_precision,
            report=self.report,
            otherwise=lambda: super(KroneckerInfluence, self).scorer(query_gradients),
        )

    def self_score(self, gradients: Gradients) -> torch.Tensor:
        """Weigh squares in the eigenbasis: ``[B]``; see the base class."""
        bases = self._damped_bases
        if not isinstance(gradients, gradients_room.FactoredGradients) or not bases.hold(
            gradients.units
        ):
            return super().self_score(gradients)
        return kronecker_scores.self_scores(bases, gradients)

    @property
    def _damped_bases(self) -> kronecker_scores.DampedBases:
        """The curvature at the damping that was set last."""
        known = self._known_bases
        if known is None or known[0] is not self.curvature_ or known[1] != self.damping_:
            bases = kronecker_scores.DampedBases(
                self.curvature, self.damping_, self.heuristic_damping, self.model
            )
            known = self._known_bases = (self.curvature_, self.damping_, bases)
        return known[2]

    _known_bases: tuple[dict[str, Any], Any, kronecker_scores.DampedBases] | None = None

    def solve_with_ridge(self, vectors: torch.Tensor, share: float) -> torch.Tensor:
        """Divide by eigenvalues with a share of the damping: ``[K, P]``; see the base class."""
        return self.curvature.solve(vectors, self.damping_, self.heuristic_damping, share)

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        """Return vectors ``[B, P]`` whose inner products are the scores."""
        flat = gradients.flatten()  # [B, P]
        embedded = self.curvature.half_solve(flat, self.damping_, self.heuristic_damping)
        return embedded.to(flat.dtype)

    def solve_without(self, batch: Batch, vectors: torch.Tensor, share: float) -> torch.Tensor:
        """Solve with the factors of the other examples; see the base class.

        The first call goes through the training data once more, for the sums of all.
        """
        known = self._without_example
        if known is None or known[0] is not self.curvature_:
            curvature = self.curvature
            columns = fisher_columns.FisherColumns(
                self.objective, curvature.facts["fisher"], self.samples, self.seed
            )
            through = fisher_pass.FisherPass(
                layers.LayerCapture(self.model),
                columns,
                self.train_batches(),
                self.executor,
                self.memory_plan.vectors_at_once,
            )
            rest = kronecker_without_example.KroneckerWithoutExample(
                through, self.model, curvature, self.weight_sharing, self.corrected
            )
            known = self._without_example = (self.curvature_, rest)
        return known[1].solve(batch, vectors, self.damping_, self.heuristic_damping, share)

    _without_example: (
        tuple[dict[str, Any], kronecker_without_example.KroneckerWithoutExample] | None
    ) = None
