"""What hessinf asks of every method. The plugin's own claims stand in the other files."""

from __future__ import annotations

from typing import ClassVar

import hessinf_label_similarity  # noqa: F401 (registers the names)
import numpy as np

from hessinf.testing import InterpreterConformance, Problem, Tolerance, references


class TestGradientWhitening(InterpreterConformance):
    """A preconditioner: its reference is the matrix that it inverts."""

    name = "gradient-whitening"
    tolerance = Tolerance(relative=1e-8)
    # No Hessian: loss changes come out nearly proportional to the true ones, in another size.
    retraining_correlation = 0.95
    retraining_slope = None

    def dense_curvature(self, problem: Problem, frozen: tuple[str, ...] = ()) -> np.ndarray:
        gradients = references.gradients(problem, problem.train, frozen)  # [N, P]
        return np.diag(gradients.var(axis=0) + problem.weight_decay)  # [P, P]


class TestLabelSimilarity(InterpreterConformance):
    """No preconditioner: its reference is the scores themselves."""

    name = "label-similarity"
    tolerance = Tolerance(relative=1e-8)
    larger_damping = None  # it has no damping
    retraining_correlation = 0.5
    retraining_slope = None  # cosines say nothing about size
    refused_problems: ClassVar = dict.fromkeys(
        ["ridge_regression", "regression_network", "transformer", "language_model"],
        "^label-similarity needs one label an example, found targets of shape ",
    )

    def reference(
        self, problem: Problem, damping: float, frozen: tuple[str, ...] = ()
    ) -> np.ndarray:
        train = references.gradients(problem, problem.train, frozen)  # [N, P]
        queries = references.gradients(problem, problem.queries, frozen)  # [Q, P]
        labels = problem.train[1].numpy()  # [N]
        means = np.stack([train[labels == label].mean(axis=0) for label in np.unique(labels)])

        def profiles(gradients: np.ndarray) -> np.ndarray:
            lengths = np.linalg.norm(gradients, axis=1)[:, None] * np.linalg.norm(means, axis=1)
            return gradients @ means.T / lengths  # [B, C]

        return profiles(queries) @ profiles(train).T / len(means)  # [Q, N]
