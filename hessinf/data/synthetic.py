"""Made-up classifications: blobs, xor and the ring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from hessinf.data.dataset import Dataset
from hessinf.data.dataset_reader import DatasetReader, check_split
from hessinf.registry import Above, AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

RING_RADIUS_SQUARED = 1.5
BLOB_DISTANCE = 3.0
"""The standard deviation of the centers of blobs, in each coordinate."""

LABEL_NAMES = {"xor": ["same sign", "opposite signs"], "ring": ["inside", "outside"]}


@DatasetReader.register("synthetic")
class Synthetic(DatasetReader):
    """Makes up a classification: blobs, xor or ring; paths are `train` and `test`.

    Registered as a `DatasetReader` with name "synthetic".

    `blobs`: normal clouds around random centers, the classes in turn. `xor`: is the product of the
    first two coordinates negative? `ring`: is the point outside the circle of radius √1.5 in the
    first two coordinates? In `xor` and `ring` all coordinates are standard normal, and those beyond
    the second tell nothing.

    Parameters
    ----------
    kind
        Which of them.
    train_size, test_size
        How many examples each split has. The training split is drawn first, from the same
        generator, so the test split is another one when `train_size` changes.
    features
        How many coordinates a point has.
    classes
        How many blobs; null is 3. `xor` and `ring` have 2.
    spread
        The standard deviation of blobs around their centers, which are themselves normal with
        standard deviation 3. Without meaning for `xor` and `ring`.
    noise
        The standard deviation of normal noise added to the coordinates after the labels were
        decided. For wrong labels use the reader `noisy-labels`.
    data_seed
        Decides all numbers drawn.
    """

    def __init__(
        self,
        *,
        kind: Literal["blobs", "xor", "ring"] = "blobs",
        train_size: Annotated[int, AtLeast(1)] = 200,
        test_size: Annotated[int, AtLeast(1)] = 50,
        features: Annotated[int, AtLeast(2)] = 2,
        classes: Annotated[int, AtLeast(2)] | None = None,
        spread: Annotated[float, Above(0)] = 1.0,
        noise: Annotated[float, AtLeast(0)] = 0.0,
        data_seed: Annotated[int, AtLeast(0)] = 0,
    ) -> None:
        if kind != "blobs" and classes not in (None, 2):
            raise ValueError(f"classes is {classes}, but {kind} has 2; leave it out, or use blobs")
        self.kind = kind
        self.train_size = train_size
        self.test_size = test_size
        self.features = features
        self.classes = classes or (3 if kind == "blobs" else 2)
        self.spread = spread
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
            float32 inputs ``[features]``; ids ``"ring/train/0"``, ...

        Raises
        ------
        DataError
            When there is no such split.
        """
        check_split("synthetic", path)
        generator = torch.Generator().manual_seed(self.data_seed)
        draw = self._blobs if self.kind == "blobs" else self._plane
        splits = draw(generator)
        if self.noise:
            splits = {
                name: (points + self.noise * torch.randn(points.shape, generator=generator), labels)
                for name, (points, labels) in splits.items()
            }
        points, labels = splits[path]
        return Dataset.from_columns(
            points,
            labels,
            ids=[f"{self.kind}/{path}/{index}" for index in range(len(points))],
            label_names=LABEL_NAMES.get(self.kind) or [str(label) for label in range(self.classes)],
            feature_names=[f"x{feature}" for feature in range(self.features)],
            name=f"{self.kind}/{path}",
        )

    def _plane(self, generator: torch.Generator) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        splits = {}
        for name, size in (("train", self.train_size), ("test", self.test_size)):
            points = torch.randn(size, self.features, generator=generator)  # [n, features]
            first, second = points[:, 0], points[:, 1]  # [n]
            if self.kind == "ring":
                labels = first**2 + second**2 > RING_RADIUS_SQUARED  # [n]
            else:
                labels = first * second < 0  # [n]
            splits[name] = points, labels
        return splits

    def _blobs(self, generator: torch.Generator) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        centers = BLOB_DISTANCE * torch.randn(self.classes, self.features, generator=generator)
        splits = {}
        for name, size in (("train", self.train_size), ("test", self.test_size)):
            labels = torch.arange(size) % self.classes  # [n]
            offsets = torch.randn(size, self.features, generator=generator)  # [n, features]
            splits[name] = centers[labels] + self.spread * offsets, labels
        return splits
