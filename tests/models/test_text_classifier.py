"""The classifier of texts."""

from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional

from hessinf.data.batching import collate
from hessinf.data.reviews import Reviews
from hessinf.models import Model, ModelError, TextClassifier
from hessinf.registry import ConfigError

KINDS = [
    {},
    {"hidden_size": 5},
    {"hidden_size": 5, "window": 3, "activation": "tanh"},
    {"num_layers": 2, "embedding_size": 6},
    {"num_layers": 1, "num_heads": 1, "embedding_size": 5, "hidden_size": 3, "window": 5},
]


def make(**arguments) -> torch.nn.Module:
    sizes = {"in_features": 9, "out_features": 3}
    return TextClassifier(dtype="float64", **sizes, **arguments).module


@pytest.mark.parametrize("arguments", KINDS)
def test_padding_and_other_texts_change_nothing(arguments):
    module = make(**arguments)
    texts = [[3, 4, 5, 1], [2], [8, 8, 3, 1, 4, 2, 7]]
    batch = torch.zeros(3, 9, dtype=torch.int64)
    for place, text in enumerate(texts):
        batch[place, : len(text)] = torch.tensor(text)
    together = module(tokens=batch)
    alone = torch.cat([module(tokens=torch.tensor([text])) for text in texts])
    assert together.shape == (3, 3)
    assert torch.allclose(together, alone, rtol=0, atol=1e-12)


def test_the_last_layer_may_as_well_come_after_the_mean():
    module = make(hidden_size=4)
    tokens = torch.tensor([[3, 4, 5, 1, 0]])
    seen = functional.gelu(module.hidden(module.embedding(tokens).transpose(1, 2)))  # [1, 4, 5]
    mean = seen[:, :, :4].mean(dim=2)  # [1, 4]
    assert torch.allclose(module(tokens), module.out(mean), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [({}, False), ({"hidden_size": 4}, False), *(({**kind}, True) for kind in KINDS[2:])],
)
def test_whether_the_order_of_words_counts(arguments, seen):
    module = make(**arguments)
    one, other = module(torch.tensor([[2, 3, 4, 5]])), module(torch.tensor([[3, 2, 4, 5]]))
    assert torch.allclose(one, other, rtol=0, atol=1e-12) != seen


def test_padding_has_no_embedding():
    module = make()
    assert not module.embedding.weight[0].any()
    module(torch.tensor([[2, 0], [3, 4]])).sum().backward()
    assert not module.embedding.weight.grad[0].any()


def test_sizes_come_from_the_data():
    train = Reviews(train_size=20, test_size=5).read("train")
    model = Model.from_config(
        {"type": "text-classifier", "embedding_size": 3},
        in_features=train.in_features,
        input_shape=train.input_shape,
        out_features=2,
    )
    assert model.module.embedding.weight.shape == (len(train.feature_names), 3)
    batch = collate(list(train))
    assert model.module(**batch.inputs).shape == (20, 2)


def test_the_same_weights_in_both_precisions_and_by_seed():
    sizes = {"in_features": 9, "out_features": 3}
    single, double, other = (
        TextClassifier(num_layers=1, dtype=dtype, seed=seed, **sizes).module.state_dict()
        for dtype, seed in (("float32", 1), ("float64", 1), ("float32", 2))
    )
    assert all(torch.equal(value.double(), double[name]) for name, value in single.items())
    assert not torch.equal(single["out.weight"], other["out.weight"])


def test_inputs_that_are_no_texts():
    message = (
        'the model "text-classifier" needs texts as inputs, and these have shape [64]; take the '
        'dataset reader "text", or the model "mlp"'
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        _ = TextClassifier(in_features=64, input_shape=(64,), out_features=2).module


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            {"num_layers": 1, "embedding_size": 5, "num_heads": 2},
            "embedding_size has to be a multiple of num_heads, found 5 and 2",
        ),
        (
            {"hidden_size": 4, "window": 2},
            "window has to be odd, so that every token is amid its neighbors; found 2",
        ),
        ({"window": 3}, "window is 3, but there is no hidden layer; give hidden_size"),
    ],
)
def test_arguments_that_contradict_each_other(arguments, problem):
    with pytest.raises(ConfigError, match=re.escape(problem)):
        Model.from_config(
            {"type": "text-classifier", **arguments},
            in_features=9,
            input_shape=None,
            out_features=2,
        )
