"""What arrays must be before they are judged: finite, and of shapes that fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hessinf.evaluation.errors import EvaluationError


def finite_array(name: str, value: Any, axes: str, sizes: Mapping[str, int]) -> np.ndarray:
    """Return an array as float64, once its shape and every number of it are in order.

    Parameters
    ----------
    name
        What messages call it.
    value
        The array, or what numpy makes one of.
    axes
        The name of each axis, such as ``"queries, training examples"``.
    sizes
        How long axes must be, by name, with what was seen before; others are free.

    Returns
    -------
    numpy.ndarray
        float64, of as many axes as have names.

    Raises
    ------
    EvaluationError
        When the shape is another one, or a number is NaN or infinite; it names the place.
    """
    array = np.asarray(value)
    names = axes.split(", ")
    if array.ndim != len(names) or not array.size:
        raise EvaluationError(
            f"{name} has shape {list(array.shape)}, expected [{axes}], one of each at least"
        )
    for axis, (length, of) in enumerate(zip(array.shape, names, strict=True)):
        if of in sizes and length != sizes[of]:
            raise EvaluationError(
                f"{name} has shape {list(array.shape)}, that is {length} {of}; expected "
                f"{sizes[of]} {of}, as the other arrays have: [{axes}] (axis {axis})"
            )
    if array.dtype.kind not in "fiub":
        raise EvaluationError(f"{name} holds {array.dtype}, expected real numbers")
    array = array.astype(np.float64)
    require_finite(name, array)
    return array


def require_finite(name: str, array: np.ndarray) -> None:
    """Refuse NaN and infinity, and say where the first one is.

    Raises
    ------
    EvaluationError
        When a number is not finite: it has no rank, and leaving it out would change what is
        measured.
    """
    finite = np.isfinite(array)
    if finite.all():
        return
    place = tuple(int(index) for index in np.argwhere(~finite)[0])
    count = int((~finite).sum())
    raise EvaluationError(
        f"{name}[{', '.join(map(str, place))}] is {array[place]}, expected finite numbers ({count} "
        f"of {array.size} are not): they have no rank; find out where they come from, they are not "
        "left out here"
    )
