"""Further models to be attributed: the same recipe, other seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.evaluation.problem import ScoreModel
from hessinf.models import load_archive, save_archive
from hessinf.runtime.randomness import derive_seed
from hessinf.training import Member, train_members

if TYPE_CHECKING:
    import torch

    from hessinf.data import Dataset
    from hessinf.models import Objective
    from hessinf.training import Trainer


def further_seeds(seed: int, count: int, purpose: str = "model") -> list[int]:
    """Derive the seeds of further models from the run's seed.

    Parameters
    ----------
    seed
        The run's seed, which is that of the first model.
    count
        How many further models there are.
    purpose
        What they are for.
    """
    return [derive_seed(seed, f"evaluation.{purpose}/{k}") for k in range(1, count + 1)]


def train_score_models(
    trainer: Trainer,
    make_module: Callable[[int], torch.nn.Module],
    train: Dataset,
    objective: Objective,
    seeds: Sequence[int],
    *,
    device: torch.device,
    memory_limit: float = 4.0,
    validation: Dataset | None = None,
    folder: Path | None = None,
    archive_config: Mapping[str, Any] | None = None,
    stage: str = "further models",
) -> tuple[ScoreModel, ...]:
    """Train models on all training data, one a seed, or load those that were kept.

    Parameters
    ----------
    trainer, make_module, train, objective, device, memory_limit, validation
        As for :func:`hessinf.training.train_members`.
    seeds
        One for each model.
    folder
        Where a model archive of each is kept, under its seed; None keeps none.
    archive_config
        What archives say of how the module is built.
    stage
        What the progress bar is called.
    """
    archives = {seed: folder / str(seed) for seed in seeds} if folder is not None else {}
    if archives and all((archive / "config.json").exists() for archive in archives.values()):
        return tuple(_loaded(archives[seed], make_module(seed), seed) for seed in seeds)
    everything = range(len(train))
    models = []
    # All of them anew, also where some are there: together they are other sums than alone.
    for trained in train_members(
        trainer,
        make_module,
        train,
        objective,
        [Member(everything, seed) for seed in seeds],
        device=device,
        memory_limit=memory_limit,
        validation=validation,
        stage=stage,
    ):
        for place, (member, record) in enumerate(
            zip(trained.members, trained.records, strict=True)
        ):
            models.append(ScoreModel(trained.module(place), record.to_json(), member.seed))
    for model in models:
        if archives:
            save_archive(
                archives[model.seed],
                config=dict(archive_config or {}),
                module=model.module,
                training=model.training,
            )
    if archives:
        # What a resumed run has: modules that were read.
        return tuple(_loaded(archives[seed], make_module(seed), seed) for seed in seeds)
    return tuple(models)


def _loaded(archive: Path, module: torch.nn.Module, seed: int) -> ScoreModel:
    loaded = load_archive(archive, module=module)
    return ScoreModel(loaded.module, loaded.training, seed)
