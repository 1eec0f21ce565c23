from __future__ import annotations

import pytest

from hessinf.reporting.trust_statements import (
    directions_above,
    query_statements,
    trust_statements,
)
from tests.reporting.made_up_lines import block


def said(metrics=None, diagnostics=None, **others):
    """What is said beyond the training of the model."""
    found = trust_statements(
        {"training": {"gradient_norm": 1.0}, **(metrics or {})}, diagnostics, **others
    )
    assert found[0] == ("note", "The gradient of the training objective has the norm 1.000.")
    return found[1:]


def of_training(**record):
    return trust_statements({"training": {"loss": 0.0124, **record}})


def test_a_run_that_is_not_finished_says_little():
    assert trust_statements({}) == [
        (
            "note",
            "How the model was trained is not recorded: influence assumes a minimum of the "
            "training loss, and nobody has measured how far from one this model is.",
        )
    ]
    assert trust_statements({"training": None}) == trust_statements({})


@pytest.mark.parametrize(
    ("record", "level", "text"),
    [
        (
            {"gradient_norm": 1.2e-9, "tolerance_reached": True, "relative_gradient_norm": 0.5},
            "good",
            "The model is at a minimum of its training objective: gradient norm 1.20e-9, training "
            "loss 0.0124.",
        ),
        (
            {"gradient_norm": 1e-4, "relative_gradient_norm": 0.001},
            "good",
            "The model is as good as at a minimum of its training objective: the gradient has "
            "0.1 % of its norm before training (now 1.00e-4, training loss 0.0124).",
        ),
        (
            {"gradient_norm": 0.00475, "relative_gradient_norm": 0.0609},
            "note",
            "The model is near a minimum of its training objective, not at one: the gradient has "
            "6.1 % of its norm before training (now 0.00475, training loss 0.0124).",
        ),
        (
            {"gradient_norm": 0.5, "relative_gradient_norm": 0.26, "tolerance_reached": False},
            "warning",
            "The model is far from a minimum of its training objective: the gradient has 26.0 % of "
            "its norm before training (now 0.500, training loss 0.0124). Influence assumes a "
            "minimum: train longer, or take scores for a ranking only.",
        ),
        (
            {"gradient_norm": 0.5, "relative_gradient_norm": None},
            "note",
            "The gradient of the training objective has the norm 0.500.",
        ),
    ],
)
def test_the_distance_from_a_minimum(record, level, text):
    assert of_training(**record) == [(level, text)]


@pytest.mark.parametrize(
    ("damping", "text"),
    [
        (
            0.001,
            "Damping λ is 0.001: where the training loss curves less than that, scores are held "
            "back. A larger λ makes them calmer, a smaller one closer to retraining.",
        ),
        (
            {"0": 4.17e-4, "2": 0.00138},
            "Damping λ is 4.17e-4 to 0.00138, by block: where the training loss curves less than "
            "that, scores are held back. A larger λ makes them calmer, a smaller one closer to "
            "retraining.",
        ),
        ({"0": 0.0, "2": 0}, "Damping λ is 0: the curvature is inverted as it is."),
        (
            None,
            "This method inverts no curvature and has no damping: scores rank examples by "
            "similarity; their size, and changes of the loss made of it, say little.",
        ),
    ],
)
def test_damping(damping, text):
    assert said({"damping": damping}) == [("note", text)]


def test_dampings_of_checkpoints_and_blocks_are_joined():
    (_, text), *_ = said({"damping": {"a.pt": {"0": 0.1}, "b.pt": {"0": 0.4}}})
    assert text.startswith("Damping λ is 0.1 to 0.4, by block: ")


def test_directions_are_counted_where_the_curvature_is_larger_than_the_damping():
    first = block("a", [5.0, 1.0, 0.2, 0.11, 0.01], 0.1, ranks=[1, 2, 3, 10, 30], count=100)
    found = {"blocks": [first, block("b", [2.0], 1.0, count=8)]}
    assert said(spectrum=found) == [
        (
            "note",
            "The curvature is larger than λ in about 11 of 108 directions of the parameters; in "
            "the others λ decides.",
        )
    ]
    assert said(spectrum={"blocks": [block("a", [3.0, 2.0], 0.1)]}) == [
        ("good", "The curvature is larger than λ in all 2 directions of the parameters.")
    ]
    assert said(spectrum={"blocks": [block("a", [3.0, 2.0], 9.0)]}) == [
        (
            "note",
            "The curvature is larger than λ in none of 2 directions of the parameters; in the "
            "others λ decides.",
        )
    ]
    assert said(spectrum={"blocks": []}) == []


def test_eigenvalues_that_are_no_numbers_are_not_above():
    assert directions_above({"damping": None, "ranks": [1, 2], "eigenvalues": [1.0, "nan"]}) == 1


@pytest.mark.parametrize(
    ("share", "level", "text"),
    [
        (1.0, "good", "All 1,234 parameters of the model are covered."),
        (
            0.5,
            "note",
            "1,234 parameters, 50.0 % of the model's, are covered: what training examples do to "
            "the others is left out.",
        ),
        (
            0.1,
            "warning",
            "1,234 parameters, 10.0 % of the model's, are covered: what training examples do to "
            "the others is left out.",
        ),
    ],
)
def test_coverage(share, level, text):
    assert said({"parameters": {"covered": 1234, "share": share}}) == [(level, text)]


