"""``scores.zarr``: the whole Q × N matrix of scores, in chunks on disk."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from hessinf.runtime.files import replace_directory
from hessinf.scores.errors import ScoreError

NAME = "scores.zarr"
CHUNK_COLUMNS = 1 << 16


def require_zarr() -> None:
    """Refuse early, where the package that writes the matrix is missing."""
    if importlib.util.find_spec("zarr") is None:
        raise ScoreError('scores: "zarr" needs the package zarr: pip install "hessinf[zarr]"')


class ScoreMatrix:
    """The scores of a run, filled by blocks of queries; a block may be written again.

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
        self.path = folder / NAME
        self.chunk_rows = min(chunk_rows, num_queries)
        self.chunk_columns = min(CHUNK_COLUMNS, num_train)
        self.num_train = num_train
        shape = (num_queries, num_train)
        if not self.path.exists():
            with replace_directory(self.path) as unfinished:
                zarr.create_array(
                    store=str(unfinished),
                    shape=shape,
                    chunks=(self.chunk_rows, self.chunk_columns),
                    dtype=dtype,
                    fill_value=float("nan"),
                )
        for left_by_a_killed_process in self.path.rglob("*.partial"):
            left_by_a_killed_process.unlink()
        self._array = zarr.open_array(str(self.path), mode="r+")
        if self._array.shape != shape or str(self._array.dtype) != dtype:
            raise ScoreError(
                f"{self.path} holds {self._array.shape} {self._array.dtype}, expected {shape} "
                f"{dtype}; remove it and start again"
            )

    def _chunks(self, start: int) -> list[Path]:
        """List the files that hold the queries from ``start`` on, by training examples."""
        row = self.path / "c" / str(start // self.chunk_rows)
        return [row / str(column) for column in range(-(-self.num_train // self.chunk_columns))]

    def has(self, start: int) -> bool:
        """Whether the scores of the block of queries that begins at ``start`` are there."""
        return all(chunk.exists() for chunk in self._chunks(start))

    @contextlib.contextmanager
    def block(self, start: int) -> Iterator[ScoreBlock]:
        """Write the scores of a block of queries.

        Parameters
        ----------
        start
            The first of the queries, a multiple of ``chunk_rows``.

        Yields
        ------
        ScoreBlock
            To be called with the scores as they come. They are on the disk when the context ends.
        """
        block = ScoreBlock(self._array, start, self.chunk_columns)
        yield block
        block.flush()
        if block.columns != self.num_train:
            raise ScoreError(
                f"{self.path}: {block.columns} scores of each query from {start} on were written, "
                f"expected {self.num_train}"
            )
        for chunk in self._chunks(start):
            _flush_to_disk(chunk)


class ScoreBlock:
    """The scores of some queries on their way to the disk: whole chunks are written, once each.

    Parameters
    ----------
    array
        The Zarr array.
    start
        The first of the queries.
    chunk_columns
        Training examples in a chunk.
    """

    def __init__(self, array: object, start: int, chunk_columns: int) -> None:
        self._array = array
        self._start = start
        self._chunk_columns = chunk_columns
        self._pending: list[torch.Tensor] = []
        self._width = 0
        self.columns = 0
        """Training examples whose scores were written."""

    def __call__(self, first_index: int, scores: torch.Tensor) -> None:
        """Take in the scores ``[Q', B]`` of the training examples from ``first_index`` on.

        Raises
        ------
        ScoreError
            When these are not the next ones.
        """
        expected = self.columns + self._width
        if first_index != expected:
            raise ScoreError(
                f"scores from training example {first_index} on, expected {expected}: they have "
                "to come in order"
            )
        self._pending.append(scores.detach().cpu())
        self._width += scores.shape[1]
        if self._width >= self._chunk_columns:
            self._write(self._width - self._width % self._chunk_columns)

    def flush(self) -> None:
        """Write what is left."""
        if self._width:
            self._write(self._width)

    def _write(self, width: int) -> None:
        pending = torch.cat(self._pending, dim=1)  # [Q', B]
        rows = slice(self._start, self._start + len(pending))
        columns = slice(self.columns, self.columns + width)
        self._array[rows, columns] = pending[:, :width].numpy()  # type: ignore[index]
        self._pending = [pending[:, width:].clone()]  # [Q', B - width]
        self._width -= width
        self.columns += width


def _flush_to_disk(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
