r"""Training a strictly convex model again, exactly, on many subsets of its data.

The optimum on each subset is unique, so that it makes no difference where training begins: here
all begin at the optimum on all data, with L-BFGS in the metric of the Hessian there
(:mod:`hessinf.evaluation.stacked_lbfgs`). Models that are still away from their optimum after that
are given their own Hessian. Each is certified by the gradient of its own objective:

- "mean": ``1/|S| Σ_{i∈S} ℓ_i(θ) + ½ wd ‖θ‖²``, renormalised over what is left;
- "mean-fixed": ``1/N Σ_{i∈S} ℓ_i(θ) + ½ wd ‖θ‖²``;
- "sum": N times that, with the same optimum; the gradient is that of the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from hessinf.data import Dataset
from hessinf.evaluation.convexity import factorized, hessian_at, require_affine_outputs
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.stacked_lbfgs import Minima, minimize
from hessinf.evaluation.stacked_objective import StackedModels, StackedObjective
from hessinf.gradients import FunctionalModel
from hessinf.models import Measurement, Objective
from hessinf.runtime.randomness import generator
from hessinf.scores.loss_change import TrainingReduction

EVALUATIONS = 60
"""How often an objective is evaluated in one metric; then its own Hessian there is formed."""

METRICS = 8
"""How many Hessians a model is given at most."""

SAME_OPTIMUM = 1e-5
"""How near to each other trainings from two starts must end, as a share of θ, where no weight decay
makes sure that there is one optimum only."""

Solve = Callable[[torch.Tensor], torch.Tensor]
"""Applies the inverse of a Hessian to rows ``[A, P]``."""

STAGE = "Hessian for retraining"


class ExactRetraining:
    """A strictly convex model, and its optimum on any subset of the training data.

    Parameters
    ----------
    module
        The network; its own parameters do not matter, those that are frozen do.
    train
        The training data, N examples.
    objective
        The loss of an example.
    weight_decay
        ``wd``.
    reduction
        How losses add up; see above.
    gradient_tolerance
        How small the 2-norm of each gradient must be at the end.
    device
        Where to compute.
    memory_limit
        GiB that models trained together may take.
    what
        What needs this, for messages.

    Raises
    ------
    EvaluationError
        When the model is not strictly convex in its parameters, or training does not end.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        train: Dataset,
        objective: Objective,
        *,
        weight_decay: float,
        reduction: TrainingReduction = "mean",
        gradient_tolerance: float = 1e-8,
        device: str | torch.device = "cpu",
        memory_limit: float = 4.0,
        what: str = "exact retraining",
    ) -> None:
        model = FunctionalModel(module, device=device, dtype=torch.float64)
        self.models = StackedModels(model, objective, memory_limit)
        self.train = train
        self.weight_decay = weight_decay
        self.reduction = reduction
        self.gradient_tolerance = gradient_tolerance
        self.what = what
        with model.evaluating():
            elsewhere = require_affine_outputs(self.models, train, what)
            everything = torch.ones(1, len(train), dtype=torch.bool, device=model.device)
            for share in (0.5, 1.0):  # convex there too
                self._solver(everything[0], share * elsewhere)
            start = torch.zeros(1, model.layout.size, dtype=torch.float64, device=model.device)
            found = self._finished(everything, start, ["all examples"])
            self.whole: torch.Tensor = found[0]
            """The optimum on all data, ``[P]``."""
            self._at_whole = self._solver(everything[0], self.whole)

    def optima(self, masks: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
        """Train on subsets.

        Parameters
        ----------
        masks
            Which examples each model is trained on, ``[K, N]``, of type bool.
        names
            What messages call each of them.

        Returns
        -------
        torch.Tensor
            ``[K, P]``, float64.

        Raises
        ------
        EvaluationError
            When the gradient of one stays above the tolerance, or there is more than one optimum.
        """
        masks = masks.to(self.whole.device)
        empty = (~masks.any(dim=1)).nonzero()[:, 0].tolist()
        if empty:
            raise EvaluationError(
                f"{self.what}: {names[empty[0]]} leaves no example to train on; leave fewer out"
            )
        start = self.whole.expand(len(masks), -1)  # [K, P]
        with self.models.model.evaluating():
            thetas = self._finished(masks, start, names, self._at_whole)
            if self.weight_decay == 0:
                self._require_one_optimum(masks, thetas, names)
        return thetas

    def values(
        self, thetas: torch.Tensor, queries: Dataset, measurement: Measurement | None = None
    ) -> torch.Tensor:
        """Measure queries with each set of parameters: ``[K, Q]``, less is better, float64."""
        with self.models.model.evaluating():
            return self.models.values(thetas, queries, measurement)

    def _finished(
        self,
        masks: torch.Tensor,
        start: torch.Tensor,
        names: Sequence[str],
        solve: Solve | None = None,
    ) -> torch.Tensor:
        """Minimise in one metric for all, then in that of each one's own Hessian; certify."""
        thetas = start.clone()  # [K, P]
        norms = thetas.new_full((len(masks),), torch.inf)  # [K]
        open_ones = torch.arange(len(masks), device=masks.device)  # [A]
        if solve is not None:
            minima = self._minimize(masks, thetas, solve)
            thetas, norms = minima.thetas, minima.gradient_norms
            open_ones = (~(norms <= self.gradient_tolerance)).nonzero()[:, 0]
        for place in open_ones.tolist():
            one = slice(place, place + 1)
            for _ in range(METRICS):
                own = self._solver(masks[place], thetas[place])
                minima = self._minimize(masks[one], thetas[one], own)
                thetas[one], norms[one] = minima.thetas, minima.gradient_norms
                if float(norms[place]) <= self.gradient_tolerance:
                    break
            else:
                raise EvaluationError(
                    f"{self.what}: training on {names[place]} ended with a gradient of norm "
                    f"{float(norms[place]):.3g}, expected {self.gradient_tolerance:g} at most; is "
                    "the loss smooth and convex in the outputs? Standardize inputs, raise "
                    "weight_decay, or raise gradient_tolerance"
                )
        return thetas

    def _minimize(self, masks: torch.Tensor, start: torch.Tensor, solve: Solve) -> Minima:
        weights = masks.double()  # [K, N]
        objective = StackedObjective(
            self.models,
            self.train,
            weights / self._divisor(weights.sum(dim=1, keepdim=True)),
            weight_decay=self.weight_decay,
        )
        return minimize(
            objective, start, solve, tolerance=self.gradient_tolerance, evaluations=EVALUATIONS
        )

    def _divisor(self, counts: torch.Tensor) -> torch.Tensor:
        """Return what sums of losses are divided by, of the shape of ``counts``."""
        whole = torch.full_like(counts, len(self.train))
        return counts if self.reduction == "mean" else whole

    def _solver(self, mask: torch.Tensor, theta: torch.Tensor) -> Solve:
        """Form and factorise the Hessian on a subset ``[N]`` at parameters ``[P]``."""
        inside = mask.nonzero()[:, 0].tolist()
        subset = self.train if len(inside) == len(self.train) else self.train.subset(inside)
        hessian = hessian_at(self.models, subset, theta, STAGE)  # [P, P]
        count = mask.sum().double()
        hessian *= count / self._divisor(count)
        hessian.diagonal().add_(self.weight_decay)
        factor = factorized(hessian, self.what)

        def solve(vectors: torch.Tensor) -> torch.Tensor:
            return torch.cholesky_solve(vectors.T, factor).T  # [A, P]

        return solve

    def _require_one_optimum(
        self, masks: torch.Tensor, thetas: torch.Tensor, names: Sequence[str]
    ) -> None:
        """Train from another start too: where there are more optima, that leads to another one."""
        drawn = torch.randn(
            thetas.shape[1], generator=generator(0, "evaluation.second-start"), dtype=torch.float64
        ).to(thetas.device)  # [P]
        size = 1 + thetas.abs().amax(dim=1, keepdim=True)  # [K, 1]
        again = self._finished(masks, thetas + size * drawn, names, self._at_whole)
        apart = (again - thetas).abs().amax(dim=1) / size[:, 0]  # [K]
        several = (apart > SAME_OPTIMUM).nonzero()[:, 0].tolist()
        if several:
            raise EvaluationError(
                f"{self.what}: training on {names[several[0]]} has more than one optimum (two "
                f"starts end {float(apart[several[0]]):.2g} apart), so that what it does to a query"
                " is not defined; train with weight_decay above 0, such as 1e-3"
            )
