from __future__ import annotations

import math

import pytest

from hessinf.reporting.how_sure import ScoreSpread, how_sure, score_spread

SPREAD = ScoreSpread(count=1617, typical=0.5)
LARGEST = math.sqrt(2 * math.log(1617)) * 0.5  # 1.92


def sure(score=5.0, *, helpful=True, spread=SPREAD, loss=0.3, diagnostics=None, **entry):
    return how_sure(
        {"score": score, **entry},
        helpful=helpful,
        spread=spread,
        diagnostics=diagnostics or {},
        query_loss=loss,
    )


def test_the_typical_score_is_the_root_mean_square():
    found = score_spread({"count": 10, "mean": 3.0, "standard_deviation": 4.0})
    assert found == ScoreSpread(10, 5.0)


@pytest.mark.parametrize("scores", [None, {}, {"count": 0}])
def test_without_a_distribution_nothing_is_known(scores):
    assert score_spread(scores) is None


@pytest.mark.parametrize(
    ("score", "level", "text"),
    [
        (2.001 * LARGEST, "high", "stands out: 7.7 times the typical score of this query"),
        (1.999 * LARGEST, "medium", "larger than most: 7.7 times the typical score of this query"),
        (1.001 * LARGEST, "medium", "larger than most: 3.8 times the typical score of this query"),
        (0.999 * LARGEST, "low", "one of many: 3.8 times the typical score of this query"),
        (7.0, "high", "stands out: 14 times the typical score of this query"),
        (0.01, "low", "one of many: less than a tenth of the typical score of this query"),
        (1234.5, "high", "stands out: 2,469 times the typical score of this query"),
    ],
)
def test_a_score_is_held_against_the_largest_of_bell_shaped_ones(score, level, text):
    assert sure(score) == {"level": level, "text": text}
    assert sure(-score, helpful=False) == {"level": level, "text": text}


def test_nothing_is_said_where_nothing_is_known():
    assert sure(spread=None) == {"level": None, "text": ""}
    assert sure(spread=ScoreSpread(10, 0.0)) == {"level": None, "text": ""}


def test_one_score_alone_is_no_distribution_that_it_stands_out_of():
    assert sure(1.0, spread=ScoreSpread(1, 1.0))["level"] == "low"


def test_a_score_of_zero_is_no_influence():
    assert sure(0.0) == {"level": "low", "text": "no influence: the score is 0"}


def test_a_score_of_the_other_sign_is_there_because_the_list_has_room():
    assert sure(-5.0) == {
        "level": "low",
        "text": "listed because the list has room: no other example helps this query",
    }
    assert sure(5.0, helpful=False)["text"] == (
        "listed because the list has room: no other example harms this query"
    )


OUT = "stands out: 10 times the typical score of this query"


@pytest.mark.parametrize(
    ("diagnostics", "level", "reason"),
    [
        ({"negative_curvature": True}, "low", "the solver met negative curvature"),
        ({"negative_eigenvalues": 3}, "low", "the curvature has negative eigenvalues"),
        (
            {"converged": False, "relative_residual": 0.31},
            "low",
            "the solver stopped far from the solution",
        ),
        ({"converged": False, "relative_residual": 0.29}, "medium", "the solver stopped early"),
        ({"converged": False}, "medium", "the solver stopped early"),
        (
            {"converged": False, "relative_residual": "inf"},
            "low",
            "the solver stopped far from the solution",
        ),
        ({"relative_residual": 0.12}, "medium", "the solver left a residual of 0.120"),
        ({"relative_residual": "nan"}, "medium", "the solver left a residual of NaN"),
        (
            {"fisher_relative_standard_error": 0.2},
            "medium",
            "the curvature was sampled roughly",
        ),
        (
            {"score_error_bound": 5.1},
            "low",
            "the error bound of the scores is more than half of this score",
        ),
        (
            {"score_error_bound": 1.1},
            "medium",
            "the error bound of the scores is a tenth of this score or more",
        ),
    ],
)
def test_a_doubt_lowers_the_level_and_is_said_first(diagnostics, level, reason):
    assert sure(diagnostics=diagnostics) == {"level": level, "text": f"{reason}; {OUT}"}
    assert sure(diagnostics=diagnostics, spread=None) in (
        {"level": level, "text": reason},
        {"level": None, "text": ""},  # an error bound is of no use without the other scores
    )


@pytest.mark.parametrize(
    "diagnostics",
    [
        {"negative_curvature": False, "converged": True, "relative_residual": 0.1},
        {"negative_eigenvalues": 3, "mended_eigenvalues": 3},
        {"negative_eigenvalues": 0},
        {"fisher_relative_standard_error": 0.1},
        {"score_error_bound": 0.9},
        {"steps": 30, "scale": "nan"},
    ],
)
def test_what_is_small_or_mended_lowers_nothing(diagnostics):
    assert sure(diagnostics=diagnostics) == {"level": "high", "text": OUT}


def test_the_gravest_doubt_is_said():
    found = sure(diagnostics={"converged": False, "negative_curvature": True})
    assert found == {"level": "low", "text": f"the solver met negative curvature; {OUT}"}


def test_a_doubt_never_raises_a_level():
    found = sure(1.0, diagnostics={"converged": False})
    assert found == {
        "level": "low",
        "text": "one of many: 2 times the typical score of this query",
    }


@pytest.mark.parametrize(
    ("refined", "level", "text"),
    [
        (0.012, "high", f"{OUT}; a Newton step without it confirms the size"),
        (0.02, "high", f"{OUT}; a Newton step without it confirms the size"),
        (0.005, "high", f"{OUT}; a Newton step without it confirms the size"),
        (0.021, "medium", f"a Newton step without it gives a change of another size; {OUT}"),
        (0.0049, "medium", f"a Newton step without it gives a change of another size; {OUT}"),
        (-0.001, "low", f"a Newton step without it changes the loss the other way; {OUT}"),
        (0.0, "medium", f"a Newton step without it gives a change of another size; {OUT}"),
    ],
)
def test_a_refined_change_is_held_against_the_first_order(refined, level, text):
    found = sure(loss_change_if_removed=0.01, loss_change_refined=refined)
    assert found == {"level": level, "text": text}


def test_a_loss_cannot_fall_by_more_than_there_is():
    doubt = "the predicted fall is more than the whole loss, so its size is doubtful"
    entry = {"helpful": False, "loss": 0.3}
    assert sure(-5.0, **entry, loss_change_if_removed=-0.31) == {
        "level": "medium",
        "text": f"{doubt}; {OUT}",
    }
    assert sure(-5.0, **entry, loss_change_if_removed=-0.29)["level"] == "high"
    # A loss of one's own may be negative, and a measurement is no loss.
    assert sure(-5.0, helpful=False, loss=-1.0, loss_change_if_removed=-9.0)["level"] == "high"
    assert sure(-5.0, helpful=False, loss=None, loss_change_if_removed=-9.0)["level"] == "high"


def test_a_change_that_is_not_known_says_nothing():
    assert sure(loss_change_if_removed=None) == {"level": "high", "text": OUT}
