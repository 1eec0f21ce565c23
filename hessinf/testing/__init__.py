"""The conformance suite: what every registered name has to pass, for plugin authors too."""

import pytest

# Checks are plain asserts in modules that are no test files: this makes failures show values.
pytest.register_assert_rewrite(
    *(
        f"hessinf.testing.{name}"
        for name in (
            "failure_checks",
            "further_checks",
            "invariance_checks",
            "precision_checks",
            "result_checks",
            "score_checks",
            "state_checks",
            "suite",
            "tolerance",
        )
    )
)

from hessinf.testing.conformance import InterpreterConformance, ScoreConformance  # noqa: E402
from hessinf.testing.problems import (  # noqa: E402
    Problem,
    convolutional_network,
    language_model,
    logistic_regression,
    multilayer_perceptron,
    regression_network,
    ridge_regression,
    transformer,
    weighted_classes,
)
from hessinf.testing.tolerance import Tolerance  # noqa: E402

__all__ = [
    "InterpreterConformance",
    "Problem",
    "ScoreConformance",
    "Tolerance",
    "convolutional_network",
    "language_model",
    "logistic_regression",
    "multilayer_perceptron",
    "regression_network",
    "ridge_regression",
    "transformer",
    "weighted_classes",
]
