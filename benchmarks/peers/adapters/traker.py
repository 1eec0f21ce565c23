"""traker 0.3.2: ``TRAKer`` with its task for classification of images, in single precision.

Its projection is drawn anew for each batch, so that batches are as large as memory allows; those
for graphics cards are another package's and not here.
"""

from __future__ import annotations

import logging
import tempfile

import numpy as np
from trak import TRAKer

from benchmarks.peers import settings
from benchmarks.peers.clock import Clock
from benchmarks.peers.workloads import Workload

GRADIENT_BYTES = 1e9


def trak(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with TRAK on one checkpoint: gradients of margins, projected."""
    if workload.task != "classification":
        raise NotImplementedError("TRAKer's tasks that are measured here are of classes")
    inputs, targets = workload.train
    count = len(inputs)
    parameters = sum(parameter.numel() for parameter in workload.model.parameters())
    size = min(count, int(GRADIENT_BYTES / (4 * parameters)))
    state = workload.model.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        with clock.stage("fit"):
            traker = TRAKer(
                model=workload.fresh_model(),
                task="image_classification",
                train_set_size=count,
                save_dir=folder,
                load_from_save_dir=True,
                device="cpu",
                proj_dim=settings.TRAK_DIMENSION,
                use_half_precision=False,
                logging_level=logging.ERROR,
            )
            traker.load_checkpoint(state, model_id=0)
            for batch in zip(inputs.split(size), targets.split(size), strict=True):
                traker.featurize(batch=batch, num_samples=len(batch[0]))
            traker.finalize_features()
        with clock.stage("score"):
            queries = len(workload.test[0])
            traker.start_scoring_checkpoint("queries", state, model_id=0, num_targets=queries)
            traker.score(batch=workload.test, num_samples=queries)
            # It maps a file that goes with the folder.
            return np.array(traker.finalize_scores("queries")).T  # [Q, N]


METHODS = {"trak": trak}
