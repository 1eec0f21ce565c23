"""Wrong labels on purpose: the ground truth for finding mislabelled examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from hessinf.data.class_names import class_names
from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError
from hessinf.data.path_selection import is_selected
from hessinf.data.wrapping_reader import WrappingReader
from hessinf.registry import AtLeast, Between
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data.dataset import Dataset
    from hessinf.runtime import randomness
else:
    torch = lazy_import("torch")
    randomness = lazy_import("hessinf.runtime.randomness")


@DatasetReader.register("noisy-labels")
class NoisyLabels(WrappingReader):
    """Reads with another reader, and changes some of the labels to wrong ones.

    Registered as a `DatasetReader` with name "noisy-labels".

    The data set remembers which (`Dataset.flipped`), and each changed example shows the label that
    it had (`display["flipped_from"]`).

    Parameters
    ----------
    reader
        Reads the data with its right labels.
    rate
        The share of labels to change: exactly `round(rate * N)` of them.
    kind
        `uniform`: to any other class, with equal chances. `class-pair`: to the next class, the
        last one to the first.
    paths
        Where labels are changed: splits or paths as they are read, or names of files without
        folder and ending. null changes them everywhere, also in the queries.
    noise_seed
        Decides which labels, and to what.
    """

    def __init__(
        self,
        *,
        reader: DatasetReader,
        rate: Annotated[float, Between(0, 1)],
        kind: Literal["uniform", "class-pair"] = "uniform",
        paths: tuple[str, ...] | None = ("train",),
        noise_seed: Annotated[int, AtLeast(0)] = 0,
    ) -> None:
        super().__init__(reader)
        self.rate = rate
        self.kind = kind
        self.paths = paths
        self.noise_seed = noise_seed

    def read(self, path: str) -> Dataset:
        """Read a path with the other reader, and change labels if it is one of ``paths``.

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
            When the data have no classes to change, or were changed already.
        """
        dataset = self.reader.read(path)
        if not is_selected(path, self.paths):
            return dataset
        classes = self._number_of_classes(dataset, path)
        generator = randomness.generator(self.noise_seed, f"noisy-labels/{Path(path).stem}")
        count = round(self.rate * len(dataset))
        chosen = torch.randperm(len(dataset), generator=generator)[:count]  # [count]
        if self.kind == "uniform":
            # 1 .. C-1 steps round the circle of classes reach every class but the first.
            steps = torch.randint(1, classes, (count,), generator=generator)  # [count]
        else:
            steps = torch.ones(count, dtype=torch.int64)  # [count]
        wrong = (dataset.targets[chosen] + steps) % classes  # [count]
        return dataset.relabelled(dict(zip(chosen.tolist(), wrong.tolist(), strict=True)))

    def _number_of_classes(self, dataset: Dataset, path: str) -> int:
        classes = len(class_names(dataset, path, "noisy-labels changes classes"))
        if dataset.flipped is not None:
            raise DataError(f"the labels of {path} were changed already; use noisy-labels once")
        if classes < 2:
            raise DataError(f"noisy-labels needs two classes or more, {path} has {classes}")
        return classes
