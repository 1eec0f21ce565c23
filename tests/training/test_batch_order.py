"""The random order in which examples are seen."""

from __future__ import annotations

import torch

from hessinf.training.batch_order import random_batches


def sizes(number: int, batch_size: int, **settings: bool) -> list[int]:
    batches = random_batches(number, batch_size, torch.Generator().manual_seed(0), **settings)
    assert sorted(torch.cat(batches).tolist()) == list(range(number))
    return [len(batch) for batch in batches]


def test_sizes():
    assert sizes(10, 4) == [4, 4, 2]
    assert sizes(8, 4) == [4, 4]
    assert sizes(3, 4) == [3]
    assert sizes(9, 4) == [4, 4, 1]


def test_no_batch_of_one():
    assert sizes(9, 4, none_of_one=True) == [4, 5]
    assert sizes(10, 4, none_of_one=True) == [4, 4, 2]
    assert sizes(1, 4, none_of_one=True) == [1]


def test_order_comes_from_the_generator():
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 0, 1)]
    orders = [torch.cat(random_batches(50, 8, generator)).tolist() for generator in generators]
    assert orders[0] == orders[1] != orders[2]
    assert torch.cat(random_batches(50, 8, generators[0])).tolist() != orders[0]
