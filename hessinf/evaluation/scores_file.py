"""Scores of other origin, read from files: ``.npy``, or the matrix that a run has kept."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.evaluation_config import ScoresFile
from hessinf.evaluation.score_checks import checked
from hessinf.runtime.run_files import METRICS, PROVENANCE

MATRIX = "scores.zarr"


@dataclass(frozen=True, eq=False)
class ReadScores:
    """A matrix from a file.

    Parameters
    ----------
    scores
        ``[Q, N]``, float64, finite, positive = helpful.
    facts
        Where it comes from, as JSON.
    claims
        What it was computed from, by what: hashes; empty where the file does not say.
    """

    scores: np.ndarray
    facts: dict[str, Any]
    claims: dict[str, str] = field(default_factory=dict)


def read_scores(name: str, file: ScoresFile, shape: tuple[int, int]) -> ReadScores:
    """Read a matrix of scores.

    Parameters
    ----------
    name
        What its row is called.
    file
        Where it is, and how it lies there.
    shape
        How many queries and how many training examples there are.

    Raises
    ------
    EvaluationError
        When it cannot be read, has another shape, or holds what is not finite.
    """
    path = Path(file.path)
    if path.is_dir():
        matrix, claims = _of_run(path)
        digest = hashlib.sha256(np.ascontiguousarray(matrix).tobytes()).hexdigest()
    else:
        matrix, claims = _of_npy(path), {}
        with open(path, "rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    facts = {
        "scores": str(path),
        "sha256": digest,
        "transposed": file.transposed,
        "negated": file.negated,
    }
    what = f'the scores "{name}" ({path})'
    if file.transposed and matrix.ndim == 2:
        matrix = matrix.T  # [Q, N]
        what += ", transposed,"
    scores = checked(matrix, shape, what, transposed=file.transposed)
    return ReadScores(-scores if file.negated else scores, facts, claims)


def require_same_origin(name: str, read: ReadScores, provenance: dict[str, Any]) -> None:
    """Refuse scores of a run on other data, or of another model.

    Parameters
    ----------
    name
        What the row is called.
    read
        The scores, with what their run says they were computed from.
    provenance
        What is evaluated, as ``provenance.json`` says it.

    Raises
    ------
    EvaluationError
        With both hashes.
    """
    here = _claims(provenance)
    for what, then in read.claims.items():
        now = here.get(what)
        if now is not None and now != then:
            raise EvaluationError(
                f'the scores "{name}" ({read.facts["scores"]}) are of {what} with sha256 '
                f"{then[:12]}…, and what is evaluated has {now[:12]}…; score with the same config, "
                "or leave them out"
            )


def _of_npy(path: Path) -> np.ndarray:
    try:
        matrix = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise EvaluationError(
            f'there is no file "{path}" with scores; save them with numpy.save(path, scores), '
            "[queries, training examples]"
        ) from None
    except (OSError, ValueError, EOFError) as error:
        # NumPy takes whatever it does not know for a pickle, and says how to load it all the same.
        pickled = "pickle" in str(error)
        reason = "it is of another kind, or holds Python objects" if pickled else error
        raise EvaluationError(
            f'"{path}" is no .npy file with one array of numbers ({reason}); save scores with '
            "numpy.save(path, scores), [queries, training examples]"
        ) from error
    if not isinstance(matrix, np.ndarray):  # .npz
        raise EvaluationError(
            f'"{path}" holds several arrays ({", ".join(matrix.files)}); save the scores alone: '
            "numpy.save(path, scores)"
        )
    return matrix


def _of_run(folder: Path) -> tuple[np.ndarray, dict[str, str]]:
    """Read the matrix of a run, and what it was computed from."""
    provenance = _json(folder / PROVENANCE)
    if not (folder / MATRIX).exists() or not provenance:
        raise EvaluationError(
            f'"{folder}" is no run with all scores (it has no {MATRIX}); make one: hessinf '
            f"interpret CONFIG -s {folder} --set scores=zarr"
        )
    if importlib.util.find_spec("zarr") is None:
        raise EvaluationError(
            f'reading {folder / MATRIX} needs the package zarr: pip install "hessinf[zarr]"'
        )
    if _json(folder / METRICS).get("complete") is not True:
        raise EvaluationError(
            f"the run in {folder} is not finished, so that scores are missing; go on with it (-r)"
        )
    zarr = importlib.import_module("zarr")
    matrix = np.asarray(zarr.open_array(str(folder / MATRIX), mode="r")[:])  # [Q, N]
    return matrix, _claims(provenance)


def _claims(provenance: dict[str, Any]) -> dict[str, str]:
    """List the hashes of what scores depend on."""
    data = provenance.get("data") or {}
    found = {
        "training data": (data.get("train") or {}).get("sha256"),
        "test data": (data.get("test") or {}).get("sha256"),
        "a model": (provenance.get("model") or {}).get("sha256"),
    }
    return {what: digest for what, digest in found.items() if digest is not None}


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
