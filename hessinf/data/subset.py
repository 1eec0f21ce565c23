"""A random part of what another reader reads, for quick looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError, counted
from hessinf.data.path_selection import is_selected
from hessinf.data.wrapping_reader import WrappingReader
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data.dataset import Dataset
    from hessinf.runtime import randomness
else:
    torch = lazy_import("torch")
    randomness = lazy_import("hessinf.runtime.randomness")


@DatasetReader.register("subset")
class Subset(WrappingReader):
    """Reads with another reader, and keeps a random part of the examples in their order.

    Registered as a `DatasetReader` with name "subset".

    Parameters
    ----------
    reader
        Reads all examples. What it learns (means, label names) it learns from all of them.
    size
        How many examples to keep.
    paths
        What is cut: splits or paths as they are read, or names of files without folder and ending.
        null cuts everything.
    subset_seed
        Decides which examples.
    """

    def __init__(
        self,
        *,
        reader: DatasetReader,
        size: Annotated[int, AtLeast(1)],
        paths: tuple[str, ...] | None = ("train",),
        subset_seed: Annotated[int, AtLeast(0)] = 0,
    ) -> None:
        super().__init__(reader)
        self.size = size
        self.paths = paths
        self.subset_seed = subset_seed

    def read(self, path: str) -> Dataset:
        """Read a path with the other reader, and cut it if it is one of ``paths``.

        Parameters
        ----------
        path
            What the other reader takes.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            When there are fewer examples than asked for.
        """
        dataset = self.reader.read(path)
        if not is_selected(path, self.paths):
            return dataset
        if self.size > len(dataset):
            raise DataError(
                f"subset asks for {counted(self.size, 'example')}, {path} has {len(dataset)}; "
                "lower size"
            )
        generator = randomness.generator(self.subset_seed, f"subset/{Path(path).stem}")
        chosen = torch.randperm(len(dataset), generator=generator)[: self.size]  # [size]
        return dataset.subset(chosen.sort().values)
