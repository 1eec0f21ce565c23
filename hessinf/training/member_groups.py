"""Training the members of a chunk: together those whose epochs have as many steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from hessinf.data import Dataset
from hessinf.data.batching import Batch, Batches
from hessinf.models.objective import Objective
from hessinf.runtime import progress, randomness
from hessinf.training import module_state
from hessinf.training.batch_order import steps_of_an_epoch
from hessinf.training.errors import ObstacleError, TrainingError
from hessinf.training.measuring import Networks
from hessinf.training.member import Member, name_of
from hessinf.training.record import TrainingRecord
from hessinf.training.separate_networks import SeparateNetworks
from hessinf.training.stackable import (
    Probe,
    compare,
    module_obstacle,
    optimizer_obstacle,
    probe,
    size_obstacle,
)
from hessinf.training.stacked_models import StackedModels
from hessinf.training.stacked_networks import StackedNetworks
from hessinf.training.trainer import Trainer

logger = logging.getLogger(__name__)

Trained = tuple[Networks, list[TrainingRecord]]


@dataclass
class MemberTraining:
    """How members are trained, and on what.

    Parameters
    ----------
    trainer, make_module, dataset, objective, members, device, validation
        As for :func:`hessinf.training.train_members`.
    shown
        The bar that counts epochs, one for each model.
    """

    trainer: Trainer
    make_module: Callable[[int], torch.nn.Module]
    dataset: Dataset
    objective: Objective
    members: Sequence[Member]
    device: torch.device
    validation: Dataset | None
    shown: progress.Bar
    _said: set[str] = field(init=False, default_factory=set)
    _whole: dict[torch.dtype, tuple[Batch | None, Batch | None]] = field(
        init=False, default_factory=dict
    )

    def train(
        self, places: Sequence[int]
    ) -> tuple[list[tuple[list[int], Networks]], list[TrainingRecord], str]:
        """Train some members.

        Parameters
        ----------
        places
            Which members.

        Returns
        -------
        tuple
            Networks, each with the rows (counted among ``places``) that they stand for; the
            record of every row; and why some were trained one after another, or nothing.
        """
        groups: dict[int, list[int]] = {}
        for row, place in enumerate(places):
            number = len(self._indices(place))
            groups.setdefault(steps_of_an_epoch(number, self.trainer.batch_size), []).append(row)
        networks: list[tuple[list[int], Networks]] = []
        records: dict[int, TrainingRecord] = {}
        reasons = []
        for rows in groups.values():
            group = [places[row] for row in rows]
            trained, reason = self._train_group(group)
            if reason:
                reasons.append(reason)
            networks.append((rows, trained[0]))
            records.update(zip(rows, trained[1], strict=True))
        return networks, [records[row] for row in range(len(places))], "; ".join(reasons)

    def obstacle(self, places: Sequence[int]) -> str:
        """Say why some members cannot be trained together; nothing where they can."""
        try:
            self._stacked(places)
        except ObstacleError as error:
            return str(error)
        return ""

    def _train_group(self, places: Sequence[int]) -> tuple[Trained, str]:
        if len(places) == 1:
            return self._separately(places), ""
        try:
            models = self._stacked(places)
        except ObstacleError as error:
            reason = str(error)
            if reason not in self._said:
                self._said.add(reason)
                logger.warning("models are trained one after another: %s", reason)
            return self._separately(places), reason
        noise = randomness.derive_seed(0, "trainer.noise")  # nothing draws from it
        with module_state.random_numbers_from(noise, self.device):
            records = self.trainer.train(models, self.shown)
        self._count_the_rest(records)
        return (models.networks, records), ""

    def _separately(self, places: Sequence[int]) -> Trained:
        modules, records = [], []
        for place in places:
            member = self.members[place]
            module = self.make_module(member.seed)
            try:
                record = self.trainer.fit(
                    module,
                    self.dataset.subset(self._indices(place)),
                    self.objective,
                    seed=member.seed,
                    validation=self.validation,
                    device=self.device,
                    bar=self.shown,
                )
            except TrainingError as error:
                raise TrainingError(f"{name_of(place, member)}{error}") from error
            self._count_the_rest([record])
            modules.append(module)
            records.append(record)
        return SeparateNetworks(modules), records

    def _count_the_rest(self, records: Sequence[TrainingRecord]) -> None:
        """Count epochs that were not needed as done."""
        self.shown.update(sum(self.trainer.epochs - record.epochs for record in records))

    def _stacked(self, places: Sequence[int]) -> StackedModels:
        """Make models that are trained together.

        Raises
        ------
        ObstacleError
            Where that cannot be done.
        """
        _check(optimizer_obstacle(self.trainer.optimizer))
        indices = [self._indices(place) for place in places]
        probes: list[Probe] = []

        def modules() -> Iterator[torch.nn.Module]:
            for row, place in enumerate(places):
                module = self.make_module(self.members[place].seed).to(self.device)
                if row == 0:
                    _check(module_obstacle(module) or size_obstacle(module, self.device))
                yield module  # it is copied before it is called
                whole, _, shared = self._data(module_state.trained_parameters(module)[0].dtype)
                probes.append(
                    probe(
                        module,
                        self.objective,
                        whole.select(indices[row][: self.trainer.batch_size]),
                        shared,
                        with_gradients=row in (0, len(places) - 1),
                    )
                )

        noise = randomness.derive_seed(0, "trainer.noise")  # what drew from it is found out
        with module_state.random_numbers_from(noise, self.device):
            networks = StackedNetworks(modules(), len(places), self.device)
            whole, watched, shared = self._data(networks.dtype)
            models = StackedModels(
                networks,
                whole,
                indices,
                [name_of(place, self.members[place]) for place in places],
                [self.members[place].seed for place in places],
                self.objective,
                self.trainer.batch_size,
                self.trainer.weight_decay,
                watched,
            )
            compare(models, shared, probes)
        return models

    def _data(self, dtype: torch.dtype) -> tuple[Batch, Batch | None, Batch]:
        """Return all examples, the validation data, and a batch that all models can be shown."""
        if dtype not in self._whole:
            self._whole[dtype] = (
                self._side_by_side(self.dataset, dtype),
                None if self.validation is None else self._side_by_side(self.validation, dtype),
            )
        whole, watched = self._whole[dtype]
        if whole is None or (watched is None and self.validation is not None):
            raise ObstacleError(
                "the examples differ in shape, or are too many to be kept in memory at once"
            )
        return whole, watched, whole.select(slice(0, self.trainer.batch_size))

    def _side_by_side(self, dataset: Dataset, dtype: torch.dtype) -> Batch | None:
        return Batches(dataset, self.trainer.batch_size, self.device, dtype).whole

    def _indices(self, place: int) -> torch.Tensor:
        """Return the examples of a member, ``[n]``, or refuse them."""
        member = self.members[place]
        given = member.indices
        indices = torch.as_tensor(given if hasattr(given, "__array__") else list(given))  # [n]
        if not indices.numel():
            raise TrainingError(f"{name_of(place, member)}there are no examples to train on")
        if indices.dim() != 1 or indices.dtype in (torch.bool, torch.float32, torch.float64):
            raise TrainingError(
                f"{name_of(place, member)}indices are {indices.dtype} {list(indices.shape)}, "
                "expected a list of whole numbers, the places of examples"
            )
        least, most = int(indices.min()), int(indices.max())
        if least < 0 or most >= len(self.dataset):
            raise TrainingError(
                f"{name_of(place, member)}index {least if least < 0 else most} is outside a data "
                f"set of {len(self.dataset)} examples"
            )
        return indices.long()


def _check(obstacle: str) -> None:
    if obstacle:
        raise ObstacleError(obstacle)
