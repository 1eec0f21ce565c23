"""From what people have in Python (tensors, torch data sets, instances) to a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hessinf.data.dataset import Dataset
from hessinf.data.errors import DataError, quoted
from hessinf.data.instance import Instance
from hessinf.data.pairs import Pairs
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

ACCEPTED = (
    "a Dataset, a sequence of Instances, a torch Dataset or list of (inputs, target) pairs, "
    "or a pair of tensors (inputs [N, ...], targets [N] or [N, T])"
)


def as_dataset(
    data: Any,
    *,
    label_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    name: str = "",
) -> Dataset:
    """See data as a :class:`Dataset`.

    Parameters
    ----------
    data
        A data set (given back as it is), a sequence of instances, a map-style
        ``torch.utils.data.Dataset`` or a list of ``(inputs, target)`` pairs, or a pair of tensors
        or arrays: inputs ``[N, ...]`` (or a dict of those) and targets ``[N]`` or ``[N, T]``. Pairs
        are read when they are needed, and must be the same each time.
    label_names, feature_names, name
        What is known about data that do not say it themselves.

    Returns
    -------
    Dataset
        Examples made from tensors and pairs have the ids ``"0"``, ``"1"``, ...

    Raises
    ------
    DataError
        When the data are none of these, or the lengths differ.
    """
    if isinstance(data, Dataset):
        return data
    names: dict[str, Any] = {
        "label_names": label_names,
        "feature_names": feature_names,
        "name": name,
    }
    if isinstance(data, torch.utils.data.TensorDataset) and len(data.tensors) == 2:
        data = data.tensors
    if _is_pair_of_columns(data):
        inputs, targets = data
        if isinstance(inputs, dict):
            columns: Any = {
                key: _tensor(value, f"inputs[{quoted(key)}]") for key, value in inputs.items()
            }
        else:
            columns = _tensor(inputs, "inputs")
        return Dataset.from_columns(columns, _tensor(targets, "targets"), **names)
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")) or isinstance(data, dict):
        hint = "; read an iterable data set into a list first" if hasattr(data, "__iter__") else ""
        raise DataError(f"found a {type(data).__name__}, expected {ACCEPTED}{hint}")
    if isinstance(data, (torch.Tensor, str, bytes)):
        raise DataError(f"found a {type(data).__name__} alone, expected {ACCEPTED}")
    if len(data) and isinstance(data[0], Instance):
        for index, instance in enumerate(data):
            if not isinstance(instance, Instance):
                kind = type(instance).__name__
                raise DataError(
                    f"example {index}: found a {kind}, expected an Instance like the rest"
                )
        return Dataset(data, **names)
    return Dataset(Pairs(data), **names)


def _is_pair_of_columns(data: Any) -> bool:
    """Whether this is (inputs, targets) as whole tensors or arrays, not a list of two pairs."""

    def is_array(value: Any) -> bool:
        return hasattr(value, "shape") and len(value.shape) > 0

    if not (isinstance(data, (tuple, list)) and len(data) == 2 and is_array(data[1])):
        return False
    return is_array(data[0]) or isinstance(data[0], dict)


def _tensor(value: Any, name: str) -> torch.Tensor:
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} cannot be made a tensor: {error}") from error