@pytest.mark.parametrize(
    ("largest", "level"),
    [(1e-3, "good"), (0.0011, "note"), (0.1, "note"), (0.11, "warning"), ("inf", "warning")],
)
def test_residuals(largest, level):
    found = said({"relative_residual": {"median": 1e-7, "largest": largest}})
    assert [one for one, _ in found] == [level]
    assert found[0][1].startswith("Solutions have a relative residual of 1.00e-7 (median), ")
    assert found[0][1].endswith(" (largest); 0 is exact.")


@pytest.mark.parametrize(
    ("interpreter", "argument"),
    [("simple-influence", "recursion_depth"), ("conjugate-gradient", "the number of steps")],
)
def test_solvers_that_stopped_early(interpreter, argument):
    assert said({"stopped_early": 3, "queries": 1200, "interpreter": interpreter}) == [
        ("warning", f"The solver stopped early for 3 of 1,200 queries: raise {argument}.")
    ]


def test_solvers_that_did_not():
    assert said({"stopped_early": 0, "queries": 1200}) == []


def test_eigenvalues():
    assert said({"mended_eigenvalues": 1, "negative_eigenvalues": 1}) == [
        (
            "note",
            "1 eigenvalue of the curvature, negative or too small, was mended before it was "
            "inverted.",
        )
    ]
    assert said({"mended_eigenvalues": 12}) == [
        (
            "note",
            "12 eigenvalues of the curvature, negative or too small, were mended before it was "
            "inverted.",
        )
    ]
    assert said({"negative_eigenvalues": 2}) == [
        (
            "warning",
            "The damped curvature has 2 negative eigenvalues: the model is at no minimum, and "
            "scores may mean little.",
        )
    ]
    assert said({"negative_eigenvalues": 0}) == []


@pytest.mark.parametrize(
    ("diagnostics", "level", "text"),
    [
        (
            {"fisher": "empirical"},
            "note",
            "The curvature is an empirical Fisher, of the labels in the data: far from the "
            "curvature of the loss where the model is unsure or wrong.",
        ),
        (
            {
                "fisher": "monte-carlo",
                "fisher_samples": 1,
                "fisher_relative_standard_error": 0.032,
            },
            "note",
            "The curvature was sampled (1 sample of each example): its size is known to 3.2 %.",
        ),
        (
            {"fisher_relative_standard_error": 0.2},
            "warning",
            "The curvature was sampled: its size is known to 20.0 %. Another seed gives other "
            "scores: raise samples.",
        ),
        (
            {"rank": 100, "trace_captured": 0.93},
            "note",
            "The curvature was reduced to rank 100, with 93.0 % of its trace.",
        ),
        ({"rank": 3}, "note", "The curvature was reduced to rank 3."),
        ({"kronecker_share": 0.5}, "note", "Kronecker factors stand for 50.0 % of the parameters."),
        (
            {"diagonal_parameters": "scale, shift"},
            "note",
            "Only the diagonal of the curvature is used for scale, shift.",
        ),
        (
            {"refinement": "newton-step"},
            "good",
            "Loss changes of the listed examples are refined: a Newton step without the example "
            "was made, and the loss evaluated there.",
        ),
    ],
)
def test_what_the_method_says_of_itself(diagnostics, level, text):
    assert said({}, diagnostics) == [(level, text)]


def test_what_is_as_usual_needs_no_word():
    assert said({}, {"fisher": "type-2", "kronecker_share": 1.0, "steps": 4}) == []


def test_checkpoints():
    assert said({"checkpoints": ["a.pt", "b.pt"]}) == [
        ("note", "Scores are added up over 2 checkpoints.")
    ]


@pytest.mark.parametrize(
    ("diagnostics", "statements"),
    [
        ({}, []),
        ({"converged": True, "negative_curvature": False, "not_refined": []}, []),
        (
            {"relative_residual": 2e-7},
            [("good", "The solver left a relative residual of 2.00e-7.")],
        ),
        (
            {"relative_residual": 0.5, "converged": False},
            [
                ("warning", "The solver left a relative residual of 0.500."),
                ("warning", "The solver stopped before this query was solved."),
            ],
        ),
        (
            {"negative_curvature": True},
            [
                (
                    "warning",
                    "The solver met a direction without positive curvature, and kept what it had "
                    "before.",
                )
            ],
        ),
        (
            {"score_error_bound": 0.02},
            [("note", "Rounding of the factors may have changed scores by 2.0 % of their size.")],
        ),
        (
            {"score_error_bound": 0.2},
            [
                (
                    "warning",
                    "Rounding of the factors may have changed scores by 20.0 % of their size.",
                )
            ],
        ),
        ({"score_error_bound": 1e-6}, []),
        (
            {"not_refined": [7, 9]},
            [
                (
                    "note",
                    "2 listed examples could not be refined: without one of them the Newton step "
                    "has no answer.",
                )
            ],
        ),
    ],
)
def test_a_query(diagnostics, statements):
    assert query_statements(diagnostics) == statements
