"""``TrainedMembers``: many trained models, to be asked for outputs and measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hessinf.runtime.lazy_import import lazy_import
from hessinf.training.member import Member
from hessinf.training.record import TrainingRecord

if TYPE_CHECKING:
    import numpy as np
    import torch

    from hessinf import data
    from hessinf.data import batching
    from hessinf.models import Measurement, Objective
    from hessinf.training import measuring
else:
    np = lazy_import("numpy")
    torch = lazy_import("torch")
    data = lazy_import("hessinf.data")
    batching = lazy_import("hessinf.data.batching")
    measuring = lazy_import("hessinf.training.measuring")

EVALUATED_AT_ONCE = 4096
"""Examples of all models together that go through the networks at once."""

LEAST_AT_ONCE = 32
"""Examples of each model, however many models there are."""


class TrainedMembers:
    """Some members, trained.

    Attributes
    ----------
    chunk
        Which chunk of all members they are.
    first
        The place of the first of them among all members; they stand one after the other.
    members
        The ``M`` members.
    records
        How each of them was trained. The seconds of members that were trained together are shared
        out evenly.
    reason
        Why some of them were trained one after another; empty where nothing was in the way of
        training them together.
    """

    def __init__(
        self,
        chunk: int,
        first: int,
        members: Sequence[Member],
        records: Sequence[TrainingRecord],
        networks: Sequence[tuple[Sequence[int], measuring.Networks]],
        reason: str,
    ) -> None:
        self.chunk = chunk
        self.first = first
        self.members = tuple(members)
        self.records = tuple(records)
        self.reason = reason
        self._networks = networks

    @property
    def batched(self) -> bool:
        """Whether they were trained as batched programs."""
        return not self.reason

    def module(self, place: int) -> torch.nn.Module:
        """Return a copy of a model, on the CPU, in evaluation mode.

        Parameters
        ----------
        place
            Which of these members, from 0 on.

        Raises
        ------
        IndexError
            When there is none.
        """
        if not 0 <= place < len(self.members):
            raise IndexError(f"there are {len(self.members)} members here, found place {place}")
        rows, networks = next(part for part in self._networks if place in part[0])
        return networks.make_module(rows.index(place)).eval()

    def outputs(self, dataset: data.Dataset) -> torch.Tensor:
        """Compute the outputs of every model, in evaluation mode.

        Parameters
        ----------
        dataset
            ``n`` examples.

        Returns
        -------
        torch.Tensor
            ``[M, n, ...]``, on the CPU.
        """
        return self._of_all(dataset, lambda networks, batch: networks.outputs_of_all(batch.inputs))

    def values(
        self,
        dataset: data.Dataset,
        objective: Objective,
        measurement: Measurement | None = None,
    ) -> np.ndarray:
        """Measure every example with every model, in evaluation mode.

        Parameters
        ----------
        dataset
            ``n`` examples.
        objective
            Says what outputs mean.
        measurement
            What is measured; the loss when None. Its sign is not turned.

        Returns
        -------
        numpy.ndarray
            ``[M, n]``, float64.
        """

        def measure(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            if measurement is None:
                return objective.losses(outputs, targets)
            return measurement.values(outputs, targets, objective)

        found = self._of_all(
            dataset, lambda networks, batch: measuring.measured(networks, batch, measure)
        )
        return found.double().numpy()

    def _of_all(
        self, dataset: data.Dataset, compute: Callable[[Any, Any], torch.Tensor]
    ) -> torch.Tensor:
        """Compute ``[M, n, ...]`` from batches, on the CPU, in the order of members."""
        with torch.no_grad():
            found = [
                torch.cat([compute(networks, batch).cpu() for batch in batches], dim=1)
                for networks, batches in self._batches(data.as_dataset(dataset))
            ]
        order = [row for rows, _ in self._networks for row in rows]  # [M]
        return torch.cat(found)[torch.tensor(order).argsort()]

    def _batches(self, dataset: data.Dataset) -> Iterator[tuple[Any, Any]]:
        """Yield networks and the batches that are read for them."""
        for _, networks in self._networks:
            size = max(EVALUATED_AT_ONCE // networks.number, LEAST_AT_ONCE)
            yield (
                networks,
                batching.Batches(dataset, size, networks.device, networks.dtype),
            )
