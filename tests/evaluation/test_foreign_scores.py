from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hessinf.evaluation.foreign_scores import References, check, checked_rows
from hessinf.evaluation.method_attribution import MethodAttribution
from hessinf.evaluation.problem import Problem
from hessinf.evaluation.scores_file import ReadScores
from tests.evaluation.problems import small_network_problem, small_problem

EKFAC = {"type": "ekfac", "damping": 0.01}


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """As many queries as training examples."""
    return small_network_problem(
        tmp_path_factory.mktemp("square"), train_size=36, queries=36, models=3
    )


@pytest.fixture(scope="module")
def scores(square: Problem) -> np.ndarray:
    return MethodAttribution("ekfac", EKFAC, square).scores()


def test_a_transposed_square_matrix(square: Problem, scores: np.ndarray) -> None:
    references = References(square)
    assert check("x", scores, references).sentences == ()
    (sentence,) = check("x", scores.T, references).sentences
    assert sentence == (
        'the scores "x": rows and columns seem to be exchanged: transposed, they agree with the '
        'gradients of the explained model; if so, say NAME=FILE:transposed, or "transposed": true'
    )
    (sentence,) = check("x", -scores.T, references).sentences
    assert sentence == (
        'the scores "x": rows and columns seem to be exchanged, and the sign turned: with both '
        "turned back, they agree with the gradients of the explained model; if so, say "
        'NAME=FILE:transposed:negated, or "transposed": true and "negated": true'
    )


def test_models_that_hardly_differ_are_not_told_apart(tmp_path: Path) -> None:
    """A convex model is the same with every seed: scores of another seed are right too."""
    problem = small_problem(tmp_path, queries=20)
    right = MethodAttribution("exact", {"type": "exact", "damping": 0.01}, problem).scores()
    found = check("x", right, References(problem))
    assert found.sentences == ()
    assert found.facts["origin"]["between_models"] > 0.999
    assert found.facts["origin"]["tells"] is False


def test_without_a_trainer_no_other_model_is_looked_at(tmp_path: Path) -> None:
    problem = replace(small_network_problem(tmp_path, queries=20), trainer=None)
    right = MethodAttribution("ekfac", EKFAC, problem).scores()
    found = check("x", right, References(problem))
    assert found.facts["origin"] == (
        "not looked for: there is no trainer for models of other seeds"
    )


def test_few_queries_are_said_to_be_few(tmp_path: Path) -> None:
    problem = small_network_problem(tmp_path, queries=5)
    right = MethodAttribution("ekfac", EKFAC, problem).scores()
    found = check("x", right, References(problem))
    assert found.sentences == ()
    assert found.facts["origin"] == "not looked for: fewer than 16 queries"
    assert found.facts["gradient_dot"]["pairing"] is None
    (sentence,) = check("x", -right, References(problem)).sentences
    assert sentence.startswith('the scores "x": they agree with gradient-dot turned over (mean ')


def test_models_that_are_attributed_are_used_for_the_comparison(square: Problem) -> None:
    assert tuple(References(square).others()) == square.models[1:]


def test_models_for_the_comparison_are_kept(tmp_path: Path) -> None:
    problem = small_network_problem(tmp_path, train_size=20, epochs=2)
    first = References(problem, models_folder=tmp_path / "models").others()
    again = References(problem, models_folder=tmp_path / "models").others()
    assert len(list((tmp_path / "models").iterdir())) == 2
    assert [one.fingerprint for one in first] == [one.fingerprint for one in again]
    assert {one.seed for one in first}.isdisjoint({problem.seed})


def test_rows_carry_what_was_found(square: Problem, scores: np.ndarray) -> None:
    problem = replace(square, warnings=[])
    given = {
        "right": ReadScores(scores, {"scores": "a.npy"}),
        "wrong": ReadScores(-scores, {"scores": "b.npy"}),
    }
    rows = checked_rows(given, problem, provenance={})
    np.testing.assert_array_equal(rows["wrong"].scores(), -scores)
    assert rows["right"].facts()["checks"]["suspected"] is None
    assert rows["wrong"].facts()["checks"]["suspected"] == "negated"
    assert rows["wrong"].facts()["scores"] == "b.npy"
    assert [warning[:20] for warning in problem.warnings] == ['the scores "wrong": ']
