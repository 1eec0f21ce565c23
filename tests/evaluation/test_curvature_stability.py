"""Condition numbers and counts of signs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hessinf.evaluation.curvature_stability import condition_number, stability_statistics
from hessinf.evaluation.errors import EvaluationError

INDEFINITE = np.diag([5.4, 1e-7, -4e-3])


def test_condition_of_an_indefinite_matrix():
    assert condition_number(INDEFINITE) == pytest.approx(5.4e7, rel=1e-9)
    assert condition_number([5.4, 1e-7, -4e-3]) == pytest.approx(5.4e7, rel=1e-12)


def test_what_the_published_code_says_of_it():
    found = condition_number(INDEFINITE, seed_compatible=True)
    assert found == pytest.approx(5.4 / 4e-3, rel=1e-8)


def test_both_agree_for_positive_matrices():
    matrix = np.diag([2.0, 0.5, 1.0])
    assert condition_number(matrix) == 4
    assert condition_number(matrix, seed_compatible=True) == pytest.approx(4, rel=1e-10)


def test_condition_does_not_depend_on_the_basis_or_the_sign():
    generator = np.random.default_rng(0)
    turn = np.linalg.qr(generator.standard_normal((3, 3)))[0]
    turned = turn @ np.diag([5.4, 0.2, -4e-3]) @ turn.T
    turned = (turned + turned.T) / 2
    assert condition_number(turned) == pytest.approx(1350, rel=1e-9)
    assert condition_number(-turned) == pytest.approx(1350, rel=1e-9)


@pytest.mark.parametrize("smallest", [0.0, 1e-17, -1e-17])
def test_condition_of_a_singular_matrix(smallest):
    assert condition_number(np.diag([1.0, smallest])) == math.inf


def test_statistics():
    found = stability_statistics(np.diag([5.4, 1e-7, 0.0, 1e-18, -4e-3, -2e-7]))
    assert found.to_json() == {
        "condition": math.inf,
        "smallest": -4e-3,
        "largest": 5.4,
        "positive": 2,
        "negative": 2,
        "zero": 2,
        "near_zero": 4,
    }


def test_rounding_is_not_taken_for_negative_curvature():
    """A product of factors is positive semidefinite, whatever eigenvalues come out."""
    generator = np.random.default_rng(3)
    factor = generator.standard_normal((40, 7))
    eigenvalues = np.linalg.eigvalsh(factor @ factor.T)
    assert (eigenvalues < 0).sum() > 0
    found = stability_statistics(factor @ factor.T)
    assert (found.positive, found.negative, found.zero) == (7, 0, 33)


def test_another_threshold():
    assert stability_statistics([1.0, 0.05, -0.05], near_zero=0.1).near_zero == 2


@pytest.mark.parametrize("eigenvalues", [[], [1.0, float("nan")]])
def test_nothing_to_count(eigenvalues):
    with pytest.raises(
        EvaluationError,
        match=r"the eigenvalues are none, or not finite: nothing can be said of them",
    ):
        condition_number(eigenvalues)
