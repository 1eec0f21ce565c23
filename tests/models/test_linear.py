"""Linear models."""

from __future__ import annotations

import pytest
import torch

from hessinf.models import LinearRegression, LogisticRegression, Model


@pytest.mark.parametrize(
    ("name", "kind"),
    [("logistic-regression", LogisticRegression), ("linear-regression", LinearRegression)],
)
def test_one_layer_on_flattened_inputs(name, kind):
    model = Model.from_config(name, input_shape=(2, 3), out_features=4, seed=0)
    assert type(model) is kind
    state = model.module.state_dict()
    assert list(state) == ["0.weight", "0.bias"]
    inputs = torch.randn(5, 2, 3)
    expected = inputs.flatten(1) @ state["0.weight"].T + state["0.bias"]
    torch.testing.assert_close(model.module(inputs), expected)


def test_without_bias():
    model = Model.from_config(
        {"type": "linear-regression", "bias": False}, in_features=3, out_features=1
    )
    assert list(model.module.state_dict()) == ["0.weight"]
