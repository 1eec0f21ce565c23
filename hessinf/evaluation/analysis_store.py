"""Where finished parts of an analysis lie: a folder for each curvature, whole or absent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hessinf.evaluation.errors import EvaluationError
from hessinf.runtime.files import remove_unfinished, replace_directory, write_json_atomically
from hessinf.runtime.finite_json import finite_json

RESULT, ARRAYS, MATRIX = "result.json", "arrays.npz", "matrix.npy"


class AnalysisStore:
    """The folder of an analysis.

    Parameters
    ----------
    folder
        Where the parts lie; made here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder)

    def has(self, name: str) -> bool:
        """Whether a part is finished."""
        return (self.folder / name / RESULT).exists()

    def add(
        self,
        name: str,
        result: Mapping[str, Any],
        arrays: Mapping[str, torch.Tensor],
        matrix: torch.Tensor | None,
    ) -> None:
        """Keep a part.

        Parameters
        ----------
        name
            Of the curvature's row.
        result
            JSON.
        arrays
            What plots are drawn from.
        matrix
            ``[P, P]``; None without matrices.
        """
        with replace_directory(self.folder / name) as unfinished:
            np.savez_compressed(
                unfinished / ARRAYS,
                **{key: array.cpu().numpy() for key, array in arrays.items()},  # type: ignore[arg-type]
            )
            if matrix is not None:
                np.save(unfinished / MATRIX, matrix.cpu().numpy())
            write_json_atomically(unfinished / RESULT, finite_json(dict(result)))

    def result(self, name: str) -> dict[str, Any]:
        """Read what was found."""
        found: dict[str, Any] = json.loads(self._read(name, RESULT).read_text(encoding="utf-8"))
        return found

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Read what plots are drawn from."""
        with np.load(self._read(name, ARRAYS), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}

    def matrix(self, name: str) -> np.ndarray:
        """Map a matrix ``[P, P]`` into memory; writing to it leaves the file as it is."""
        loaded: np.ndarray = np.load(self._read(name, MATRIX), mmap_mode="c", allow_pickle=False)
        return loaded

    def remove_matrices(self) -> None:
        """Remove what nobody wants to keep."""
        for file in self.folder.glob(f"*/{MATRIX}"):
            file.unlink()

    def _read(self, name: str, file: str) -> Path:
        path = self.folder / name / file
        if not path.exists():
            raise EvaluationError(
                f'{path} is missing: the analysis of "{name}" was changed by hand; remove '
                f"{path.parent}, and it will be made again"
            )
        return path
