from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.flips import brittleness_curve, flipped
from hessinf.evaluation.ranking import wilson_interval


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([3], False),
        ([1], True),
        ([3, 1], False),  # half of them is not most of them
        ([1, 1], True),
        ([3, 3, 1], False),
        ([3, 1, 2], True),  # other classes need not be the same
        ([3, 3, 1, 2], False),
    ],
)
def test_most_models_predict_another_class(classes, expected):
    assert flipped(np.array([classes]), np.array([3])).tolist() == [expected]


def test_shapes():
    classes = np.arange(24).reshape(2, 4, 3)
    assert flipped(classes, np.zeros((2, 4))).shape == (2, 4)
    text = (
        "classes have shape [2, 4, 3], expected [4, 2] as what was predicted before, and one more "
        "for the models"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        flipped(classes, np.zeros((4, 2)))
    with pytest.raises(EvaluationError, match="one more for the models"):
        flipped(np.zeros((2, 0)), np.zeros(2))


def test_the_curve_counts():
    flips = np.array([[False, True], [False, True], [False, False], [True, True]])
    margins = np.array([[0.0, -1.0], [0.0, -1.0], [1.0, 1.0], [-1.0, -3.0]])
    few, many = brittleness_curve(flips, margins, [5, 10])
    assert (few["removed"], few["flipped"], few["share"]) == (5, 1, 0.25)
    assert (many["removed"], many["flipped"], many["share"]) == (10, 3, 0.75)
    assert (few["margin_change"], many["margin_change"]) == (0, -1)
    assert many["interval"] == list(wilson_interval(3, 4))
