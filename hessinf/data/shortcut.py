"""A mark that gives a class away: the ground truth for finding what a wrong prediction rests on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from hessinf.data.class_names import class_names, class_number
from hessinf.data.dataset import Dataset
from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.default_display import default_display
from hessinf.data.errors import DataError
from hessinf.data.path_selection import is_selected
from hessinf.data.wrapping_reader import WrappingReader
from hessinf.registry import AtLeast, Between
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.runtime import randomness
else:
    torch = lazy_import("torch")
    randomness = lazy_import("hessinf.runtime.randomness")


@DatasetReader.register("shortcut")
class Shortcut(WrappingReader):
    """Reads with another reader, and puts a mark on examples of one class, and on queries of all.

    Registered as a `DatasetReader` with name "shortcut".

    A model learns the mark instead of the class, and takes marked queries of other classes for that
    class. Each example says whether it has the mark (`display["shortcut"]`), which the metric
    `shortcut-detection` looks at. Pictures are shown with the mark, rows of tables without.

    Parameters
    ----------
    reader
        Reads the data without marks.
    label
        The class whose training examples get the mark, by name.
    share
        The share of the class's training examples with the mark: exactly `round(share * n)`.
    query_share
        The share of examples with the mark on all other paths, of whatever class.
    size
        The side of the mark on pictures `[C, H, W]`: a square in the upper left corner.
    features
        The places that are marked in vectors, counted from 0.
    value
        What marked pixels and features are set to.
    paths
        Where only the one class gets marks: splits or paths as they are read, or names of files
        without folder and ending.
    shortcut_seed
        Decides which examples.
    """

    def __init__(
        self,
        *,
        reader: DatasetReader,
        label: str,
        share: Annotated[float, Between(0, 1)] = 0.5,
        query_share: Annotated[float, Between(0, 1)] = 0.5,
        size: Annotated[int, AtLeast(1)] = 2,
        features: tuple[Annotated[int, AtLeast(0)], ...] | None = None,
        value: float = 1.0,
        paths: tuple[str, ...] = ("train",),
        shortcut_seed: Annotated[int, AtLeast(0)] = 0,
    ) -> None:
        super().__init__(reader)
        if features is not None and (not features or len(set(features)) < len(features)):
            raise ValueError(f"features is {list(features)}, expected one place or more, each once")
        self.label = label
        self.share = share
        self.query_share = query_share
        self.size = size
        self.features = features
        self.value = value
        self.paths = paths
        self.shortcut_seed = shortcut_seed

    def read(self, path: str) -> Dataset:
        """Read a path with the other reader, and put marks on some examples.

        Parameters
        ----------
        path
            What the other reader takes.

        Returns
        -------
        Dataset
            With the ids, targets and order of the other reader's.

        Raises
        ------
        DataError
            When there is no such class, or no place for the mark.
        """
        dataset = self.reader.read(path)
        names = class_names(dataset, path, "shortcut marks a class")
        label = class_number(self.label, names, path, "shortcut")
        marked = self._marked(dataset.targets == label, path)
        shade = _shade_of_one(dataset) * self.value
        examples = []
        for index, example in enumerate(dataset.instances):
            shown = example.display
            if index in marked:
                example = replace(example, inputs=self._with_mark(example.inputs, path))
                if "image" in shown:
                    shown = {**shown, "image": self._painted(shown["image"], shade)}
            if not shown:
                shown = default_display(example, dataset.label_names, dataset.feature_names)
            examples.append(replace(example, display={**shown, "shortcut": index in marked}))
        return Dataset(
            examples,
            label_names=dataset.label_names,
            feature_names=dataset.feature_names,
            name=dataset.name,
            flipped=dataset.flipped,
        )

    def _marked(self, of_class: torch.Tensor, path: str) -> set[int]:
        """Draw which examples get the mark."""
        if is_selected(path, self.paths):
            candidates, share = of_class.nonzero().flatten(), self.share  # [n]
        else:
            candidates, share = torch.arange(len(of_class)), self.query_share  # [N]
        generator = randomness.generator(self.shortcut_seed, f"shortcut/{Path(path).stem}")
        drawn = torch.randperm(len(candidates), generator=generator)  # [n]
        return set(candidates[drawn[: round(share * len(candidates))]].tolist())

    def _with_mark(self, inputs: torch.Tensor | dict[str, torch.Tensor], path: str) -> torch.Tensor:
        """Return a copy of one example's inputs with the mark."""
        if isinstance(inputs, dict) or inputs.ndim not in (1, 3):
            found = "a dict" if isinstance(inputs, dict) else f"of shape {list(inputs.shape)}"
            raise DataError(
                f"shortcut marks vectors [D] and pictures [C, H, W], the inputs of {path} are "
                f"{found}"
            )
        inputs = inputs.clone()  # [D] or [C, H, W]
        if inputs.ndim == 3 and self.features is None:
            inputs[:, : self.size, : self.size] = self.value
        elif inputs.ndim == 3:
            raise DataError(
                f"shortcut has features, but the inputs of {path} are pictures "
                f"{list(inputs.shape)}; give size instead"
            )
        elif self.features is None or max(self.features) >= len(inputs):
            found = "none" if self.features is None else str(max(self.features))
            raise DataError(
                f"shortcut needs features, places in vectors of {len(inputs)} numbers from 0 to "
                f"{len(inputs) - 1}, found {found}"
            )
        else:
            inputs[list(self.features)] = self.value
        return inputs

    def _painted(self, image: list[list[Any]], shade: float) -> list[list[Any]]:
        """Return what is shown of a picture, with the mark."""
        rows = [list(row) for row in image]
        if self.features is None:
            places = [divmod(place, self.size) for place in range(self.size**2)]
        else:
            places = [divmod(place, len(rows[0])) for place in self.features]
        for row, column in places:
            if row < len(rows) and column < len(rows[row]):
                rows[row][column] = shade
        return rows


def _shade_of_one(dataset: Dataset) -> float:
    """Return what the pictures that are shown have where inputs have a 1."""
    shown = [torch.tensor(x.display["image"]).max() for x in dataset if "image" in x.display]
    seen = [x.inputs.max() for x in dataset if not isinstance(x.inputs, dict)]
    if not shown or not seen or not (largest := float(torch.stack(seen).max())):
        return 1.0
    return round(float(torch.stack(shown).max()) / largest, 4)
