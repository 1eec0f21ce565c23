"""Errors of inverses over damping and threshold."""

from __future__ import annotations

import logging
import math
import re

import numpy as np
import pytest
import torch

from hessinf.curvature import EigenInversion, PseudoInversion
from hessinf.evaluation.curvature_inversion import (
    POLICIES,
    InversionErrors,
    inversion_errors,
)
from hessinf.evaluation.curvature_spectrum import Spectrum, spectrum_of
from hessinf.evaluation.errors import EvaluationError


def diagonal(*values: float) -> Spectrum:
    return spectrum_of("the matrix", np.diag(values))


def test_policies_by_hand():
    """Eigenvalues 1, 1e-3 and -0.2; damping 0.1, threshold 0.01."""
    found = inversion_errors(diagonal(1.0, 1e-3, -0.2), [0.1], [0.01])
    damped = np.array([1.1, 0.101, -0.1])
    inverses = {
        "pseudo": 1 / damped,
        "eigen-drop": np.array([1 / 1.1, 0, 0]),
        "eigen-clamp": 1 / np.array([1.1, 0.11, 0.11]),
        "eigen-flip": 1 / np.array([1.1, 0.11, 0.3]),
        "eigen-keep": np.array([1 / 1.1, 0, 1 / -0.1]),
    }
    assert set(found) == set(inverses) == set(POLICIES)
    for name, inverse in inverses.items():
        expected = np.linalg.norm(damped * inverse - 1)
        assert found[name].of_damped[0][0] == pytest.approx(expected, abs=1e-14)
        undamped = np.linalg.norm((damped - 0.1) * inverse - 1)
        assert found[name].of_undamped[0][0] == pytest.approx(undamped, abs=1e-14)


def test_it_is_what_the_inversion_itself_does():
    """The whole matrix, inverted by the registered class, multiplied out."""
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((9, 9))
    matrix = torch.from_numpy((matrix + matrix.T) / 2)
    eye = torch.eye(9, dtype=torch.float64)
    found = inversion_errors(spectrum_of("the matrix", matrix), [0.2, 1.0], [0.3, 0.6])
    for name, inversion in (
        ("pseudo", lambda threshold: PseudoInversion(threshold)),
        ("eigen-flip", lambda threshold: EigenInversion(threshold, negative="flip")),
    ):
        for row, damping in enumerate((0.2, 1.0)):
            for column, threshold in enumerate((0.3, 0.6)):
                made = inversion(threshold)
                inverse = made.solve(made.factorize(matrix.clone(), damping)[0], eye)
                error = (matrix + damping * eye) @ inverse - eye
                assert found[name].of_damped[row][column] == pytest.approx(
                    float(error.norm()), abs=1e-12
                )


class TestExact:
    def found(self, matrix: torch.Tensor, dampings: list[float]) -> InversionErrors:
        return inversion_errors(
            spectrum_of("the matrix", matrix),
            dampings,
            [0.0],
            matrix=matrix,
            generator=torch.Generator().manual_seed(0),
        )["exact"]

    def test_is_rounding(self):
        matrix = torch.diag(torch.tensor([1.0, 1e-3, 1e-6], dtype=torch.float64))
        before = matrix.clone()
        found = self.found(matrix, [1e-4])
        assert found.thresholds == (None,)
        assert found.of_damped[0][0] < 1e-10
        assert torch.equal(matrix, before)

    def test_error_to_the_undamped_matrix_is_what_damping_changes(self):
        matrix = torch.diag(torch.tensor([1.0, 3.0], dtype=torch.float64))
        found = self.found(matrix, [1.0])
        assert found.of_undamped[0][0] == pytest.approx(math.hypot(1 / 2, 1 / 4))

    def test_a_singular_matrix_has_none(self):
        found = self.found(torch.diag(torch.tensor([1.0, -0.5], dtype=torch.float64)), [0.5, 0.1])
        assert math.isnan(found.of_damped[0][0])
        assert math.isnan(found.of_undamped[0][0])
        assert found.of_damped[1][0] < 1e-13

    def test_says_nothing_of_negative_eigenvalues(self, caplog):
        with caplog.at_level(logging.WARNING):
            self.found(torch.diag(torch.tensor([1.0, -0.5], dtype=torch.float64)), [0.1])
        assert caplog.records == []

    def test_needs_a_generator(self):
        matrix = torch.eye(2, dtype=torch.float64)
        message = 'the inversion "exact" is measured with random vectors: give a generator'
        with pytest.raises(EvaluationError, match=re.escape(message)):
            inversion_errors(spectrum_of("the matrix", matrix), [1.0], [0.0], matrix=matrix)


def test_what_cannot_be_inverted_is_no_number():
    found = inversion_errors(diagonal(1e-9, -1e-9), [1e-3], [1e-4])
    assert math.isnan(found["eigen-drop"].of_damped[0][0])
    assert not math.isnan(found["eigen-clamp"].of_damped[0][0])


def test_an_empty_grid():
    message = "inversion errors need at least one damping and one threshold"
    with pytest.raises(EvaluationError, match=re.escape(message)):
        inversion_errors(diagonal(1.0), [], [1e-4])
