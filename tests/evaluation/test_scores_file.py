from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.evaluation_config import ScoresFile
from hessinf.evaluation.scores_file import read_scores, require_same_origin

SHAPE = (2, 3)
SCORES = np.array([[1.0, 2, 3], [6, 5, 4]])


def refusal(path: Path) -> str:
    with pytest.raises(EvaluationError) as error:
        read_scores("x", ScoresFile(str(path)), SHAPE)
    return str(error.value)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("negated", [False, True])
def test_orientations(tmp_path: Path, transposed: bool, negated: bool) -> None:
    lying = SCORES.T if transposed else SCORES
    np.save(tmp_path / "s.npy", (-lying if negated else lying).astype(np.float32))
    file = ScoresFile(str(tmp_path / "s.npy"), transposed=transposed, negated=negated)
    read = read_scores("x", file, SHAPE)
    np.testing.assert_array_equal(read.scores, SCORES)
    assert read.scores.dtype == np.float64
    assert read.facts["transposed"] is transposed
    assert read.facts["negated"] is negated
    assert re.fullmatch("[0-9a-f]{64}", read.facts["sha256"])
    assert read.claims == {}


def test_several_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", a=SCORES, b=SCORES)
    assert refusal(tmp_path / "s.npz") == (
        f'"{tmp_path}/s.npz" holds several arrays (a, b); save the scores alone: '
        "numpy.save(path, scores)"
    )


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "went off",))

    np.save(tmp_path / "s.npy", np.array([[Bomb()]], dtype=object), allow_pickle=True)
    message = (
        f'"{tmp_path}/s.npy" is no .npy file with one array of numbers (it is of another kind, or '
        "holds Python objects); save scores with numpy.save(path, scores), [queries, training "
        "examples]"
    )
    assert refusal(tmp_path / "s.npy") == message
    (tmp_path / "s.npy").write_text("1,2,3")
    assert refusal(tmp_path / "s.npy") == message
    assert not (tmp_path / "went off").exists()


class TestRuns:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        zarr = pytest.importorskip("zarr")
        folder = tmp_path / "run"
        folder.mkdir()
        array = zarr.create_array(
            store=str(folder / "scores.zarr"), shape=SHAPE, chunks=SHAPE, dtype="float64"
        )
        array[:] = SCORES
        self.write(folder, "metrics", {"complete": True})
        facts = {
            "data": {"train": {"sha256": "1" * 64}, "test": {"sha256": "2" * 64}},
            "model": {"sha256": "3" * 64},
        }
        self.write(folder, "provenance", facts)
        return folder

    def write(self, folder: Path, name: str, content: Any) -> None:
        (folder / f"{name}.json").write_text(json.dumps(content))

    def test_scores_and_what_they_are_of(self, run: Path) -> None:
        read = read_scores("x", ScoresFile(str(run)), SHAPE)
        np.testing.assert_array_equal(read.scores, SCORES)
        assert read.claims == {
            "training data": "1" * 64,
            "test data": "2" * 64,
            "a model": "3" * 64,
        }

    def test_unfinished(self, run: Path) -> None:
        self.write(run, "metrics", {"complete": False})
        assert refusal(run) == (
            f"the run in {run} is not finished, so that scores are missing; go on with it (-r)"
        )

    def test_no_run(self, tmp_path: Path) -> None:
        assert refusal(tmp_path) == (
            f'"{tmp_path}" is no run with all scores (it has no scores.zarr); make one: hessinf '
            f"interpret CONFIG -s {tmp_path} --set scores=zarr"
        )

    @pytest.mark.parametrize(
        ("changed", "what"),
        [
            ({"data": {"train": {"sha256": "9" * 64}}}, "training data"),
            ({"data": {"test": {"sha256": "9" * 64}}}, "test data"),
            ({"model": {"sha256": "9" * 64}}, "a model"),
        ],
    )
    def test_of_something_else(self, run: Path, changed: dict[str, Any], what: str) -> None:
        read = read_scores("x", ScoresFile(str(run)), SHAPE)
        require_same_origin("x", read, json.loads((run / "provenance.json").read_text()))
        with pytest.raises(EvaluationError) as error:
            require_same_origin("x", read, changed)
        then = read.claims[what][:12]
        assert str(error.value) == (
            f'the scores "x" ({run}) are of {what} with sha256 {then}…, and what is evaluated has '
            "999999999999…; score with the same config, or leave them out"
        )
