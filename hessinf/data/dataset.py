"""A data set: a sequence of instances that knows its classes, shapes and fingerprint."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from hessinf.data.columns import Columns
from hessinf.data.default_display import default_display, label_name
from hessinf.data.errors import DataError, quoted
from hessinf.data.instance import Instance, InstanceSource
from hessinf.display.numbers import counted
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data import checks, dataset_html, fingerprint, stacking
else:
    torch = lazy_import("torch")
    checks = lazy_import("hessinf.data.checks")
    dataset_html = lazy_import("hessinf.data.dataset_html")
    fingerprint = lazy_import("hessinf.data.fingerprint")
    stacking = lazy_import("hessinf.data.stacking")


class Dataset(Sequence[Instance]):
    """A sequence of instances with what is known about all of them.

    ``dataset[3]`` is an :class:`Instance`, ``dataset[3:9]`` a data set.

    Parameters
    ----------
    instances
        The examples. Sources that make instances when asked stay as they are.
    label_names
        The name of each class, in the order of the class numbers; None where classes have no names
        and for regressions.
    feature_names
        The name of each number of a vector input, where they have names; where inputs are a dict
        with token numbers, the name of each of those: the vocabulary.
    name
        What messages call the data set.
    flipped
        The indices of examples whose label was changed on purpose; None where nobody did.
    """

    def __init__(
        self,
        instances: Sequence[Instance],
        *,
        label_names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        name: str = "",
        flipped: Iterable[int] | None = None,
    ) -> None:
        kept = isinstance(instances, InstanceSource)
        self.instances: Sequence[Instance] = instances if kept else tuple(instances)
        self.label_names = None if label_names is None else tuple(label_names)
        self.feature_names = None if feature_names is None else tuple(feature_names)
        self.name = name
        self.flipped = None if flipped is None else tuple(flipped)

    @classmethod
    def from_columns(
        cls,
        inputs: torch.Tensor | dict[str, torch.Tensor],
        targets: torch.Tensor,
        *,
        ids: Sequence[str] | None = None,
        displays: Sequence[dict[str, Any]] | None = None,
        label_names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        name: str = "",
        flipped: Iterable[int] | None = None,
    ) -> Dataset:
        """Make a data set from whole tensors, the fast way.

        Parameters
        ----------
        inputs
            ``[N, ...]``, or a dict of such tensors.
        targets
            Integers ``[N]`` or ``[N, S]``, which become ``int64``; floating ``[N]``, which becomes
            ``[N, 1]``, or ``[N, T]``.
        ids
            N strings that stay the same however the data are split; ``"0"``, ``"1"``, ... when left
            out.
        displays
            N dicts for people; made from the numbers when left out.
        label_names, feature_names, name, flipped
            As for the class.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            When the lengths differ.
        """
        if not targets.is_floating_point():
            targets = targets.to(torch.int64)  # [N, ...]
        elif targets.ndim == 1:
            targets = targets[:, None]  # [N, 1]
        return cls(
            Columns(inputs, targets, ids, displays),
            label_names=label_names,
            feature_names=feature_names,
            name=name,
            flipped=flipped,
        )

    def __len__(self) -> int:
        return len(self.instances)

    @overload
    def __getitem__(self, index: int) -> Instance: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Instance | Dataset:
        if isinstance(index, slice):
            return self._selected(range(len(self))[index])
        return self._shown(self.instances[operator.index(index)])

    def __iter__(self) -> Iterator[Instance]:
        return (self._shown(instance) for instance in self.instances)

    def __repr__(self) -> str:
        kind = f", {self.num_classes} classes" if len(self) and self.is_classification else ""
        return f"<Dataset {self.name!r}: {len(self)} examples{kind}>"

    def _repr_html_(self) -> str:
        title = f"{self.name or 'data set'}: {counted(len(self), 'example')}"
        if len(self) and self.is_classification:
            title += f", {counted(self.num_classes or 0, 'class', 'classes')}"
        first = list(self[: dataset_html.FIRST])
        return dataset_html.dataset_html(first, title, len(self))

    def _shown(self, instance: Instance) -> Instance:
        if instance.display:
            return instance
        display = default_display(instance, self.label_names, self.feature_names)
        return replace(instance, display=display)

    def subset(self, indices: Iterable[int]) -> Dataset:
        """Keep the examples at ``indices``, in that order.

        Parameters
        ----------
        indices
            Places in this data set, as a list, range, array or tensor; negative ones count from the
            end.

        Returns
        -------
        Dataset
            With the same names; ``flipped`` counts in the new order.

        Raises
        ------
        DataError
            When an index is outside the data set, or a mask was given.
        """
        size = len(self)
        places = []
        for index in indices.tolist() if hasattr(indices, "tolist") else indices:
            if isinstance(index, bool):
                raise DataError("subset expects indices, found a mask of True and False")
            if not -size <= index < size:
                raise DataError(f"index {index} is outside a data set of {size} examples")
            places.append(operator.index(index) % size)
        return self._selected(places)

    def _selected(self, places: Sequence[int]) -> Dataset:
        """Keep the examples at places that exist, counted from 0."""
        instances = self.instances
        if isinstance(instances, InstanceSource):
            kept: Sequence[Instance] = instances.select(places)
        else:
            kept = [instances[place] for place in places]
        flipped = None
        if self.flipped is not None:
            was_flipped = set(self.flipped)
            flipped = [new for new, place in enumerate(places) if place in was_flipped]
        return self._with(kept, flipped)

    def relabelled(self, labels: Mapping[int, int]) -> Dataset:
        """Change the labels of some examples, and remember which.

        Parameters
        ----------
        labels
            The new class of each example to change, by its index.

        Returns
        -------
        Dataset
            Whose ``flipped`` are those indices, and where ``display["flipped_from"]`` names the
            label that each of them had.
        """
        changed = {}
        for index, label in labels.items():
            instance = self[index]
            display = {
                **instance.display,
                "label": label_name(label, self.label_names),
                "flipped_from": label_name(int(instance.target), self.label_names),
            }
            target = torch.full_like(instance.target, label)
            changed[index] = replace(instance, target=target, display=display)
        columns = self.columns
        if columns is None:
            kept: Sequence[Instance] = [changed.get(i, x) for i, x in enumerate(self.instances)]
        else:
            targets = columns.targets.clone()  # [N]
            displays = list(columns.displays or [{}] * len(self))
            for index, instance in changed.items():
                targets[index] = instance.target
                displays[index] = instance.display
            kept = Columns(columns.inputs, targets, columns.ids, displays)
        return self._with(kept, sorted(changed))

    def _with(self, instances: Sequence[Instance], flipped: Iterable[int] | None) -> Dataset:
        return Dataset(
            instances,
            label_names=self.label_names,
            feature_names=self.feature_names,
            name=self.name,
            flipped=flipped,
        )

    @property
    def columns(self) -> Columns | None:
        """The whole tensors behind the data set, where it was made from such; else None."""
        return self.instances if isinstance(self.instances, Columns) else None

    @cached_property
    def stacked(self) -> Columns | None:
        """All examples as whole tensors, where they are small enough and alike; else None.

        They are read once for it, and the tensors kept, however often all of them are looked at.
        """
        return stacking.stacked(self.instances) if self.columns is None else self.columns

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The id of each example."""
        if isinstance(self.instances, InstanceSource):
            return self.instances.ids
        return tuple(instance.id for instance in self.instances)

    @cached_property
    def targets(self) -> torch.Tensor:
        """All targets, ``[N, ...]``; a DataError where their shapes differ."""
        whole = vars(self).get("stacked") if self.columns is None else self.columns
        if whole is not None:
            return whole.targets
        self._first()
        targets = [instance.target for instance in self.instances]
        for index, target in enumerate(targets):
            if target.shape != targets[0].shape or target.dtype != targets[0].dtype:
                raise DataError(
                    f"example {index} has a target of {target.dtype} {list(target.shape)}, "
                    f"expected {targets[0].dtype} {list(targets[0].shape)} as in example 0"
                )
        return torch.stack(targets)  # [N, ...]

    def _first(self) -> Instance:
        if not len(self):
            raise DataError(f"data set {quoted(self.name)} has no examples")
        return self.instances[0]

    @cached_property
    def is_classification(self) -> bool:
        """Whether targets are classes (integers), by the first example."""
        return not self._first().target.is_floating_point()

    @cached_property
    def num_classes(self) -> int | None:
        """How many classes there are: the names given, or the largest label plus one.

        None for regressions.
        """
        if self.label_names is not None:
            return len(self.label_names)
        if not self.is_classification:
            return None
        if self.columns is not None:
            return int(self.columns.targets.max()) + 1
        return max(int(instance.target.max()) for instance in self.instances) + 1

    @cached_property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of the first example's inputs; None where inputs are a dict."""
        inputs = self._first().inputs
        return None if isinstance(inputs, dict) else tuple(inputs.shape)

    @property
    def in_features(self) -> int | None:
        """How many numbers an input has, or how many token numbers there are.

        None where inputs are a dict without a vocabulary.
        """
        if self.input_shape is not None:
            return math.prod(self.input_shape)
        return None if self.feature_names is None else len(self.feature_names)

    @cached_property
    def target_shape(self) -> tuple[int, ...]:
        """The shape of the first example's target: ``()`` for a class, ``(T,)`` for numbers."""
        return tuple(self._first().target.shape)

    def fingerprint(self) -> str:
        """Hash shapes, types and bytes of inputs and targets, and the ids.

        Returns
        -------
        str
            64 hexadecimal digits, the same however the data set was made.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint.fingerprint(self)

    def check(self, *, training: bool = True) -> None:
        """Look at every example, and refuse what would spoil a run.

        Parameters
        ----------
        training
            Whether a model is to be trained on these examples: then a classification needs two
            classes. Queries may all be of one class.

        Raises
        ------
        DataError
            When the data set is empty, when an id appears twice, when an input or target is NaN or
            infinite or is no tensor, or when all training examples have one class.
        """
        checks.check(self, training=training)
