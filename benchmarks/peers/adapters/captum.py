"""Captum 0.9.0: ``TracInCP`` with gradients of whole batches, and ``ArnoldiInfluenceFunction``."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from captum.influence import TracInCP
from captum.influence._core.arnoldi_influence_function import ArnoldiInfluenceFunction
from torch import nn

from benchmarks.peers import settings
from benchmarks.peers.clock import Clock
from benchmarks.peers.loaders import batch_loader
from benchmarks.peers.workloads import Workload

BATCH_SIZES = {"transformer": 64}
"""256 elsewhere."""

# That labels are handed over as they are trained with is not worth a warning.
warnings.filterwarnings("ignore", module="captum")


class SummedLoss(nn.Module):
    """The sum of the losses of a batch, as the gradients of whole batches ask for."""

    reduction = "sum"

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.workload = workload

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Sum the losses."""
        return self.workload.losses(outputs, targets).sum()


def load_nothing(*_: object) -> float:
    """Leave the model as it is: it is the checkpoint. Its learning rate is 1."""
    return 1.0


def options(workload: Workload) -> dict[str, Any]:
    """Give what both methods are told."""
    return {
        "model": workload.fresh_model(),
        "train_dataset": batch_loader(workload.train, BATCH_SIZES.get(workload.name, 256)),
        "checkpoints_load_func": load_nothing,
        "loss_fn": SummedLoss(workload),
        # Of the batch, in one backward pass. It is for linear layers and convolutions.
        "sample_wise_grads_per_batch": True,
        "layers": workload.kronecker_modules,
    }


def gradient_dot(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``TracInCP`` on one checkpoint."""
    with clock.stage("fit"):
        tracin = TracInCP(checkpoints=["trained"], **options(workload))
    with clock.stage("score"):
        return tracin.influence(workload.test).detach().numpy()  # [Q, N]


def arnoldi(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with ``ArnoldiInfluenceFunction``: twice as many steps as eigenvalues are kept.

    Its Hessian is of the summed loss, so the damping and its tolerances are those of the mean loss
    times N.
    """
    count = len(workload.train[0])
    with clock.stage("fit"):
        influence = ArnoldiInfluenceFunction(
            checkpoint="trained",
            projection_dim=settings.ARNOLDI_RANK,
            arnoldi_dim=2 * settings.ARNOLDI_RANK,
            hessian_reg=workload.damping * count,
            **options(workload),
        )
    with clock.stage("score"):
        return count * influence.influence(workload.test).detach().numpy()  # [Q, N]


METHODS = {"gradient-dot": gradient_dot, "arnoldi": arnoldi}
