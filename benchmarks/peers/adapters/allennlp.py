"""A restatement of AllenNLP's ``SimpleInfluence`` in plain torch, without its text machinery.

AllenNLP itself is no longer maintained and does not install beside a current torch. What is
restated is what its documentation and its sources describe, loop by loop: the gradient of every
training example, one after the other, is kept as a list of tensors; for each query the recursion
``x ← v + (1 − damping)·x − Hx/scale`` runs over shuffled batches, each product by differentiating
twice; then the result is multiplied with the gradient of each training example in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from benchmarks.peers import settings
from benchmarks.peers.clock import Clock
from benchmarks.peers.workloads import Workload

Tensors = Sequence[torch.Tensor]


def shuffled_batches(workload: Workload) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Give batches without end, shuffled anew for every epoch."""
    inputs, targets = workload.train
    generator = torch.Generator().manual_seed(0)
    while True:
        order = torch.randperm(len(inputs), generator=generator)  # [N]
        for places in order.split(settings.LISSA_BATCH_SIZE):
            yield inputs[places], targets[places]


def gradients(
    workload: Workload, inputs: torch.Tensor, targets: torch.Tensor, parameters: Tensors
) -> Tensors:
    """Differentiate the loss of one example."""
    loss = workload.losses(workload.model(inputs[None]), targets[None]).mean()  # []
    return torch.autograd.grad(loss, parameters)


def hessian_product(loss: torch.Tensor, parameters: Tensors, vectors: Tensors) -> Tensors:
    """Multiply the Hessian of a loss with a vector, by differentiating twice."""
    first = torch.autograd.grad(loss, parameters, create_graph=True)
    return torch.autograd.grad(first, parameters, grad_outputs=vectors)


def flatten(tensors: Tensors) -> torch.Tensor:
    """Join tensors to one vector ``[P]``."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def inverse_product(
    workload: Workload,
    vectors: Tensors,
    parameters: Tensors,
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    steps: int,
) -> torch.Tensor:
    """Run the recursion for one query; the result is ``[P]``."""
    current = vectors
    for _ in range(steps):
        inputs, targets = next(batches)
        loss = workload.losses(workload.model(inputs), targets).mean()  # []
        products = hessian_product(loss, parameters, current)
        current = [
            vector + (1 - settings.LISSA_DAMPING) * value - product / settings.LISSA_SCALE
            for vector, value, product in zip(vectors, current, products, strict=True)
        ]
    return flatten(current) / settings.LISSA_SCALE


def lissa(workload: Workload, clock: Clock) -> np.ndarray:
    """Score queries one after the other, as AllenNLP does."""
    parameters = list(workload.model.parameters())
    with clock.stage("fit"):
        train = [
            gradients(workload, inputs, target, parameters)
            for inputs, target in zip(*workload.train, strict=True)
        ]
    steps = settings.lissa_steps(len(train))
    rows = []
    with clock.stage("score"):
        batches = shuffled_batches(workload)
        for inputs, target in zip(*workload.test, strict=True):
            vectors = gradients(workload, inputs, target, parameters)
            solved = inverse_product(workload, vectors, parameters, batches, steps)  # [P]
            rows.append([torch.dot(solved, flatten(each)).item() for each in train])
    return np.array(rows)  # [Q, N]


METHODS = {"lissa": lissa}
