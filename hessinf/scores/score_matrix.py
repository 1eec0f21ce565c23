"""``scores.zarr``: the whole Q × N matrix of scores, in chunks on disk."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import torch

from hessinf.scores.errors import ScoreError

NAME = "scores.zarr"
CHUNK_COLUMNS = 1 << 16


def require_zarr() -> None:
    """Refuse early, where the package that writes the matrix is missing."""
    if importlib.util.find_spec("zarr") is None:
        raise ScoreError('scores: "zarr" needs the package zarr: pip install "hessinf[zarr]"')


class ScoreMatrix:
    """The scores of a run, filled block by block; a block may be written again.

    Parameters
    ----------
    folder
        The run's directory.
    num_queries, num_train
        Q and N.
    chunk_rows
        Queries that are written together.
    dtype
        "float32" or "float64".
    """

    def __init__(
        self, folder: Path, num_queries: int, num_train: int, chunk_rows: int, dtype: str
    ) -> None:
        require_zarr()
        zarr = importlib.import_module("zarr")
        path = folder / NAME
        shape = (num_queries, num_train)
        if path.exists():
            self._array = zarr.open_array(str(path), mode="r+")
            if self._array.shape != shape or str(self._array.dtype) != dtype:
                raise ScoreError(
                    f"{path} holds {self._array.shape} {self._array.dtype}, expected {shape} "
                    f"{dtype}; remove it and start again"
                )
        else:
            self._array = zarr.create_array(
                store=str(path),
                shape=shape,
                chunks=(min(chunk_rows, num_queries), min(CHUNK_COLUMNS, num_train)),
                dtype=dtype,
                fill_value=float("nan"),
            )

    def write(self, first_query: int, first_index: int, scores: torch.Tensor) -> None:
        """Write a block ``[Q', B]`` at its place."""
        rows = slice(first_query, first_query + scores.shape[0])
        columns = slice(first_index, first_index + scores.shape[1])
        self._array[rows, columns] = scores.cpu().numpy()
