"""pyDVL 0.10.0's scores.

``EkfacInfluence``, ``DirectInfluence``, ``LissaInfluence``, ``CgInfluence``, ``ArnoldiInfluence``
and ``NystroemSketchInfluence`` of ``pydvl.influence.torch``: ``influence_factors`` of all queries
come first, then ``influences_from_factors`` of batches of training examples, so that no solve is
repeated. What pyDVL calls Gauss-Newton is the second moment of gradients, so there is no "ggn"
here; it has no inner products of gradients without a curvature.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from pydvl.influence.torch import (
    ArnoldiInfluence,
    CgInfluence,
    DirectInfluence,
    EkfacInfluence,
    LissaInfluence,
    NystroemSketchInfluence,
)
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peers import settings
from benchmarks.peers.clock import Clock
from benchmarks.peers.loaders import Arrays, batch_loader
from benchmarks.peers.workloads import Workload

FIT_BATCH_SIZE = 256
SCORE_BATCH_SIZE = 128
EKFAC_BATCH_SIZES = {"transformer": 4}
"""32 elsewhere; its gradients take a backward pass of the whole batch for each example of it."""

# A warning at the end of a fixed number of steps is expected.
logging.getLogger("pydvl").setLevel(logging.ERROR)


class ClassesFirst(nn.Module):
    """Puts the classes of a language model where ``torch.nn.functional.cross_entropy`` wants them.

    pyDVL's EK-FAC takes its probabilities over dimension 1.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map ``[B, S]`` to ``[B, V, S]``."""
        return self.model(tokens).transpose(1, 2)


def mean_loss(workload: Workload) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Give the mean of the losses of a batch."""
    return lambda outputs, targets: workload.losses(outputs, targets).mean()


def scored(
    workload: Workload, clock: Clock, influence: Any, batch_size: int, query_batch_size: int
) -> np.ndarray:
    """Solve for the queries, then multiply with the training gradients: ``[Q, N]``.

    Gradients of a batch are formed in full, ``[B, P]``.
    """
    with clock.stage("score"):
        factors = torch.cat(
            [
                influence.influence_factors(*batch)
                for batch in in_batches(workload.test, query_batch_size)
            ]
        )  # [Q, P]
        columns = [
            influence.influences_from_factors(factors, *batch)  # [Q, B]
            for batch in in_batches(workload.train, batch_size)
        ]
        return torch.cat(columns, dim=1).detach().numpy()  # [Q, N]


def in_batches(arrays: Arrays, size: int) -> Iterator[Arrays]:
    """Split inputs and targets."""
    inputs, targets = arrays
    return zip(inputs.split(size), targets.split(size), strict=True)


def solved_together(workload: Workload, clock: Clock, influence: Any) -> np.ndarray:
    """Score with one solve for all queries."""
    return scored(workload, clock, influence, SCORE_BATCH_SIZE, len(workload.test[0]))


def kronecker(workload: Workload, clock: Clock, update_diagonal: bool) -> np.ndarray:
    """Score with ``EkfacInfluence``; without an updated diagonal it is K-FAC.

    Its Fisher has one term an example, of ``sum_c sqrt(p_c) log p_c``, rather than a drawn label.
    Several positions of an example count as so many examples.
    """
    if workload.task == "regression":
        raise NotImplementedError("pyDVL's EkfacInfluence is for cross entropy alone")
    with clock.stage("fit"):
        model = workload.fresh_model()
        covered = set(workload.kronecker_parameters)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in covered)
        if workload.task == "language-model":
            model = ClassesFirst(model)
        influence = EkfacInfluence(
            model, update_diagonal=update_diagonal, hessian_regularization=workload.damping
        )
        if workload.task == "language-model":
            influence.loss = functools.partial(nn.functional.cross_entropy, reduction="sum")
        influence.fit(batch_loader(workload.train, FIT_BATCH_SIZE))
    size = EKFAC_BATCH_SIZES.get(workload.name, 32)
    return scored(workload, clock, influence, size, size)


def exact(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``DirectInfluence``: the whole Hessian, solved."""
    with clock.stage("fit"):
        influence = DirectInfluence(
            workload.model, mean_loss(workload), regularization=workload.damping
        )
        influence.fit(batch_loader(workload.train, FIT_BATCH_SIZE))
    return solved_together(workload, clock, influence)


def lissa(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``LissaInfluence``: AllenNLP's recursion, with all queries at once."""
    with clock.stage("fit"):
        influence = LissaInfluence(
            workload.model,
            mean_loss(workload),
            maxiter=settings.lissa_steps(len(workload.train[0])),
            dampen=settings.LISSA_DAMPING,
            scale=settings.LISSA_SCALE,
            rtol=0.0,  # all steps
        )
        # It makes a loader of its own from this one's data set, with torch's collation.
        influence.fit(
            DataLoader(TensorDataset(*workload.train), batch_size=settings.LISSA_BATCH_SIZE)
        )
    return solved_together(workload, clock, influence)


def conjugate_gradient(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``CgInfluence``, all queries at once, on the Hessian."""
    with clock.stage("fit"):
        influence = CgInfluence(
            workload.model,
            mean_loss(workload),
            regularization=workload.damping,
            rtol=settings.CONJUGATE_GRADIENT_TOLERANCE,
            maxiter=settings.CONJUGATE_GRADIENT_STEPS,
            solve_simultaneously=True,
            warn_on_max_iteration=False,
        )
        influence.fit(batch_loader(workload.train, len(workload.train[0])))
    return solved_together(workload, clock, influence)


def arnoldi(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``ArnoldiInfluence``: the Hessian's eigenvalues of largest magnitude."""
    with clock.stage("fit"):
        influence = ArnoldiInfluence(
            workload.model,
            mean_loss(workload),
            regularization=workload.damping,
            rank=settings.ARNOLDI_RANK,
        )
        influence.fit(batch_loader(workload.train, len(workload.train[0])))
    return solved_together(workload, clock, influence)


def nystroem(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``NystroemSketchInfluence``: a sketch of the Hessian."""
    with clock.stage("fit"):
        influence = NystroemSketchInfluence(
            workload.model,
            mean_loss(workload),
            regularization=workload.damping,
            rank=settings.NYSTROEM_RANK,
        )
        influence.fit(batch_loader(workload.train, FIT_BATCH_SIZE))
    return solved_together(workload, clock, influence)


METHODS = {
    "ekfac": functools.partial(kronecker, update_diagonal=True),
    "kfac": functools.partial(kronecker, update_diagonal=False),
    "exact": exact,
    "lissa": lissa,
    "conjugate-gradient": conjugate_gradient,
    "arnoldi": arnoldi,
    "nystroem": nystroem,
}
