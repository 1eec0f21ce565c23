"""dattri 0.3.0's attributors.

``TracInAttributor``, ``IFAttributorEKFAC``, ``IFAttributorExplicit``, ``IFAttributorCG``,
``IFAttributorLiSSA``, ``IFAttributorArnoldi`` and ``TRAKAttributor``.

``attribute`` goes through all queries, solves included, again for each batch of training examples,
and its documentation asks for the training data as one batch: so it is, where the gradients
``[N, P]`` are not beyond 2 GB.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from dattri.algorithm.influence_function import (
    IFAttributorArnoldi,
    IFAttributorCG,
    IFAttributorEKFAC,
    IFAttributorExplicit,
    IFAttributorLiSSA,
)
from dattri.algorithm.tracin import TracInAttributor
from dattri.algorithm.trak import TRAKAttributor
from dattri.task import AttributionTask
from torch import nn
from torch.func import functional_call

from benchmarks.peers import settings
from benchmarks.peers.clock import Clock
from benchmarks.peers.loaders import Arrays, example_loader
from benchmarks.peers.workloads import Workload

FIT_BATCH_SIZE = 128
GRADIENT_BYTES = 2e9

Data = tuple[torch.Tensor, torch.Tensor]
Outputs = dict[str, torch.Tensor]

# That the training data is in order, and that bars are shown, needs no warning.
warnings.filterwarnings("ignore", module="dattri")


def make_task(workload: Workload, single: bool, function: Any = None) -> AttributionTask:
    """Tell dattri the loss of a workload.

    Parameters
    ----------
    single
        Whether the attributor hands over single examples without the dimension of the batch, as
        those of TracIn and TRAK do.
    function
        Of outputs and targets, in place of the mean loss.
    """
    model = workload.fresh_model()
    if function is None:
        function = mean_loss(workload)

    def loss(parameters: Outputs, data: Data) -> torch.Tensor:
        inputs, targets = data
        if single:
            inputs, targets = inputs[None], targets[None]
        return function(functional_call(model, parameters, (inputs,)), targets)

    return AttributionTask(loss_func=loss, model=model, checkpoints=model.state_dict())


def mean_loss(workload: Workload) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Give the mean of the losses of a batch."""
    return lambda outputs, targets: workload.losses(outputs, targets).mean()


def train_batch_size(workload: Workload) -> int:
    """Count the training examples whose gradients fit."""
    parameters = sum(parameter.numel() for parameter in workload.model.parameters())
    return min(len(workload.train[0]), int(GRADIENT_BYTES / (4 * parameters)))


def attributed(workload: Workload, clock: Clock, attributor: Any) -> np.ndarray:
    """Score all training examples: ``[Q, N]``."""
    with clock.stage("score"):
        by_example = attributor.attribute(
            example_loader(workload.train, train_batch_size(workload)),
            example_loader(workload.test, len(workload.test[0])),
        )  # [N, Q]
        return by_example.detach().T.numpy()


def everything(workload: Workload) -> Any:
    """Load the training data as one batch."""
    return example_loader(workload.train, len(workload.train[0]))


