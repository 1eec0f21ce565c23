"""Training many models on parts of one data set, as many at once as is possible."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import TYPE_CHECKING

from hessinf.models.objective import Objective
from hessinf.runtime import progress
from hessinf.runtime.lazy_import import lazy_import
from hessinf.training.member import Member
from hessinf.training.trained_members import TrainedMembers
from hessinf.training.trainer import Trainer

if TYPE_CHECKING:
    import torch

    from hessinf import data
    from hessinf.training import member_chunks, member_groups
else:
    torch = lazy_import("torch")
    data = lazy_import("hessinf.data")
    member_chunks = lazy_import("hessinf.training.member_chunks")
    member_groups = lazy_import("hessinf.training.member_groups")

__all__ = ["Member", "TrainedMembers", "batching_obstacle", "chunks_of", "train_members"]


def chunks_of(
    trainer: Trainer,
    make_module: Callable[[int], torch.nn.Module],
    dataset: data.Dataset,
    objective: Objective,
    members: Sequence[Member],
    *,
    memory_limit: float = 4.0,
) -> list[range]:
    """Say which members are trained together: the same arguments give the same chunks.

    Neither the device nor what is finished already counts, so that a run that is taken up again
    gives the same numbers.

    Parameters
    ----------
    trainer, make_module, dataset, objective, members
        As for :func:`train_members`.
    memory_limit
        GiB that a chunk may take.

    Returns
    -------
    list of range
        The places of the members of every chunk.
    """
    size = member_chunks.members_at_once(
        trainer, make_module, data.as_dataset(dataset), objective, members, memory_limit
    )
    number = -(-len(members) // size)
    # Chunks are of equal size, as far as they can be.
    return [
        range(len(members) * chunk // number, len(members) * (chunk + 1) // number)
        for chunk in range(number)
    ]


def batching_obstacle(
    trainer: Trainer,
    make_module: Callable[[int], torch.nn.Module],
    dataset: data.Dataset,
    objective: Objective,
    *,
    device: str | torch.device,
    validation: data.Dataset | None = None,
) -> str:
    """Say why :func:`train_members` would train models one after another; nothing if together.

    It is tried with two models and a batch of each; nothing is trained.

    Parameters
    ----------
    trainer, make_module, dataset, objective, device, validation
        As for :func:`train_members`.
    """
    dataset = data.as_dataset(dataset)
    members = [Member(range(len(dataset)), seed) for seed in range(2)]
    with progress.bar(stage="trying to train together", total=None, unit="models") as shown:
        return member_groups.MemberTraining(
            trainer,
            make_module,
            dataset,
            objective,
            members,
            torch.device(device),
            None if validation is None else data.as_dataset(validation),
            shown,
        ).obstacle(range(len(members)))


def train_members(
    trainer: Trainer,
    make_module: Callable[[int], torch.nn.Module],
    dataset: data.Dataset,
    objective: Objective,
    members: Sequence[Member],
    *,
    device: str | torch.device,
    memory_limit: float = 4.0,
    validation: data.Dataset | None = None,
    finished: Container[int] = (),
    stage: str = "retraining",
) -> Iterator[TrainedMembers]:
    """Train many models, chunk by chunk, those of a chunk as one batched program.

    Each becomes, up to rounding, the model of ``trainer.fit(make_module(member.seed),
    dataset.subset(member.indices), objective, seed=member.seed)``. Models that cannot be batched
    are trained one after another, which is logged, and told by :attr:`TrainedMembers.reason`:
    where dropout or batch normalization is active, where the optimizer looks at more than single
    entries, where examples differ in shape, wherever a first step of all models together fails or
    gives something else than each model alone, and where models are so large that a CPU gains
    nothing.

    Parameters
    ----------
    trainer
        How they are trained.
    make_module
        Makes an untrained network from a seed, on the CPU.
    dataset
        What members are trained on parts of.
    objective
        The loss of an example.
    members
        Which models.
    device
        Where to train.
    memory_limit
        GiB that models trained together may take.
    validation
        Data that early stopping watches.
    finished
        The numbers of chunks that are left out.
    stage
        What the progress bar is called.

    Yields
    ------
    TrainedMembers
        Of one chunk.

    Raises
    ------
    TrainingError
        When a member cannot be trained: it is named.
    """
    dataset = data.as_dataset(dataset)
    chunks = chunks_of(trainer, make_module, dataset, objective, members, memory_limit=memory_limit)
    wanted = [chunk for chunk in range(len(chunks)) if chunk not in finished]
    total = sum(len(chunks[chunk]) for chunk in wanted) * trainer.epochs
    with progress.bar(stage=stage, total=total, unit="epochs") as shown:
        training = member_groups.MemberTraining(
            trainer,
            make_module,
            dataset,
            objective,
            members,
            torch.device(device),
            None if validation is None else data.as_dataset(validation),
            shown,
        )
        for chunk in wanted:
            places = chunks[chunk]
            networks, records, reason = training.train(places)
            yield TrainedMembers(
                chunk, places.start, [members[place] for place in places], records, networks, reason
            )
