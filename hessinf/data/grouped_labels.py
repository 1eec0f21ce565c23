"""Classes put together into larger ones: the ground truth for finding hidden classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from hessinf.data.class_names import class_names, class_number
from hessinf.data.dataset import Dataset
from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError, quoted
from hessinf.data.wrapping_reader import WrappingReader
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


@DatasetReader.register("grouped-labels")
class GroupedLabels(WrappingReader):
    """Reads with another reader, and puts its classes together into larger ones.

    Registered as a `DatasetReader` with name "grouped-labels".

    A model learns the larger classes and never sees the finer ones, which each example keeps for
    the metric `subclass-detection` (`display["finer_label"]`).

    Parameters
    ----------
    reader
        Reads the data with their finer classes.
    groups
        The names of the finer classes in each larger class, by the name of the larger one. Every
        finer class is in exactly one. The larger classes are numbered in the order of their first
        finer class.
    """

    def __init__(self, *, reader: DatasetReader, groups: dict[str, list[str]]) -> None:
        super().__init__(reader)
        if len(groups) < 2 or not all(groups.values()):
            raise ValueError("groups needs two larger classes or more, with a finer class in each")
        times = Counter(name for names in groups.values() for name in names)
        twice = [name for name, count in times.items() if count > 1]
        if twice:
            raise ValueError(f"groups has the class {quoted(twice[0])} twice, expected it once")
        self.groups = groups

    def read(self, path: str) -> Dataset:
        """Read a path with the other reader, and number the larger classes.

        Parameters
        ----------
        path
            What the other reader takes.

        Returns
        -------
        Dataset
            With the ids, inputs and order of the other reader's.

        Raises
        ------
        DataError
            When the data have no classes, or others than the groups say.
        """
        dataset = self.reader.read(path)
        finer = class_names(dataset, path, "grouped-labels puts classes together")
        names, larger = self._numbered(finer, path)
        examples = []
        for example in dataset:
            number = int(example.target)
            label = larger[number]
            display = {
                **example.display,
                "label": names[label],
                "finer_label": finer[number],
            }
            target = torch.full_like(example.target, label)  # []
            examples.append(replace(example, target=target, display=display))
        return Dataset(
            examples,
            label_names=names,
            feature_names=dataset.feature_names,
            name=dataset.name,
            flipped=dataset.flipped,
        )

    def _numbered(self, finer: list[str], path: str) -> tuple[list[str], list[int]]:
        """Name the larger classes in order, and give that of each finer class by its number."""
        group_of = {name: group for group, names in self.groups.items() for name in names}
        for name in group_of:
            class_number(name, finer, path, "grouped-labels")
        without = [name for name in finer if name not in group_of]
        if without:
            raise DataError(
                f"grouped-labels: the class {quoted(without[0])} of {path} is in no group; add it "
                "to one"
            )
        names = list(dict.fromkeys(group_of[name] for name in finer))
        return names, [names.index(group_of[name]) for name in finer]
