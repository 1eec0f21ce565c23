"""The eigenvalues that methods show are those of the curvature that they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hessinf.curvature import inversion
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.shown_curvature import dense_curvature
from hessinf.testing import problems

WEIGHT_DECAY = 0.03

ALL: list[tuple[str, dict[str, Any], str]] = [
    ("kfac", {}, "K-FAC, type-2 Fisher"),
    ("ekfac", {"fisher": "empirical"}, "EK-FAC, empirical Fisher"),
    ("diagonal", {}, "diagonal, type-2 Fisher"),
    ("exact", {"damping": 1.0}, "Hessian"),
    ("exact", {"damping": 0.1, "inversion": "eigen"}, "Hessian"),
    ("ggn", {"form": "primal"}, "generalized Gauss-Newton matrix"),
    ("ggn", {"form": "dual"}, "generalized Gauss-Newton matrix"),
    ("ggn", {"form": "dual", "inversion": "eigen"}, "generalized Gauss-Newton matrix"),
    ("block-ggn", {}, "generalized Gauss-Newton matrix, block by block"),
    ("block-hessian", {"damping": 1.0}, "Hessian, block by block"),
]


def make(name: str, problem: Any = None, **given: Any) -> InfluenceInterpreter:
    problem = problem or problems.multilayer_perceptron()
    made: InfluenceInterpreter = InfluenceInterpreter.by_name(name)(
        problem.module(),
        problem.train,
        objective=problem.objective,
        weight_decay=WEIGHT_DECAY,
        **given,
    )
    return made.fit()


@pytest.mark.parametrize(("name", "given", "words"), ALL)
def test_all_eigenvalues(name: str, given: dict[str, Any], words: str) -> None:
    interpreter = make(name, **given)
    found = interpreter.curvature_spectrum()
    assert found.complete
    assert found.curvature == words
    values = torch.cat([block.eigenvalues.flatten() for block in found.blocks]).sort().values
    expected = torch.linalg.eigvalsh(dense_curvature(interpreter))
    assert len(values) == interpreter.model.layout.size
    assert sum(block.size for block in found.blocks) == len(values)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-10 * float(expected.max()))
    if not name.startswith("block") and name not in ("kfac", "ekfac"):
        assert [block.name for block in found.blocks] == ["all parameters"]


@pytest.mark.parametrize(("name", "given", "words"), ALL)
def test_damping_is_what_was_added(name: str, given: dict[str, Any], words: str) -> None:
    interpreter = make(name, **{**given, "damping": {"relative": 2.0}})
    found = interpreter.curvature_spectrum()
    applied = interpreter.damping_
    for block in found.blocks:
        own = applied[block.name] if isinstance(applied, dict) else applied
        assert block.damping == own > 0


@pytest.mark.parametrize("curvature", ["ggn", "hessian"])
@pytest.mark.parametrize("name", ["arnoldi", "nystroem"])
def test_the_largest_of_a_low_rank(name: str, curvature: str) -> None:
    convex = problems.logistic_regression()  # Nyström takes no negative eigenvalues
    interpreter = make(name, convex, rank=4, curvature=curvature, damping=1.0)
    found = interpreter.curvature_spectrum()
    assert not found.complete
    (block,) = found.blocks
    assert block.size == interpreter.model.layout.size
    assert len(block.eigenvalues) == 4
    torch.testing.assert_close(block.eigenvalues, interpreter.eigenvalues_ + WEIGHT_DECAY)
    words = {"ggn": "generalized Gauss-Newton matrix", "hessian": "Hessian"}[curvature]
    assert found.curvature == f"{words}, low rank"


def test_a_whole_low_rank_is_complete() -> None:
    problem = problems.logistic_regression()
    size = make("gradient-dot", problem).model.layout.size
    found = make("arnoldi", problem, rank=size, damping=1.0).curvature_spectrum()
    assert found.complete == (len(found.blocks[0].eigenvalues) == size)


@pytest.mark.parametrize("name", ["gradient-dot", "conjugate-gradient", "simple-influence"])
def test_none_where_none_is_known(name: str) -> None:
    assert make(name).curvature_spectrum() is None


@pytest.mark.parametrize("form", ["primal", "dual"])
def test_nothing_large_is_decomposed(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inversion, "MOST_DECOMPOSED", 5)
    assert make("ggn", form=form).curvature_spectrum() is None
    assert make("exact", damping=1.0).curvature_spectrum() is None
    assert make("ggn", form=form, inversion="eigen").curvature_spectrum() is not None
    # One block of those that it has is too large: none is shown by itself.
    assert make("block-ggn").curvature_spectrum() is None


def test_looking_changes_nothing() -> None:
    interpreter = make("exact", damping=1.0)
    problem = problems.multilayer_perceptron()
    before = interpreter.scores(problem.queries)
    interpreter.curvature_spectrum()
    np.testing.assert_array_equal(interpreter.scores(problem.queries), before)
