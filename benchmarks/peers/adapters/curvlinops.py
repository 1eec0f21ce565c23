"""curvlinops 3.0.1's operators, inverted.

``KFACLinearOperator`` and ``EKFACLinearOperator`` by ``KFACInverseLinearOperator``, and
``GGNLinearOperator`` by ``CGInverseLinearOperator``.

It has curvature and no influence: gradients of single examples are torch.func's, as its authors
recommend, and its inverses are applied to those of all queries at once. Its own tests of
determinism are off, and it is told the number of examples, so that it makes no further passes.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from curvlinops import (
    CGInverseLinearOperator,
    EKFACLinearOperator,
    FisherType,
    GGNLinearOperator,
    KFACInverseLinearOperator,
    KFACLinearOperator,
)
from curvlinops.examples import IdentityLinearOperator
from torch import nn
from torch.func import functional_call, grad, vmap

from benchmarks.peers import settings
from benchmarks.peers.clock import Clock
from benchmarks.peers.loaders import Arrays, batch_loader
from benchmarks.peers.workloads import Workload

FIT_BATCH_SIZE = 256
SCORE_BATCH_SIZES = {"transformer": 32}
"""Each has its gradients in full, ``[B, P]``; 128 elsewhere."""


def per_example(workload: Workload, names: list[str], arrays: Arrays) -> list[torch.Tensor]:
    """Form the gradients of examples for some parameters: ``[B, *shape]`` each."""
    model = workload.model
    parameters = dict(model.named_parameters())
    chosen = {name: parameters[name].detach() for name in names}

    def loss(
        values: dict[str, torch.Tensor], inputs: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        outputs = functional_call(model, values, (inputs[None],))
        return workload.losses(outputs, target[None])[0]

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(chosen, *arrays)
    return [gradients[name] for name in names]


def scored(workload: Workload, clock: Clock, names: list[str], inverse: Any) -> np.ndarray:
    """Multiply the inverse with the gradients of all queries, then with the training ones."""
    inputs, targets = workload.train
    size = SCORE_BATCH_SIZES.get(workload.name, 128)
    with clock.stage("score"):
        queries = [
            values.movedim(0, -1) for values in per_example(workload, names, workload.test)
        ]  # [*shape, Q]
        with torch.no_grad():
            solved = inverse @ queries  # [*shape, Q]
        flat = torch.cat([values.flatten(end_dim=-2) for values in solved])  # [P, Q]
        rows = [
            torch.cat([values.flatten(1) for values in per_example(workload, names, batch)], 1)
            @ flat  # [B, Q]
            for batch in zip(inputs.split(size), targets.split(size), strict=True)
        ]
        return torch.cat(rows).detach().T.numpy()  # [Q, N]


def mean_loss(workload: Workload) -> nn.Module:
    """Give the loss as the class that curvlinops knows it by.

    The mean squared error is over entries too, of which the workload has one an example.
    """
    return nn.MSELoss() if workload.task == "regression" else nn.CrossEntropyLoss()


def kronecker(
    workload: Workload, clock: Clock, kind: type[KFACLinearOperator], fisher: FisherType
) -> np.ndarray:
    """Score with K-FAC or EK-FAC, weights and biases together, damped exactly."""
    names = workload.kronecker_parameters
    if workload.task == "language-model":
        # For K-FAC it would do; EK-FAC it refuses by itself.
        raise NotImplementedError("curvlinops' EK-FAC is for outputs [B, C] alone")
    with clock.stage("fit"):
        parameters = dict(workload.model.named_parameters())
        operator = kind(
            workload.model,
            mean_loss(workload),
            [parameters[name] for name in names],
            batch_loader(workload.train, FIT_BATCH_SIZE),
            check_deterministic=False,
            fisher_type=fisher,
            num_per_example_loss_terms=1,
            separate_weight_and_bias=False,
            num_data=len(workload.train[0]),
        )
        operator.compute_kronecker_factors()
        if isinstance(operator, EKFACLinearOperator):
            operator.compute_eigenvalue_correction()
        inverse = KFACInverseLinearOperator(
            operator, damping=workload.damping, use_exact_damping=True
        )
    return scored(workload, clock, names, inverse)


def conjugate_gradient(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with conjugate gradients on the Gauss-Newton matrix, all queries at once."""
    parameters = dict(workload.model.named_parameters())
    values = list(parameters.values())
    with clock.stage("fit"):
        operator = GGNLinearOperator(
            workload.model,
            mean_loss(workload),
            values,
            batch_loader(workload.train, len(workload.train[0])),
            check_deterministic=False,
            num_data=len(workload.train[0]),
        )
        identity = IdentityLinearOperator(
            [tuple(value.shape) for value in values], values[0].device, values[0].dtype
        )
        inverse = CGInverseLinearOperator(
            operator + workload.damping * identity,
            tolerance=settings.CONJUGATE_GRADIENT_TOLERANCE,
            max_iter=settings.CONJUGATE_GRADIENT_STEPS,
        )
    return scored(workload, clock, list(parameters), inverse)


METHODS = {
    "kfac": functools.partial(kronecker, kind=KFACLinearOperator, fisher=FisherType.MC),
    "ekfac": functools.partial(kronecker, kind=EKFACLinearOperator, fisher=FisherType.MC),
    "kfac-type-2": functools.partial(kronecker, kind=KFACLinearOperator, fisher=FisherType.TYPE2),
    "ekfac-type-2": functools.partial(kronecker, kind=EKFACLinearOperator, fisher=FisherType.TYPE2),
    "conjugate-gradient": conjugate_gradient,
}
