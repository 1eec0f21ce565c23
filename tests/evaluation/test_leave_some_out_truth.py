"""Leave-some-out ground truth of convex models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hessinf.evaluation import (
    EvaluationError,
    GroundTruth,
    LeaveSomeOutRetraining,
)
from hessinf.registry import ConfigError
from tests.evaluation.problems import small_network_problem, small_problem


class TestRetraining:
    def test_masks_and_losses(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=30)
        few, many = LeaveSomeOutRetraining(alphas=(0.5, 0.9), subsets=4).produce(problem)
        assert (few.alpha, many.alpha) == (0.5, 0.9)
        assert few.masks.sum(axis=1).tolist() == [15] * 4
        assert many.masks.sum(axis=1).tolist() == [27] * 4
        assert few.loss_diffs.shape == (4, 12)
        assert few.loss_diffs.dtype == np.float64
        assert few.loss_diffs.mean() > many.loss_diffs.mean()

    def test_a_subset_without_one_is_leave_one_out(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=30)
        (found,) = LeaveSomeOutRetraining(alphas=(0.967,), subsets=3).produce(problem)
        left_out = [int(np.flatnonzero(mask == 0)[0]) for mask in found.masks]
        single = GroundTruth.from_config({"type": "leave-one-out"}).produce(problem)
        np.testing.assert_allclose(found.loss_diffs, single.changes[left_out], atol=1e-6)

    def test_networks_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            EvaluationError, match=r'^"leave-some-out" retrains convex models .*"lds"'
        ):
            LeaveSomeOutRetraining().check(small_network_problem(tmp_path, epochs=1))

    def test_shares_that_leave_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(EvaluationError, match=r"^alpha 0\.01 of 30 training examples"):
            LeaveSomeOutRetraining(alphas=(0.01,)).check(small_problem(tmp_path, train_size=30))

    def test_shares_said_twice(self) -> None:
        with pytest.raises(ConfigError, match="alphas has the same share twice: "):
            GroundTruth.from_config({"type": "leave-some-out", "alphas": [0.5, 0.5]})
