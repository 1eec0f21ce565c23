"""Leave-some-out ground truth as the code of "Better Hessians Matter" (arXiv 2509.23437) lays it.

A file ``PATH/data_NAME/ALPHA_REPEATSr_1br`` for each share alpha of the training data, with

- ``loss_diffs`` ``[m, Q]``: each query's loss under the model trained on a subset, minus that under
  the model trained on everything;
- ``binary_masks`` ``[m, N]``: which training examples are in the subset.

Here it is an ``.npz``. The original is a ``.pt`` that only unpickling can open, which runs whatever
code is in it: it is read with ``trust`` alone.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hessinf.evaluation.array_checks import require_finite
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.subset_sums import binary_masks
from hessinf.runtime.files import write_atomically

KEYS = ("loss_diffs", "binary_masks")

UNKNOWN_TRAINING = (
    "nobody can tell from a file of leave-some-out losses whether its models were trained afresh "
    "or began at the model trained on everything, how long, and with which seeds: what is measured "
    "against {file} is worth what its author's word is"
)


@dataclass(frozen=True, eq=False)
class LeaveSomeOutFile:
    """What one file says.

    Parameters
    ----------
    loss_diffs
        ``L(subset) − L(full)``, ``[m, Q]``, float64.
    binary_masks
        ``[m, N]``, uint8.
    """

    loss_diffs: np.ndarray
    binary_masks: np.ndarray


def lso_file(path: str | Path, name: str, alpha: float, repeats: int, suffix: str) -> Path:
    """Return where the file for a share of the training data lies."""
    return Path(path) / f"data_{name}" / f"{alpha}_{repeats}r_1br{suffix}"


def write_lso(
    path: str | Path,
    name: str,
    alpha: float,
    loss_diffs: np.ndarray,
    masks: np.ndarray,
    *,
    repeats: int | None = None,
) -> Path:
    """Write ground truth for one share of the training data, as ``.npz``.

    Parameters
    ----------
    path, name
        The directory, and what the data are called.
    alpha
        The share of the training data in each subset.
    loss_diffs
        ``[m, Q]``.
    masks
        ``[m, N]`` of 0 and 1.
    repeats
        The number in the file's name: how many subsets there are, when None.

    Returns
    -------
    Path
        Of the file.
    """
    checked = _checked("what is written", {"loss_diffs": loss_diffs, "binary_masks": masks})
    count = len(checked.binary_masks) if repeats is None else repeats
    file = lso_file(path, name, alpha, count, ".npz")
    file.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez_compressed(content, loss_diffs=checked.loss_diffs, binary_masks=checked.binary_masks)
    write_atomically(file, content.getvalue())
    return file


def read_lso(
    path: str | Path,
    name: str,
    alpha: float,
    *,
    repeats: int = 100,
    trust: bool = False,
    num_train: int | None = None,
    num_queries: int | None = None,
) -> tuple[LeaveSomeOutFile, Path]:
    """Read ground truth for one share of the training data.

    The ``.npz`` is taken where there is one, else the ``.pt``.

    Parameters
    ----------
    path, name, alpha, repeats
        As for :func:`write_lso`.
    trust
        Whether a ``.pt`` may be unpickled, which runs code that is in it.
    num_train, num_queries
        N and Q of the data at hand, where they are known.

    Returns
    -------
    LeaveSomeOutFile
    Path
        Of the file.

    Raises
    ------
    EvaluationError
        When there is none, it must not or cannot be read, or does not hold what it should.
    """
    safe = lso_file(path, name, alpha, repeats, ".npz")
    original = safe.with_name(safe.name.removesuffix(".npz") + ".pt")
    if safe.exists():
        return _checked(str(safe), _arrays(safe), num_train, num_queries), safe
    if not original.exists():
        raise EvaluationError(
            f"there is neither {safe} nor {original.name} beside it; expected "
            "PATH/data_NAME/ALPHA_REPEATSr_1br.npz (or .pt), with the alpha written as Python does"
        )
    if not trust:
        raise EvaluationError(
            f"{original} is a pickle, and reading it runs whatever code is in it; if you trust "
            "where it comes from, set trust: true, and write it as .npz once "
            "(hessinf.evaluation.lso_layout.write_lso)"
        )
    return _checked(str(original), _unpickled(original), num_train, num_queries), original


def _arrays(file: Path) -> dict[str, Any]:
    try:
        with np.load(file, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError) as error:
        raise EvaluationError(f"{file} cannot be read as .npz: {error}") from error


def _unpickled(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=False)
    except (OSError, RuntimeError, EOFError, AttributeError, ImportError, ValueError) as error:
        raise EvaluationError(f"{file} cannot be read as .pt: {error}") from error
    except pickle.UnpicklingError as error:
        raise EvaluationError(f"{file} cannot be read as .pt: {error}") from error


def _checked(
    where: str, content: Any, num_train: int | None = None, num_queries: int | None = None
) -> LeaveSomeOutFile:
    """Refuse what is not two matrices that fit each other and the data."""
    if not isinstance(content, Mapping) or any(key not in content for key in KEYS):
        has = (
            ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        )
        raise EvaluationError(f"{where} holds {has or 'nothing'}, expected {' and '.join(KEYS)}")
    losses, masks = (np.asarray(content[key]) for key in KEYS)
    if losses.ndim == 3 and losses.shape[2] == 1:
        losses = losses[:, :, 0]  # [m, Q]
    for key, array in zip(KEYS, (losses, masks), strict=True):
        if array.ndim != 2 or not array.size:
            raise EvaluationError(
                f"{where}: {key} has shape {list(array.shape)}, expected two axes, a row a subset"
            )
    _check_axes(where, losses.shape, masks.shape, num_train, num_queries)
    losses = losses.astype(np.float64)
    try:
        require_finite("loss_diffs", losses)
        masks = binary_masks(masks)
    except EvaluationError as error:
        raise EvaluationError(f"{where}: {error}") from error
    return LeaveSomeOutFile(losses, masks)


def _check_axes(
    where: str,
    losses: tuple[int, ...],
    masks: tuple[int, ...],
    num_train: int | None,
    num_queries: int | None,
) -> None:
    """Name the axis that does not fit, and recognise what is only transposed."""
    for key, (rows, columns), other, expected, of in (
        ("binary_masks", masks, losses, num_train, "training examples"),
        ("loss_diffs", losses, masks, num_queries, "queries"),
    ):
        turned = expected is not None and rows == expected and columns in other
        if (expected is not None and columns != expected and turned) or (
            rows != other[0] and columns == other[0]
        ):
            raise EvaluationError(
                f"{where}: {key} has shape [{rows}, {columns}], which looks transposed; expected a "
                f"row a subset and a column for each of the {of}"
            )
        if expected is not None and columns != expected:
            raise EvaluationError(
                f"{where}: {key} is about {columns} {of}, and there are {expected} here; is it of "
                "other data, or of another split?"
            )
    if losses[0] != masks[0]:
        raise EvaluationError(
            f"{where}: loss_diffs has {losses[0]} rows and binary_masks {masks[0]}; expected a row "
            "a subset in both"
        )
