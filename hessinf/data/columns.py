"""A data set kept as whole tensors: one for the inputs, one for the targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from hessinf.data.errors import DataError
from hessinf.data.instance import Instance, InstanceSource
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


class Columns(InstanceSource):
    """Examples as columns: row ``i`` of every tensor belongs to example ``i``.

    Parameters
    ----------
    inputs
        A tensor ``[N, ...]``, or a dict of such tensors.
    targets
        A tensor ``[N]`` of classes, or ``[N, ...]``.
    ids
        N strings; ``"0"``, ``"1"``, ... when left out.
    displays
        N dicts for people; empty when left out.

    Raises
    ------
    DataError
        When the lengths differ.
    """

    def __init__(
        self,
        inputs: torch.Tensor | dict[str, torch.Tensor],
        targets: torch.Tensor,
        ids: Sequence[str] | None = None,
        displays: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        self.inputs = inputs
        self.targets = targets
        self._ids = tuple(map(str, range(len(targets)))) if ids is None else tuple(ids)
        self.displays = None if displays is None else tuple(displays)
        self._check_lengths()

    def _check_lengths(self) -> None:
        inputs = self.inputs if isinstance(self.inputs, dict) else {"": self.inputs}
        lengths = {f"inputs[{key!r}]" if key else "inputs": len(x) for key, x in inputs.items()}
        lengths |= {"targets": len(self.targets), "ids": len(self.ids)}
        if self.displays is not None:
            lengths["displays"] = len(self.displays)
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{length} {name}" for name, length in lengths.items())
            raise DataError(f"a data set needs as many of each, found {found}")

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each example."""
        return self._ids

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Instance: ...
    @overload
    def __getitem__(self, index: slice) -> Columns: ...
    def __getitem__(self, index: int | slice) -> Instance | Columns:
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        display = {} if self.displays is None else self.displays[index]
        inputs = self.inputs
        row = (
            {k: x[index] for k, x in inputs.items()} if isinstance(inputs, dict) else inputs[index]
        )
        return Instance(row, self.targets[index], self.ids[index], display)

    def select(self, indices: Sequence[int]) -> Columns:
        """Keep the rows at ``indices``, in that order."""
        rows: torch.Tensor | slice
        if isinstance(indices, range) and indices.step == 1:
            rows = slice(indices.start, indices.stop)  # views
        else:
            rows = torch.as_tensor(list(indices), dtype=torch.int64)  # [n]
        inputs = self.inputs
        return Columns(
            {key: x[rows] for key, x in inputs.items()}
            if isinstance(inputs, dict)
            else inputs[rows],
            self.targets[rows],
            [self.ids[index] for index in indices],
            None if self.displays is None else [self.displays[index] for index in indices],
        )