def gradient_dot(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``TracInAttributor`` on one checkpoint, its projection being the identity."""
    with clock.stage("fit"):
        attributor = TracInAttributor(
            task=make_task(workload, single=True),
            weight_list=torch.ones(1),
            normalized_grad=False,
            projector_kwargs={"proj_type": "identity"},
        )
    return attributed(workload, clock, attributor)


def drawn_labels(workload: Workload, model: nn.Module) -> Arrays:
    """Draw a label for each training example, as dattri's Fisher matrix is of given labels."""
    inputs, targets = workload.train
    if workload.task == "regression":
        with torch.no_grad():
            outputs = model(inputs)  # [N, T]
        return inputs, outputs + torch.randn_like(outputs) * 0.5**0.5
    with torch.no_grad():
        probabilities = torch.cat([model(batch) for batch in inputs.split(256)]).softmax(dim=-1)
    drawn = torch.multinomial(probabilities.flatten(0, -2), 1)  # [N·S, 1]
    return inputs, drawn.view(targets.shape)


def ekfac(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``IFAttributorEKFAC``: linear layers alone, so a part of the work on the cnn."""
    with clock.stage("fit"):
        task = make_task(workload, single=False)
        attributor = IFAttributorEKFAC(task=task, damping=workload.damping)
        attributor.cache(example_loader(drawn_labels(workload, task.model), FIT_BATCH_SIZE))
    return attributed(workload, clock, attributor)


def exact(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``IFAttributorExplicit``: the whole Hessian, which is formed while it scores."""
    with clock.stage("fit"):
        attributor = IFAttributorExplicit(
            task=make_task(workload, single=False), regularization=workload.damping
        )
        attributor.cache(everything(workload))
    return attributed(workload, clock, attributor)


def conjugate_gradient(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``IFAttributorCG``: a fixed number of steps on the Hessian, as it has no other."""
    with clock.stage("fit"):
        attributor = IFAttributorCG(
            task=make_task(workload, single=False),
            max_iter=settings.CONJUGATE_GRADIENT_STEPS,
            regularization=workload.damping,
        )
        attributor.cache(everything(workload))
    return attributed(workload, clock, attributor)


def lissa(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``IFAttributorLiSSA``: AllenNLP's recursion."""
    with clock.stage("fit"):
        attributor = IFAttributorLiSSA(
            task=make_task(workload, single=False),
            batch_size=settings.LISSA_BATCH_SIZE,
            recursion_depth=settings.lissa_steps(len(workload.train[0])),
            damping=settings.LISSA_DAMPING,
            scaling=settings.LISSA_SCALE,
        )
        attributor.cache(everything(workload))
    return attributed(workload, clock, attributor)


def arnoldi(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``IFAttributorArnoldi``: twice as many steps as eigenvalues are kept."""
    with clock.stage("fit"):
        attributor = IFAttributorArnoldi(
            task=make_task(workload, single=False),
            proj_dim=settings.ARNOLDI_RANK,
            max_iter=2 * settings.ARNOLDI_RANK,
            regularization=workload.damping,
        )
        attributor.cache(everything(workload))
    return attributed(workload, clock, attributor)


def margin(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Give log p − log(1 − p) of the target, of one example: what TRAK takes gradients of."""
    chosen = outputs[0].gather(0, targets)  # [1]
    others = outputs[0].scatter(0, targets, -torch.inf)  # [C]
    return chosen[0] - others.logsumexp(dim=0)


def trak(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``TRAKAttributor`` and a normal projection."""
    if workload.task != "classification":
        raise NotImplementedError("dattri's TRAK wants the probability of a class")
    with clock.stage("fit"):
        task = make_task(workload, single=True, function=margin)
        model = task.model

        def probability(parameters: Outputs, data: Data) -> torch.Tensor:
            inputs, target = data
            outputs = functional_call(model, parameters, (inputs[None],))  # [1, C]
            return outputs[0].softmax(dim=0).gather(0, target[None])[0]

        attributor = TRAKAttributor(
            task=task,
            correct_probability_func=probability,
            projector_kwargs={"proj_dim": settings.TRAK_DIMENSION},
        )
        # A projection is made anew for each batch.
        attributor.cache(example_loader(workload.train, train_batch_size(workload)))
    with clock.stage("score"):
        by_example = attributor.attribute(
            example_loader(workload.test, len(workload.test[0]))
        )  # [N, Q]
        return by_example.detach().T.numpy()


METHODS = {
    "gradient-dot": gradient_dot,
    "ekfac": ekfac,
    "exact": exact,
    "conjugate-gradient": conjugate_gradient,
    "lissa": lissa,
    "arnoldi": arnoldi,
    "trak": trak,
}
