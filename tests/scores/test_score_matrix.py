"""``scores.zarr``: whole chunks, written once, and known when they are there."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr

from hessinf.scores import score_matrix
from hessinf.scores.errors import ScoreError
from hessinf.scores.score_matrix import ScoreMatrix, require_zarr


def scores(queries: int, train: int) -> torch.Tensor:
    return torch.arange(queries * train, dtype=torch.float64).reshape(queries, train)


def fill(matrix: ScoreMatrix, start: int, block: torch.Tensor, batch_size: int) -> None:
    with matrix.block(start) as sink:
        first = 0
        for part in block.split(batch_size, dim=1):
            sink(first, part)
            first += part.shape[1]


@pytest.mark.parametrize("chunk_columns", [1 << 16, 4, 3, 1])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 11])
def test_any_batch_size_and_chunk(
    tmp_path: Path, monkeypatch: Any, batch_size: int, chunk_columns: int
) -> None:
    monkeypatch.setattr(score_matrix, "CHUNK_COLUMNS", chunk_columns)
    expected = scores(5, 11)
    matrix = ScoreMatrix(tmp_path, 5, 11, 2, "float64")
    for start in (0, 2, 4):
        assert not matrix.has(start)
        fill(matrix, start, expected[start : start + 2], batch_size)
        assert matrix.has(start)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "scores.zarr")[:], expected.numpy())


def test_what_is_not_written_is_nan(tmp_path: Path) -> None:
    fill(ScoreMatrix(tmp_path, 4, 3, 2, "float32"), 2, scores(2, 3).float(), 3)
    array = zarr.open_array(tmp_path / "scores.zarr")
    assert np.isnan(array[:2]).all()
    np.testing.assert_array_equal(array[2:], scores(2, 3).numpy())
    assert array.dtype == np.float32


def test_block_that_fails_is_not_there(tmp_path: Path) -> None:
    matrix = ScoreMatrix(tmp_path, 2, 6, 2, "float64")
    with contextlib.suppress(RuntimeError), matrix.block(0) as sink:
        sink(0, scores(2, 3))
        raise RuntimeError
    assert not matrix.has(0)


def test_block_with_some_of_its_chunks_is_not_there(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(score_matrix, "CHUNK_COLUMNS", 2)
    matrix = ScoreMatrix(tmp_path, 2, 6, 2, "float64")
    sink = score_matrix.ScoreBlock(matrix._array, 0, 2)
    sink(0, scores(2, 6)[:, :5])
    assert sink.columns == 4
    assert not matrix.has(0)
    fill(matrix, 0, scores(2, 6), 4)
    np.testing.assert_array_equal(
        zarr.open_array(tmp_path / "scores.zarr")[:], scores(2, 6).numpy()
    )


def test_opened_again(tmp_path: Path) -> None:
    fill(ScoreMatrix(tmp_path, 4, 3, 2, "float64"), 0, scores(2, 3), 3)
    (tmp_path / "scores.zarr" / "c" / "0" / "0.4711.partial").write_text("of a killed process")
    again = ScoreMatrix(tmp_path, 4, 3, 2, "float64")
    assert again.has(0)
    assert not again.has(2)
    assert not list(tmp_path.rglob("*.partial"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.zarr"]


def test_other_shape_is_refused(tmp_path: Path) -> None:
    ScoreMatrix(tmp_path, 4, 3, 2, "float64")
    with pytest.raises(ScoreError) as refused:
        ScoreMatrix(tmp_path, 4, 3, 2, "float32")
    assert str(refused.value) == (
        f"{tmp_path / 'scores.zarr'} holds (4, 3) float64, expected (4, 3) float32; remove it and "
        "start again"
    )


def test_scores_out_of_order_are_refused(tmp_path: Path) -> None:
    matrix = ScoreMatrix(tmp_path, 2, 6, 2, "float64")
    with matrix.block(0) as sink:
        sink(0, scores(2, 2))
        said = "scores from training example 3 on, expected 2: they have to come in order"
        with pytest.raises(ScoreError, match=re.escape(said)):
            sink(3, scores(2, 2))
        sink(2, scores(2, 4))
    assert matrix.has(0)


def test_missing_scores_are_refused(tmp_path: Path) -> None:
    matrix = ScoreMatrix(tmp_path, 2, 6, 2, "float64")
    said = "5 scores of each query from 0 on were written, expected 6"
    with pytest.raises(ScoreError, match=re.escape(said)):
        fill(matrix, 0, scores(2, 5), 5)


def test_package_that_is_missing(monkeypatch: Any) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ScoreError) as refused:
        require_zarr()
    assert str(refused.value) == (
        'scores: "zarr" needs the package zarr: pip install "hessinf[zarr]"'
    )
