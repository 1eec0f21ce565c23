from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hessinf_label_similarity import LabelSimilarity

from hessinf.interpreters import InfluenceInterpreter, InterpreterError


def test_scores_are_what_the_docstring_says(gradients_one_by_one, model, train_data, test_data):
    train = gradients_one_by_one(model, train_data)  # [N, P]
    queries = gradients_one_by_one(model, test_data)  # [Q, P]
    means = torch.stack([train[train_data.targets == label].mean(dim=0) for label in (0, 1)])

    def profile(gradients: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cosine_similarity(gradients[:, None], means[None], dim=2)

    interpreter = LabelSimilarity(model, train_data).fit()
    scores = interpreter.scores(test_data)
    expected = profile(queries) @ profile(train).T / 2  # [Q, N]
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-10, atol=1e-12)
    assert np.abs(scores).max() <= 1
    np.testing.assert_allclose(
        interpreter.self_influence(), profile(train).square().mean(dim=1).numpy(), rtol=1e-10
    )


def test_diagnostics_name_the_nearest_label(gradients_one_by_one, model, train_data, test_data):
    found = list(LabelSimilarity(model, train_data).interpret(test_data, k=3))
    train = gradients_one_by_one(model, train_data)
    queries = gradients_one_by_one(model, test_data)
    means = torch.stack([train[train_data.targets == label].mean(dim=0) for label in (0, 1)])
    cosines = torch.nn.functional.cosine_similarity(queries[:, None], means[None], dim=2)
    nearest = [interpretation.diagnostics["nearest_label"] for interpretation in found]
    similarity = [x.diagnostics["similarity_to_nearest_label"] for x in found]
    assert nearest == cosines.argmax(dim=1).tolist()
    assert similarity == pytest.approx(cosines.amax(dim=1).tolist())


@pytest.mark.parametrize("batch_size", [1, 7, 30])
def test_batch_size_changes_nothing(model, train_data, test_data, batch_size):
    whole = LabelSimilarity(model, train_data).scores(test_data)
    parts = LabelSimilarity(model, train_data, batch_size=batch_size).scores(test_data)
    np.testing.assert_allclose(parts, whole, rtol=1e-10, atol=1e-12)


def test_rare_labels_are_left_out(model, train_data, test_data):
    data = train_data.subset([*range(0, 30, 2), 1, 3])  # 15 of label 0, 2 of label 1
    interpreter = LabelSimilarity(model, data, minimum_count=3).fit()
    assert interpreter.labels_.tolist() == [0]
    assert interpreter.scores(test_data).shape == (4, 17)


def test_too_large_a_minimum_count(model, train_data):
    message = (
        "minimum_count is 16, but no label has that many training examples: "
        "the most frequent one has 15"
    )
    with pytest.raises(InterpreterError, match=re.escape(message)):
        LabelSimilarity(model, train_data, minimum_count=16).fit()


def test_regression_is_refused():
    inputs, targets = torch.randn(5, 2), torch.randn(5, 1)
    message = (
        "label-similarity needs one label an example, found targets of shape [1] and type "
        "torch.float32; try gradient-whitening, which takes any targets"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        LabelSimilarity(torch.nn.Linear(2, 1), (inputs, targets), objective="mean-squared-error")


def test_save_and_load(model, train_data, test_data, tmp_path):
    interpreter = LabelSimilarity(model, train_data, minimum_count=2).fit()
    interpreter.save(tmp_path / "factors")
    loaded = InfluenceInterpreter.load(tmp_path / "factors", model, train_data)
    assert isinstance(loaded, LabelSimilarity)
    assert loaded.fitted
    assert loaded.minimum_count == 2
    np.testing.assert_array_equal(loaded.scores(test_data), interpreter.scores(test_data))
