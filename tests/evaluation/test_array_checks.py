from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.evaluation.array_checks import finite_array, require_finite
from hessinf.evaluation.errors import EvaluationError


def refusal(name: str, value: object, axes: str, sizes: dict[str, int]) -> str:
    with pytest.raises(EvaluationError) as caught:
        finite_array(name, value, axes, sizes)
    return str(caught.value)


def test_array_is_returned_as_float64() -> None:
    found = finite_array("scores", [[1, 2], [3, 4]], "queries, training examples", {"queries": 2})
    assert found.dtype == np.float64
    assert found.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_what_is_given_is_not_changed() -> None:
    given = np.ones((2, 3))
    finite_array("scores", given, "queries, training examples", {})[0, 0] = 5
    assert given[0, 0] == 1


def test_other_number_of_axes_is_refused() -> None:
    assert refusal("scores", np.ones(3), "queries, training examples", {}) == (
        "scores has shape [3], expected [queries, training examples], one of each at least"
    )


def test_empty_array_is_refused() -> None:
    assert refusal("scores", np.ones((0, 3)), "queries, training examples", {}) == (
        "scores has shape [0, 3], expected [queries, training examples], one of each at least"
    )


def test_other_length_is_refused_with_its_axis() -> None:
    text = refusal("scores", np.ones((3, 2)), "queries, training examples", {"queries": 2})
    assert text == (
        "scores has shape [3, 2], that is 3 queries; expected 2 queries, as the other arrays have: "
        "[queries, training examples] (axis 0)"
    )


def test_texts_and_complex_numbers_are_refused() -> None:
    assert refusal("masks", np.array([["a"]]), "subsets, training examples", {}) == (
        "masks holds <U1, expected real numbers"
    )
    assert "complex128" in refusal("masks", np.ones((1, 1)) * 1j, "a, b", {})


@pytest.mark.parametrize(("bad", "said"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_numbers_that_are_not_finite_are_refused_with_their_place(bad: float, said: str) -> None:
    values = np.zeros((4, 5))
    values[2, 3] = values[3, 1] = bad
    expected = (
        f"values[2, 3] is {said}, expected finite numbers (2 of 20 are not): they have no rank; "
        "find out where they come from, they are not left out here"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(expected)}$"):
        require_finite("values", values)
