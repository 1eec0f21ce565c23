"""What is known of the positions of a layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel
from hessinf.gradients.layers import LayerCapture, Usage


class Shaped(nn.Module):
    """A layer whose input has another shape."""

    def __init__(self, layer: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = layer
        self.shape = shape

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(inputs.reshape(-1, *self.shape)).reshape(len(inputs), -1)


def usage_of(layer: nn.Module, shape: tuple[int, ...], count: int) -> Usage:
    batch = Batch(torch.randn(count, 4), torch.zeros(count), torch.arange(count))
    model = FunctionalModel(Shaped(layer, shape))
    capture = LayerCapture(model)
    with model.evaluating(), capture.recording(batch) as record:
        gradients = record.pull_back(torch.ones_like(record.outputs)[None])
    (found,) = gradients.usages(capture.units[0])
    return found


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("layer", "shape", "space"),
    [
        (nn.Linear(4, 2), (4,), None),
        (nn.Linear(4, 2), (1, 4), ()),
        (nn.Linear(2, 2), (2, 2), ()),
        (nn.Conv1d(2, 3, 2), (2, 2), (1,)),
        (nn.Conv2d(1, 3, 1), (1, 2, 2), (2, 2)),
        (nn.Conv3d(1, 3, 1), (1, 1, 2, 2), (1, 2, 2)),
    ],
    ids=str,
)
def test_layers_say_in_what_space_their_positions_are(
    layer: nn.Module, shape: tuple[int, ...], space: tuple[int, ...] | None, count: int
) -> None:
    assert usage_of(layer, shape, count).space == space


def test_positions_laid_flat_are_seen_where_there_are_several() -> None:
    found = usage_of(nn.Linear(2, 2), (2,), 3)
    assert (found.positions, found.space) == (2, ())


@pytest.mark.parametrize(("width", "space"), [((), None), ((1,), ()), ((4,), ())])
def test_embeddings_have_tokens_and_an_id_without_gradient(
    width: tuple[int, ...], space: tuple[int, ...] | None
) -> None:
    model = FunctionalModel(nn.Embedding(5, 2, padding_idx=-1))
    capture = LayerCapture(model)
    batch = Batch(torch.ones(3, *width, dtype=torch.int64), torch.zeros(3), torch.arange(3))
    with model.evaluating(), capture.recording(batch) as record:
        gradients = record.pull_back(torch.ones_like(record.outputs)[None])
    (found,) = gradients.usages(capture.units[0])
    assert (found.space, found.padding_idx) == (space, 4)
