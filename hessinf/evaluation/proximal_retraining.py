r"""The questions between "train again without an example" and "influence".

Bae, Ng, Lo, Ghassemi & Grosse (2022) put four models between a retrained one and influence. Let
``F(θ) = 1/N Σ_j ℓ_j(θ) + ½ wd ‖θ‖²`` be the training objective, ``θ_s`` the model that is explained
(at a minimum of F or not), and ``ε (ℓ_i − c ℓ̄)``, with ``ℓ̄`` the mean over all N losses, what
leaving example i out takes away from F: ``ε = 1/(N−1), c = 1`` for a mean that is renormalised over
the rest ("mean"), ``ε = 1/N, c = 0`` otherwise. Then ``F_i = F − ε (ℓ_i − c ℓ̄)`` is the objective
without i, to the letter. From ``θ_s`` on:

1. warm start: train on ``F_i`` as the model was trained, but from ``θ_s`` on
   (:mod:`hessinf.evaluation.five_gaps`);
2. proximal: minimise ``F_i + ½ δ ‖θ − θ_s‖²``, δ being the damping;
3. Bregman (the proximal Bregman response function, PBRF): minimise
   ``1/N Σ_j D_j(θ) + ½ (wd + δ) ‖θ − θ_s‖² − ε (ℓ_i − c ℓ̄)`` with the divergences
   ``D_j(θ) = ℓ_j(θ) − ℓ_j(θ_s) − s_jᵀ (f_j(θ) − f_j(θ_s))``, ``s_j = ∂ℓ_j/∂f`` at ``θ_s``. They are
   zero at ``θ_s``, which is a minimum of everything but the last term, converged or not;
4. linear: outputs replaced by their tangent at ``θ_s``, ``D_j`` by its second order, ``ℓ_i`` and
   the query's loss by their first: ``∇m_qᵀ (G + (wd + δ) I)⁻¹ ε (g_i − c ḡ)``, damped Gauss-Newton
   influence, solved exactly.

1 to 3 have the same weights of losses, ``1/(N−1)`` or ``1/N`` for all but i, since
``1/N Σ ℓ_j − ε (ℓ_i − c ℓ̄)`` is their sum without i; 3 has the tangent of the mean loss taken off.

References
----------
Bae, Ng, Lo, Ghassemi & Grosse, If Influence Functions are the Answer, Then What is the Question?,
NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from hessinf.curvature.cholesky import factorize_in_place
from hessinf.curvature.dense import require_memory
from hessinf.curvature.gauss_newton_matrix import gauss_newton_blocks
from hessinf.curvature.gauss_newton_rows import GaussNewtonRows
from hessinf.data import Dataset
from hessinf.evaluation.convexity import moved
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.stacked_lbfgs import Minima, minimize
from hessinf.evaluation.stacked_objective import StackedModels, StackedObjective
from hessinf.gradients import FunctionalModel, PerExampleGradients
from hessinf.models import Measurement, Objective
from hessinf.scores.loss_change import TrainingReduction

EVALUATIONS = 100
"""How often an objective may be evaluated in one metric."""

METRICS = 30
"""How often the metric is formed anew on the way that all models share."""

MATRICES_HELD = 2.25
"""The Gauss-Newton matrix and its factor."""

Solve = Callable[[torch.Tensor], torch.Tensor]
"""Applies the inverse of a metric to rows ``[A, P]``."""

STAGE = "Gauss-Newton matrix"


@dataclass(frozen=True, eq=False)
class ProximalRetraining:
    """A model ``θ_s``, and what it becomes without each of some examples, in three ways.

    Parameters
    ----------
    module
        The trained network.
    train
        The training data, N examples.
    queries
        Q examples.
    objective
        The loss of an example.
    measurement
        What is measured of queries; its sign is turned where more is better.
    indices
        The examples that are left out, ``[n]``.
    weight_decay
        ``wd``.
    damping
        δ.
    reduction
        How losses add up.
    gradient_tolerance
        The 2-norm of the gradient at which a model is finished.
    device
        Where to compute.
    memory_limit
        GiB that models trained together may take.
    """

    module: torch.nn.Module
    train: Dataset
    queries: Dataset
    objective: Objective
    measurement: Measurement
    indices: torch.Tensor
    weight_decay: float
    damping: float
    reduction: TrainingReduction = "mean"
    gradient_tolerance: float = 1e-9
    device: str | torch.device = "cpu"
    memory_limit: float = 4.0

    @cached_property
    def models(self) -> StackedModels:
        """The network in float64."""
        model = FunctionalModel(self.module, device=self.device, dtype=torch.float64)
        return StackedModels(model, self.objective, self.memory_limit)

    @cached_property
    def origin(self) -> torch.Tensor:
        """``θ_s``, ``[P]``."""
        return self.models.model.layout.flatten(self.models.model.parameters)

    def values(self, thetas: torch.Tensor) -> torch.Tensor:
        """Measure queries at parameters ``[n, P]``: ``[n, Q]``, less is better."""
        with self.models.model.evaluating():
            return self.models.values(thetas, self.queries, self.measurement)

    def proximal(self) -> Minima:
        """Minimise the objective with the proximity term: first with all examples, then without.

        A model that was not trained to its minimum moves far, and all of them about as far: the
        way that they share is gone once, in ever new metrics.
        """
        count = len(self.train)
        whole = self._objective(
            torch.full((1, count), 1 / count, dtype=torch.float64, device=self.origin.device),
            tangent=None,
        )
        theta, solve = self.origin[None], self.solve  # [1, P]
        for _ in range(METRICS):
            minimum = minimize(
                whole,
                theta,
                solve,
                tolerance=self.gradient_tolerance,
                evaluations=EVALUATIONS,
            )
            theta = minimum.thetas
            solve = self._solver(theta[0])
            if float(minimum.gradient_norms[0]) <= self.gradient_tolerance:
                break
        return self._minimize(theta, solve, tangent=None)

    def bregman(self) -> Minima:
        """Find the proximal Bregman responses.

        Raises
        ------
        EvaluationError
            When the gradient of one stays above the tolerance; it names the example.
        """
        minima = self._minimize(
            self.origin[None], self.solve, [slopes / len(self.train) for slopes in self.tangent]
        )
        unfinished = (~(minima.gradient_norms <= self.gradient_tolerance)).nonzero()[:, 0]
        if len(unfinished):
            place = int(unfinished[0])
            raise EvaluationError(
                f"the proximal Bregman response without training example {int(self.indices[place])}"
                f" ended with a gradient of norm {float(minima.gradient_norms[place]):.3g}, "
                f"expected {self.gradient_tolerance:g} at most; raise damping ({self.damping:g} "
                "now), which keeps it near the model"
            )
        return minima

    def linear(self) -> torch.Tensor:
        """Return damped Gauss-Newton influence as loss changes, ``[n, Q]``."""
        model = self.models.model
        sign = -1.0 if self.measurement.higher_is_better else 1.0

        def measured(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return sign * self.measurement.values(outputs, targets, self.objective)

        with model.evaluating():
            losses = PerExampleGradients(model, self.objective.losses, "training loss")
            own = self._gradients(losses, self.train.subset(self.indices.tolist()))  # [n, P]
            if self.reduction == "mean":
                total = sum(
                    losses(batch)[0].flatten().sum(dim=0)
                    for batch in self.models.batches(self.train).sized(256)
                )
                own = (own - total / len(self.train)) / (len(self.train) - 1)
            else:
                own = own / len(self.train)
            queries = self._gradients(
                PerExampleGradients(model, measured, "measurement"), self.queries
            )  # [Q, P]
        return self.solve(own) @ queries.T

    @cached_property
    def tangent(self) -> list[torch.Tensor]:
        """``s``: derivatives of training losses in outputs, ``[B, ...]`` for each batch."""
        model, found = self.models.model, []
        with model.evaluating():
            for batch in self.models.batches(self.train):
                with torch.no_grad():
                    outputs = model.outputs(model.parameters, batch.inputs)  # [B, ...]
                variable = outputs.requires_grad_()
                with torch.enable_grad():
                    total = self.objective.losses(variable, batch.targets).sum()
                    found.append(torch.autograd.grad(total, variable)[0])
        return found

    @cached_property
    def solve(self) -> Solve:
        """Applies ``(G + (wd + δ) I)⁻¹`` at ``θ_s`` to rows ``[A, P]``."""
        return self._solver(self.origin)

    def _solver(self, theta: torch.Tensor) -> Solve:
        """Form and factorise the Gauss-Newton matrix at parameters ``[P]``."""
        model = moved(self.models.model, theta)
        size = model.layout.size
        require_memory({STAGE: size}, self.memory_limit, MATRICES_HELD)
        numbers = int(self.memory_limit * 2**30 / 4 / 8)
        with model.evaluating():
            matrix = gauss_newton_blocks(
                GaussNewtonRows(model, self.objective, numbers),
                self.models.batches(self.train),
                {STAGE: slice(0, size)},
                weight_decay=self.weight_decay + self.damping,
                total=len(self.train),
                stage=STAGE,
            )[STAGE]  # [P, P]
        if not factorize_in_place(matrix):
            raise EvaluationError(
                f'"five-gaps": the Gauss-Newton matrix of {size} parameters with weight decay '
                f"{self.weight_decay:g} and damping {self.damping:g} is not positive definite; "
                "raise damping"
            )
        factor = matrix.tril()

        def solve(vectors: torch.Tensor) -> torch.Tensor:
            return torch.cholesky_solve(vectors.T, factor).T  # [A, P]

        return solve

    def _gradients(self, gradients: PerExampleGradients, dataset: Dataset) -> torch.Tensor:
        parts = [gradients(batch)[0].flatten() for batch in self.models.batches(dataset).sized(256)]
        return torch.cat(parts)  # [n, P]

    def _minimize(
        self, start: torch.Tensor, solve: Solve, tangent: list[torch.Tensor] | None
    ) -> Minima:
        """Minimise without each example, from ``[1, P]`` on."""
        count = len(self.train)
        each = 1 / (count - 1) if self.reduction == "mean" else 1 / count
        indices = self.indices.to(start.device)
        weights = torch.full((len(indices), count), each, dtype=start.dtype, device=start.device)
        weights[torch.arange(len(indices)), indices] = 0.0  # [n, N]
        with self.models.model.evaluating():
            return minimize(
                self._objective(weights, tangent),
                start.expand(len(indices), -1),
                solve,
                tolerance=self.gradient_tolerance,
                evaluations=EVALUATIONS,
            )

    def _objective(
        self, weights: torch.Tensor, tangent: list[torch.Tensor] | None
    ) -> StackedObjective:
        """Make the objective with proximity; that of divergences where a tangent is given."""
        as_divergence = tangent is not None
        return StackedObjective(
            self.models,
            self.train,
            weights,
            weight_decay=0.0 if as_divergence else self.weight_decay,
            proximity=self.damping + (self.weight_decay if as_divergence else 0.0),
            origin=self.origin,
            tangent=tangent,
        )
