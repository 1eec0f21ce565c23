from __future__ import annotations

import numpy as np

from hessinf.data.standardization import Standardization


def test_brings_features_to_mean_0_and_deviation_1():
    values = np.random.default_rng(0).normal(5, 3, size=(50, 4))
    scaled = Standardization.fit(values).apply(values)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-12)


def test_other_data_are_scaled_by_what_was_learnt():
    learnt = Standardization.fit(np.array([[1.0], [3.0]]))
    assert learnt == Standardization((2.0,), (1.0,))
    assert learnt.apply(np.array([[5.0]])).tolist() == [[3.0]]


def test_a_feature_that_never_changes_is_centered_and_not_scaled():
    # 0.1 is not a binary fraction: the mean of ten of them is not exactly 0.1.
    learnt = Standardization.fit(np.full((10, 1), 0.1))
    assert learnt == Standardization((0.1,), (1.0,))
    assert learnt.apply(np.array([[0.1], [0.3]])).tolist() == [[0.0], [0.3 - 0.1]]


def test_differences_too_small_to_square_do_not_divide_by_zero():
    learnt = Standardization.fit(np.array([[0.0], [1e-200]]))
    assert learnt.scale == (1.0,)
    assert np.isfinite(learnt.apply(np.array([[1.0]]))).all()
