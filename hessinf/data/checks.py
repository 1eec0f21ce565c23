"""What is looked at in every example before a model is trained on it or asked about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hessinf.data.default_display import label_name
from hessinf.data.errors import DataError, counted, list_problems, quoted
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data.columns import Columns
    from hessinf.data.examples import Examples
    from hessinf.data.instance import Instance
else:
    torch = lazy_import("torch")


def check(dataset: Examples, *, training: bool) -> None:
    """Refuse a data set that would spoil a run; see :meth:`Dataset.check`.

    Parameters
    ----------
    dataset
        What to look at; every example is read once.
    training
        Whether a model is to be trained on it.

    Raises
    ------
    DataError
        With every kind of problem explained where it is found.
    """
    place = f"data set {quoted(dataset.name)}" if dataset.name else "data set"
    if not len(dataset):
        raise DataError(f"{place}: found no examples, expected at least one")
    _check_ids(dataset, place)
    _check_values(dataset, place)
    if training and dataset.is_classification and dataset.target_shape == ():
        _check_classes(dataset, place)


def _check_ids(dataset: Examples, place: str) -> None:
    if len(set(dataset.ids)) == len(dataset.ids):
        return
    first: dict[str, int] = {}
    problems = []
    for index, id in enumerate(dataset.ids):
        if first.setdefault(id, index) != index:
            problems.append(f"example {index}: found id {quoted(id)}, used by example {first[id]}")
    if problems:
        headline = f"{place}: ids must differ, found {counted(len(problems), 'repeated id')}"
        raise DataError(list_problems(headline, problems))


def _check_values(dataset: Examples, place: str) -> None:
    columns = dataset.stacked
    indices = range(len(dataset)) if columns is None else _rows_not_finite(columns)
    problems = []
    for index in indices:
        instance = dataset.instances[index]
        found = list(_wrong_values(instance, dataset.feature_names))
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            problems.append(f"example {index} (id {quoted(instance.id)}), {found[0]}{more}")
    if problems:
        headline = (
            f"{place}: found {counted(len(problems), 'example')} with unusable values; "
            "remove them, or fill in the values"
        )
        raise DataError(list_problems(headline, problems))


def _rows_not_finite(columns: Columns) -> list[int]:
    inputs = columns.inputs.values() if isinstance(columns.inputs, dict) else [columns.inputs]
    bad = torch.zeros(len(columns), dtype=torch.bool)  # [N]
    for rows in [*inputs, columns.targets]:
        if not (rows.is_floating_point() or rows.is_complex()) or bool(rows.sum().isfinite()):
            continue  # one number that is not finite makes the sum so
        bad |= ~rows.isfinite().reshape(len(columns), -1).all(dim=1).cpu()
    return [int(index) for index in bad.nonzero().flatten()]


def _wrong_values(instance: Instance, feature_names: tuple[str, ...] | None) -> Iterator[str]:
    """Say where an example has something else than a tensor of finite numbers."""
    for name, value in _named_parts(instance):
        if not isinstance(value, torch.Tensor):
            yield f"{name}: found a {type(value).__name__}, expected a tensor"
            continue
        for position in (~value.isfinite()).nonzero().tolist():
            if name == "inputs" and value.ndim == 1:
                feature = position[0]
                where = f"feature {quoted(feature_names[feature]) if feature_names else feature}"
            else:
                where = f"{name}{position if value.numel() > 1 else ''}"
            yield f"{where}: found {float(value[tuple(position)])}, expected a finite number"


def _named_parts(instance: Instance) -> Iterator[tuple[str, Any]]:
    inputs = instance.inputs
    if isinstance(inputs, dict):
        yield from ((f"inputs[{quoted(key)}]", value) for key, value in inputs.items())
    else:
        yield "inputs", inputs
    yield "target", instance.target


def _check_classes(dataset: Examples, place: str) -> None:
    classes = torch.unique(dataset.targets)
    if len(classes) < 2:
        name = label_name(int(classes[0]), dataset.label_names)
        raise DataError(
            f"{place}: all {counted(len(dataset), 'example')} have the label {quoted(name)}, "
            "expected at least two classes to train on; check the target, or the split"
        )
