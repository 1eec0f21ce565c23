"""Kronfluence 1.0.1: ``Analyzer`` with the strategies "ekfac", "kfac" and "identity".

Factors in single precision and eigendecompositions in double, its default; no mixed precision. All
queries are held at once, so that the training data is gone through once. Labels are drawn from the
model for the factors, one an example.
"""

from __future__ import annotations

import functools
import logging
import tempfile

import numpy as np
import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.task import Task
from kronfluence.utils.common.factor_arguments import default_factor_arguments
from kronfluence.utils.common.score_arguments import default_score_arguments
from kronfluence.utils.dataset import DataLoaderKwargs
from torch import nn

from benchmarks.peers.clock import Clock
from benchmarks.peers.loaders import WholeBatches, whole
from benchmarks.peers.workloads import Workload

Batch = tuple[torch.Tensor, torch.Tensor]

FIT_BATCH_SIZES = {"transformer": 32}
SCORE_BATCH_SIZES = {"transformer": 64}
"""512 elsewhere."""


class LossTask(Task):
    """Tells Kronfluence the losses of a workload, and which modules to cover."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload

    def compute_train_loss(
        self, batch: Batch, model: nn.Module, sample: bool = False
    ) -> torch.Tensor:
        """Sum the losses of a batch, for its own labels or drawn ones."""
        inputs, targets = batch
        outputs = model(inputs)
        if sample:
            targets = self.drawn(outputs.detach())
        return self.workload.losses(outputs, targets).sum()

    def drawn(self, outputs: torch.Tensor) -> torch.Tensor:
        """Draw targets from what the model predicts."""
        if self.workload.task == "regression":
            # exp(-squared difference) is a normal distribution of variance 1/2.
            return outputs + torch.randn_like(outputs) * 0.5**0.5
        probabilities = outputs.softmax(dim=-1).flatten(0, -2)  # [B·S, C]
        return torch.multinomial(probabilities, 1).view(outputs.shape[:-1])

    def compute_measurement(self, batch: Batch, model: nn.Module) -> torch.Tensor:
        """Sum the losses of queries."""
        inputs, targets = batch
        return self.workload.losses(model(inputs), targets).sum()

    def get_influence_tracked_modules(self) -> list[str]:
        """Name the linear layers and convolutions."""
        return self.workload.kronecker_modules


def scores(workload: Workload, clock: Clock, strategy: str) -> np.ndarray:
    """Fit all factors of a strategy, and score: ``[Q, N]``."""
    logging.getLogger().setLevel(logging.ERROR)
    train, test = WholeBatches(*workload.train), WholeBatches(*workload.test)
    loading = DataLoaderKwargs(collate_fn=whole)
    with tempfile.TemporaryDirectory() as folder:
        with clock.stage("fit"):
            task = LossTask(workload)
            analyzer = Analyzer(
                "analysis",
                prepare_model(workload.fresh_model(), task),
                task,
                cpu=True,
                disable_tqdm=True,
                output_dir=folder,
            )
            analyzer.set_dataloader_kwargs(loading)
            analyzer.fit_all_factors(
                "factors",
                train,
                per_device_batch_size=FIT_BATCH_SIZES.get(workload.name, 256),
                factor_args=default_factor_arguments(strategy),
            )
        with clock.stage("score"):
            analyzer.compute_pairwise_scores(
                "scores",
                "factors",
                query_dataset=test,
                train_dataset=train,
                per_device_query_batch_size=len(test),
                per_device_train_batch_size=SCORE_BATCH_SIZES.get(workload.name, 256),
                score_args=default_score_arguments(damping_factor=workload.damping),
            )
            return analyzer.load_pairwise_scores("scores")["all_modules"].numpy()  # [Q, N]


METHODS = {
    "ekfac": functools.partial(scores, strategy="ekfac"),
    "kfac": functools.partial(scores, strategy="kfac"),
    # No curvature; the linear layers and convolutions alone.
    "gradient-dot": functools.partial(scores, strategy="identity"),
}
