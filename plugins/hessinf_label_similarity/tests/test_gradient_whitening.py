from __future__ import annotations

import numpy as np
import pytest
import torch
from hessinf_label_similarity import GradientWhitening

from hessinf.interpreters import InfluenceInterpreter


@pytest.mark.parametrize("damping", [1e-2, {"relative": 0.5}], ids=["number", "relative"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_scores_are_what_the_docstring_says(
    gradients_one_by_one, model, train_data, test_data, damping, weight_decay
):
    train = gradients_one_by_one(model, train_data)  # [N, P]
    queries = gradients_one_by_one(model, test_data)  # [Q, P]
    curvature = train.var(dim=0, correction=0) + weight_decay  # [P]
    added = damping if isinstance(damping, float) else 0.5 * float(curvature.mean())
    expected = (queries / (curvature + added)) @ train.T  # [Q, N]
    interpreter = GradientWhitening(model, train_data, damping=damping, weight_decay=weight_decay)
    np.testing.assert_allclose(interpreter.scores(test_data), expected.numpy(), rtol=1e-8)
    first = next(interpreter.interpret(test_data, k=3))
    assert first.diagnostics["damping"] == pytest.approx(added)
    assert first.diagnostics["smallest_scale"] == pytest.approx(float(curvature.min()) + added)


def test_batch_size_changes_nothing(model, train_data, test_data):
    whole = GradientWhitening(model, train_data).scores(test_data)
    parts = GradientWhitening(model, train_data, batch_size=7).scores(test_data)
    np.testing.assert_allclose(parts, whole, rtol=1e-8)


def test_regression(test_data):
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(9, 2, generator=generator), torch.randn(9, 1, generator=generator)
    interpreter = GradientWhitening(torch.nn.Linear(2, 1), data, objective="mean-squared-error")
    assert interpreter.scores(data).shape == (9, 9)
    assert (interpreter.self_influence() > 0).all()


def test_save_and_load(model, train_data, test_data, tmp_path):
    interpreter = GradientWhitening(model, train_data, damping={"relative": 0.1}).fit()
    interpreter.save(tmp_path / "factors")
    loaded = InfluenceInterpreter.load(tmp_path / "factors", model, train_data)
    assert isinstance(loaded, GradientWhitening)
    np.testing.assert_array_equal(loaded.scores(test_data), interpreter.scores(test_data))
