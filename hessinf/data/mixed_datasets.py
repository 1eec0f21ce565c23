"""Two data sets joined into one: the ground truth for telling where examples come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hessinf.data.class_names import class_names, class_number
from hessinf.data.dataset import Dataset
from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError, listed, quoted
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data.instance import Instance
else:
    torch = lazy_import("torch")


@DatasetReader.register("mixed-datasets")
class MixedDatasets(DatasetReader):
    """Reads with two readers, and gives the examples of both, those of the first one first.

    Registered as a `DatasetReader` with name "mixed-datasets".

    Each example says which it is from (`display["source"]`), which the metric `mixed-datasets`
    looks at, and its id begins with that name.

    Parameters
    ----------
    reader
        Reads the main data.
    other
        Reads the other data, whose inputs have the same shape and type.
    label
        The class of the main data that all examples of the other are given. null keeps their own
        classes: those of one name are one class, further ones come behind those of the main data.
    names
        What the main and the other source are called.
    other_paths
        What the other reader is given for a path of the main one; a path that is not here is given
        to both.
    """

    def __init__(
        self,
        *,
        reader: DatasetReader,
        other: DatasetReader,
        label: str | None = None,
        names: tuple[str, str] = ("main", "other"),
        other_paths: dict[str, str] | None = None,
    ) -> None:
        if names[0] == names[1]:
            raise ValueError(f"names are both {quoted(names[0])}, expected two different ones")
        self.reader = reader
        self.other = other
        self.label = label
        self.names = names
        self.other_paths = other_paths or {}

    def read(self, path: str) -> Dataset:
        """Read a path with the main reader, and the same or another one with the other.

        Parameters
        ----------
        path
            What the main reader takes.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            When the two do not fit together.
        """
        other_path = self.other_paths.get(path, path)
        main, other = self.reader.read(path), self.other.read(other_path)
        purpose = "mixed-datasets joins classes"
        classes, others = class_names(main, path, purpose), class_names(other, other_path, purpose)
        self._check_inputs(main, other)
        if self.label is None:
            classes = list(dict.fromkeys([*classes, *others]))
            numbers = [classes.index(name) for name in others]
        else:
            number = class_number(self.label, classes, path, "mixed-datasets")
            numbers = [number] * len(others)
        return Dataset(
            [
                *(self._from(0, example, None, classes) for example in main),
                *(
                    self._from(1, example, numbers[int(example.target)], classes)
                    for example in other
                ),
            ],
            label_names=classes,
            feature_names=main.feature_names,
            name=main.name,
            flipped=_flipped(main, other),
        )

    def _check_inputs(self, main: Dataset, other: Dataset) -> None:
        kinds = [(dataset.input_shape, _type(dataset[0].inputs)) for dataset in (main, other)]
        if kinds[0] != kinds[1]:
            found = " and ".join(
                f"{quoted(name)} has {kind}{'' if shape is None else f' {list(shape)}'}"
                for name, (shape, kind) in zip(self.names, kinds, strict=True)
            )
            raise DataError(f"mixed-datasets joins inputs of one shape and type: {found}")
        if main.input_shape is None and main.feature_names != other.feature_names:
            raise DataError(
                f"mixed-datasets joins texts of one vocabulary, and the words of "
                f"{quoted(self.names[0])} and {quoted(self.names[1])} differ; put the texts into "
                "one file"
            )

    def _from(
        self, source: int, example: Instance, label: int | None, classes: list[str]
    ) -> Instance:
        """Say where an example is from, and give it a class of both."""
        name = self.names[source]
        example = replace(
            example, id=f"{name}/{example.id}", display={**example.display, "source": name}
        )
        if label is None:
            return example
        target = torch.full_like(example.target, label)  # []
        display = {**example.display, "label": classes[label]}
        return replace(example, target=target, display=display)

    def state(self) -> dict[str, Any]:
        """Give what both readers have learnt."""
        states = {"reader": self.reader.state(), "other": self.other.state()}
        return states if any(states.values()) else {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Let both readers take over a state."""
        if state and state.keys() != {"reader", "other"}:
            raise DataError(
                f'mixed-datasets expects a state with "reader" and "other", found {listed(state)}; '
                "was it saved by another reader?"
            )
        self.reader.load_state(state.get("reader", {}))
        self.other.load_state(state.get("other", {}))


def _type(inputs: torch.Tensor | dict[str, torch.Tensor]) -> str:
    if isinstance(inputs, dict):
        return f"a dict of {listed(sorted(inputs))}"
    return str(inputs.dtype).removeprefix("torch.")


def _flipped(main: Dataset, other: Dataset) -> Iterable[int] | None:
    if main.flipped is None and other.flipped is None:
        return None
    return [*(main.flipped or ()), *(len(main) + index for index in other.flipped or ())]
