from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from hessinf.gradients import Gradients
from hessinf.interpreters import (
    Exact,
    InfluenceInterpreter,
    InterpreterError,
    SimpleInfluence,
)
from hessinf.interpreters.fitted_state import differences, matches
from hessinf.testing import logistic_regression


def my_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs, targets, reduction="none")


def make(cls: type[InfluenceInterpreter] = Exact, **arguments: Any) -> InfluenceInterpreter:
    problem = logistic_regression()
    return cls(problem.module(), problem.train, **arguments)


def load(folder: Path, cls: type[InfluenceInterpreter] = InfluenceInterpreter, **given: Any) -> Any:
    problem = logistic_regression()
    return cls.load(folder, problem.module(), problem.train, **given)


def refused(message: str) -> Any:
    return pytest.raises(InterpreterError, match=f"^{re.escape(message)}$")


def test_before_fit_there_is_nothing_to_save(tmp_path: Path) -> None:
    with refused("nothing to save: call fit() first"):
        make().save(tmp_path / "factors")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with refused(f"{tmp_path} holds no saved influence factors: there is no interpreter.json"):
        load(tmp_path)


def test_a_folder_of_another_format(tmp_path: Path) -> None:
    make().fit().save(tmp_path / "factors")
    file = tmp_path / "factors" / "interpreter.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "format": 99}))
    with refused(f"{file} has format 99, this version of hessinf reads 1"):
        load(tmp_path / "factors")
    file.write_text("[]")
    with refused(f"{file} has format None, this version of hessinf reads 1"):
        load(tmp_path / "factors")


def test_cut_off_tensors_are_noticed(tmp_path: Path) -> None:
    make().fit().save(tmp_path / "factors")
    file = tmp_path / "factors" / "factors.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InterpreterError, match=r"^cannot read .*; remove .* to fit again$"):
        load(tmp_path / "factors")


def test_cut_off_json_is_noticed(tmp_path: Path) -> None:
    make().fit().save(tmp_path / "factors")
    file = tmp_path / "factors" / "interpreter.json"
    file.write_text(file.read_text()[:-20])
    with pytest.raises(InterpreterError, match=rf"^cannot read {re.escape(str(file))}: "):
        load(tmp_path / "factors")


def test_factors_of_another_method_are_refused(tmp_path: Path) -> None:
    make().fit().save(tmp_path / "factors")
    message = f'{tmp_path / "factors"} holds factors of "exact", which is no SimpleInfluence'
    with refused(message):
        load(tmp_path / "factors", SimpleInfluence)
    with pytest.raises(
        InterpreterError, match=r'interpreter: saved "exact", now "simple-influence"'
    ):
        make(SimpleInfluence).restore(tmp_path / "factors")


def test_loss_functions_go_by_name(tmp_path: Path) -> None:
    interpreter = make(objective=my_loss).fit()
    interpreter.save(tmp_path / "factors")
    folder = tmp_path / "factors"
    with refused(
        f'the factors in {folder} belong to function the loss function "my_loss"; pass it: '
        "load(..., objective=...)"
    ):
        load(folder)
    queries = logistic_regression().queries
    found = load(folder, objective=my_loss).scores(queries)
    assert found.tobytes() == interpreter.scores(queries).tobytes()


def test_batch_sizes_and_memory_may_differ(tmp_path: Path) -> None:
    make(batch_size=4).fit().save(tmp_path / "factors")
    restored = make(batch_size=7, query_batch_size=2, memory_limit=1.0)
    assert restored.restore(tmp_path / "factors").fitted


def test_what_is_explained_is_remembered(tmp_path: Path) -> None:
    queries = logistic_regression().queries
    sums = make(training_reduction="sum").fit()
    sums.save(tmp_path / "factors")
    found = load(tmp_path / "factors")
    np.testing.assert_array_equal(found.loss_changes(queries), sums.loss_changes(queries))
    other = load(tmp_path / "factors", training_reduction="mean")
    assert not np.allclose(other.loss_changes(queries), sums.loss_changes(queries))

    margins = make(measurement={"type": "logit", "index": 1}).fit()
    margins.save(tmp_path / "margins")
    np.testing.assert_array_equal(
        load(tmp_path / "margins").scores(queries), margins.scores(queries)
    )


def test_another_version_of_the_method_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make().fit().save(tmp_path / "factors")
    interpreter = make()
    assert matches(interpreter, tmp_path / "factors")
    saved = Exact.version
    monkeypatch.setattr(Exact, "version", 7)
    assert not matches(interpreter, tmp_path / "factors")
    with pytest.raises(InterpreterError, match=rf"\n  version: saved {saved}, now 7$"):
        interpreter.restore(tmp_path / "factors")


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    class Odd(InfluenceInterpreter):
        def fit(self) -> None:
            self.table_ = {"a": {1, 2}}

        def precondition(self, gradients: Gradients) -> Gradients:
            return gradients

    with refused(
        "cannot save the attribute table_.a: it holds a set; attributes that end in _ are what "
        "fit() learnt, and may hold tensors, numbers, texts, and lists and dicts of them"
    ):
        make(Odd).fit().save(tmp_path / "factors")
    assert not (tmp_path / "factors").exists()


def test_differences_name_every_place() -> None:
    expected = {"a": 1, "b": {"c": [1, 2], "d": None}}
    found = {"a": 1.0, "b": {"c": [1, 3]}, "e": "x"}
    assert differences(expected, found) == [
        "b.c: saved [1, 3], now [1, 2]",
        'e: saved "x", now null',
    ]
