"""The diagonal of the Gauss-Newton matrix, or of a Fisher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from hessinf.curvature import (
    CurvatureError,
    Damping,
    RelativeDamping,
    as_damping,
    effective_damping,
)
from hessinf.interpreters.choices import require_choice
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import gradients as gradients_room
    from hessinf.curvature import fisher_diagonal, shown_spectrum
    from hessinf.gradients.gradients import Gradients
    from hessinf.scores import weighted_norms
else:
    torch = lazy_import("torch")
    gradients_room = lazy_import("hessinf.gradients")
    weighted_norms = lazy_import("hessinf.scores.weighted_norms")
    fisher_diagonal = lazy_import("hessinf.curvature.fisher_diagonal")
    shown_spectrum = lazy_import("hessinf.curvature.shown_spectrum")


@InfluenceInterpreter.register("diagonal")
class Diagonal(InfluenceInterpreter):
    """Influence with the diagonal of the Gauss-Newton matrix: each parameter by itself.

    Registered as an `InfluenceInterpreter` with name "diagonal".

    The diagonal itself is exact: gradients are squared after the positions of an example are added
    up. What is left out is how parameters act together, which is most of it: a baseline, for
    models whose layers are too wide for "kfac", and to see what "kfac" gains.

    Parameters
    ----------
    damping
        λ, or {"relative": share} of the mean of the diagonal, all parameters together: the λ of
        "ggn".
    fisher
        "type-2" for the Gauss-Newton matrix, exactly (one backward pass for every output, and
        position, of an example); "monte-carlo" for the same in expectation, from targets that the
        model itself draws; "empirical" for the gradients at the true targets, which is another
        matrix and works with any loss; "auto" for "type-2" where an example has at most 64 outputs,
        or outputs × N × P is at most 10^10, and "monte-carlo" beyond.
    samples
        How many targets are drawn for each example.

    Cost
    ----
    Time: one forward pass over the N training examples with K backward passes ("type-2": K the
    number of outputs and positions of an example, else the samples), and K·N·P where an example has
    several positions. Memory: P numbers of 8 bytes. Each block of queries: N·P·Q.

    References
    ----------
    Schraudolph, Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent, Neural
    Computation 2002.
    """

    version: ClassVar[int] = 2

    def __init__(
        self,
        *args: Any,
        damping: Damping = RelativeDamping(0.1),  # noqa: B008 (frozen)
        fisher: Literal["auto", "type-2", "monte-carlo", "empirical"] = "auto",
        samples: Annotated[int, AtLeast(1)] = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.damping = as_damping(damping)
        require_choice("fisher", fisher, ("auto", "type-2", "monte-carlo", "empirical"))
        if samples < 1:
            raise ValueError(f"samples must be at least 1, found {samples}")
        self.fisher = fisher
        self.samples = samples

    def fit(self) -> None:
        """Add up squared gradients."""
        diagonal, self.facts_ = fisher_diagonal.fit_diagonal(
            self.model,
            self.objective,
            self.train_batches(),
            fisher=self.fisher,
            samples=self.samples,
            seed=self.seed,
            columns_at_once=self.memory_plan.vectors_at_once,
            executor=self.executor,
        )
        self.diagonal_ = diagonal + self.weight_decay  # [P]
        self._damp()

    def _damp(self) -> None:
        total = float(self.diagonal_.sum())
        self.damping_ = effective_damping(self.damping, total, len(self.diagonal_))

    def change_damping(self, damping: Damping) -> None:
        """Set another λ, without a pass over the training data.

        Parameters
        ----------
        damping
            As for the constructor.
        """
        self.damping = as_damping(damping)
        self._damp()

    def _damped(self) -> torch.Tensor:
        """Return the diagonal with λ, ``[P]``; refuse zeros."""
        damped: torch.Tensor = self.diagonal_ + self.damping_
        if not bool((damped > 0).all()):
            parts = self.model.layout.unflatten(damped)
            name = next(name for name, part in parts.items() if not bool((part > 0).all()))
            raise CurvatureError(
                f"the curvature of {name} has zeros at damping {self.damping_:g}: no training "
                "example has a gradient there; raise damping, or freeze it with params_to_freeze"
            )
        return damped

    def curvature_facts(self) -> dict[str, Any]:
        """Say how the curvature was made; see the base class."""
        return dict(self.facts_)

    def curvature_spectrum(self) -> shown_spectrum.ShownSpectrum:
        """Give the diagonal, whose entries are its eigenvalues; see the base class."""
        block = shown_spectrum.SpectrumBlock(
            "all parameters", len(self.diagonal_), self.damping_, self.diagonal_
        )
        return shown_spectrum.ShownSpectrum(
            f"diagonal, {self.facts_['fisher']} Fisher", complete=True, blocks=[block]
        )

    def multiply_curvature(self, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply with the diagonal; see the base class."""
        return vectors.double() * self.diagonal_

    def precondition(self, gradients: Gradients) -> Gradients:
        """Divide by the damped diagonal."""
        flat = gradients.flatten()  # [Q, P]
        self.report(**self.facts_)
        return gradients.like((flat.double() / self._damped()).to(flat.dtype))

    def self_score(self, gradients: Gradients) -> torch.Tensor:
        """Divide squares by the damped diagonal: ``[B]``; see the base class."""
        if not isinstance(gradients, gradients_room.FactoredGradients):
            return super().self_score(gradients)
        wide = torch.promote_types(self.model.dtype, torch.float32)
        inverse = self.model.layout.unflatten(self._damped().reciprocal().to(wide))
        weights = {
            unit.name: weighted_norms.MatrixWeights(unit.matrix(inverse))
            for unit in gradients.units
        }
        rest = gradients.rest.to(wide).square()  # [B, R]
        of_rest = [inverse[name].flatten() for name in gradients.rest_names]
        own = weighted_norms.weighted_norms(gradients, weights)  # [B]
        return own + rest @ torch.cat([rest.new_zeros(0), *of_rest])

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        """Return vectors ``[B, P]`` whose inner products are the scores."""
        flat = gradients.flatten()  # [B, P]
        return (flat.double() / self._damped().sqrt()).to(flat.dtype)
