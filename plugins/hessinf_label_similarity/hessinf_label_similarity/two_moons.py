"""A reader that makes its data up: two moons in the plane."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from hessinf.data import Dataset, DatasetReader
from hessinf.data.dataset_reader import check_split
from hessinf.registry import AtLeast, Between
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
    import torch
else:
    # Checking a config imports this file: that stays fast when these are loaded at first use.
    np = lazy_import("numpy")
    torch = lazy_import("torch")

SPLITS = ("train", "test")
LABEL_NAMES = ("upper moon", "lower moon")


@DatasetReader.register("two-moons")
class TwoMoons(DatasetReader):
    """Makes up two half circles that reach into each other; paths are `train` and `test`.

    Registered as a `DatasetReader` with name "two-moons".

    Points lie on the upper half of the circle of radius 1 around (0, 0), label 0, and on the lower
    half of that around (1, 0.5), label 1, in turn. Normal noise is added to both coordinates.

    Parameters
    ----------
    train_size, test_size
        How many points each split has. The test split stays the same whatever `train_size` is.
    noise
        The standard deviation of the noise. The moons touch from about 0.2 on.
    data_seed
        Decides all numbers drawn.
    """

    def __init__(
        self,
        *,
        train_size: Annotated[int, AtLeast(2)] = 200,
        test_size: Annotated[int, AtLeast(1)] = 20,
        noise: Annotated[float, Between(0, 1)] = 0.15,
        data_seed: Annotated[int, AtLeast(0)] = 0,
    ) -> None:
        self.sizes = {"train": train_size, "test": test_size}
        self.noise = noise
        self.data_seed = data_seed

    def read(self, path: str) -> Dataset:
        """Make a split up.

        Parameters
        ----------
        path
            ``"train"`` or ``"test"``.

        Returns
        -------
        Dataset
            float32 inputs ``[2]``; ids ``"two-moons/train/0"``, ...

        Raises
        ------
        DataError
            When there is no such split.
        """
        check_split("two-moons", path, SPLITS)
        size = self.sizes[path]
        generator = np.random.default_rng([self.data_seed, SPLITS.index(path)])
        labels = np.arange(size) % 2  # [n]
        angles = np.pi * generator.random(size)  # [n]
        upper = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # [n, 2]
        points = np.where(labels[:, None] == 0, upper, [1.0, 0.5] - upper)  # [n, 2]
        points = points + self.noise * generator.standard_normal(points.shape)  # [n, 2]
        return Dataset.from_columns(
            torch.from_numpy(points.astype(np.float32)),
            torch.from_numpy(labels),
            ids=[f"two-moons/{path}/{index}" for index in range(size)],
            displays=[
                self._display(*values)
                for values in zip(points.tolist(), angles.tolist(), labels.tolist(), strict=True)
            ],
            label_names=LABEL_NAMES,
            feature_names=("x", "y"),
            name=f"two-moons/{path}",
        )

    def _display(self, point: list[float], angle: float, label: int) -> dict[str, Any]:
        """Say what a person is shown of a point."""
        row = {
            "x": round(point[0], 3),
            "y": round(point[1], 3),
            "degrees along the moon": round(math.degrees(angle), 1),
        }
        return {"row": row, "label": LABEL_NAMES[label]}
