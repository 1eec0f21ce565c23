"""One way to call a network."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch

from hessinf.models import ModelError
from hessinf.models.forward import forward

ONES = torch.ones(2, 3)


@pytest.mark.parametrize("inputs", [ONES, {"values": ONES}], ids=["tensor", "dict"])
@pytest.mark.parametrize(
    "wrap",
    [lambda x: x, lambda x: SimpleNamespace(logits=x), lambda x: {"logits": x}],
    ids=["tensor", "object", "dict"],
)
def test_outputs(inputs, wrap):
    def network(values: torch.Tensor) -> object:
        return wrap(2 * values)

    assert torch.equal(forward(network, inputs), 2 * ONES)


def test_outputs_that_are_no_tensor():
    message = (
        "the network returned a tuple, expected a tensor or an object with `logits`; wrap it in a "
        "module that returns its outputs"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        forward(lambda x: (x, x), ONES)
