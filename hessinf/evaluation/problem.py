"""``Problem``: what attributions are judged on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hessinf.data import Dataset
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.truth_store import TruthStore
from hessinf.execution import Executor
from hessinf.models import Measurement, Objective
from hessinf.runtime.lazy_import import lazy_import
from hessinf.training import Trainer

if TYPE_CHECKING:
    import torch

    from hessinf.scores.loss_change import TrainingReduction
else:
    torch = lazy_import("torch")


@dataclass(frozen=True, eq=False)
class ScoreModel:
    """A trained model whose predictions are attributed.

    Parameters
    ----------
    module
        The network, trained, in evaluation mode, on the CPU.
    training
        The record of its training, as JSON; empty where nobody kept one.
    seed
        The seed of its initial weights and of the order of examples.
    """

    module: torch.nn.Module
    training: dict[str, Any]
    seed: int

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the names, types and values of all weights: what scores are kept by."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(raw.numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Problem:
    """Data, a recipe for models, and the models whose predictions are attributed.

    Parameters
    ----------
    train
        The training data, ``N`` examples.
    queries
        The test data, ``Q`` examples.
    objective, measurement
        The training loss, and what is attributed of a query.
    trainer
        How a model is trained; None where the config has none, so that nothing can be retrained.
    make_module
        Makes an untrained network from a seed of initial weights, on the CPU.
    models
        The models whose predictions are attributed, one or more; empty before they are trained.
    weight_decay
        The coefficient of ``½·wd·‖θ‖²`` that they were trained with.
    training_reduction
        How losses were added up in their training.
    recipe
        What decides a retrained model beside the data, as JSON: model, sizes, objective, trainer. A
        part of the key of every ground truth.
    store
        Where ground truth is kept.
    seed
        The run's seed.
    device
        Where to compute.
    memory_limit
        GiB that models trained together may take.
    executor
        Where methods work over shards of the training data; in this process when None.
    validation
        Data that early stopping watches when models are trained; None where the config has none.
    cannot_retrain
        Why models that this recipe makes anew would not be retrained; empty where they would.
    """

    train: Dataset
    queries: Dataset
    objective: Objective
    measurement: Measurement
    trainer: Trainer | None
    make_module: Callable[[int], torch.nn.Module]
    models: tuple[ScoreModel, ...]
    weight_decay: float
    training_reduction: TrainingReduction
    recipe: dict[str, Any]
    store: TruthStore
    seed: int
    device: torch.device
    memory_limit: float = 4.0
    executor: Executor | None = None
    validation: Dataset | None = None
    cannot_retrain: str = ""
    warnings: list[str] = field(default_factory=list)
    """What a person must know before believing a number; shown with the results."""

    def warn(self, sentence: str) -> None:
        """Say something that a person must know before believing a number, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def require_trainer(self, what: str) -> Trainer:
        """Return the trainer, or say why ``what`` needs one.

        Raises
        ------
        EvaluationError
            When the config has none, or models made anew would know the training data already.
        """
        if self.trainer is None:
            raise EvaluationError(
                f'{what} trains models again, and the config has no trainer: give one ("trainer": '
                "{...}) and an untrained model, not an archive"
            )
        if self.cannot_retrain:
            raise EvaluationError(f"{what} trains models again, and {self.cannot_retrain}")
        return self.trainer
