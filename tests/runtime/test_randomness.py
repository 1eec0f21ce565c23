"""Every component has random numbers of its own."""

from __future__ import annotations

import torch

from hessinf.runtime.randomness import derive_seed, generator


def test_seeds_are_the_same_everywhere() -> None:
    assert derive_seed(0, "trainer") == 8598524280082964841
    assert derive_seed(0, "a") == derive_seed(0, "a")
    assert 0 <= derive_seed(0, "a") < 2**63


def test_same_seed_and_name_same_numbers() -> None:
    first, again = (torch.rand(5, generator=generator(3, "trainer.order")) for _ in range(2))
    assert torch.equal(first, again)


def test_other_names_and_seeds_other_numbers() -> None:
    draws = {
        tuple(torch.rand(3, generator=generator(seed, name)).tolist())
        for seed in (0, 1, 10)
        for name in ("a", "b", ":a", "0:a")
    }
    assert len(draws) == 12


def test_the_callers_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    torch.rand(3, generator=generator(0, "a"))
    assert torch.equal(before, torch.random.get_rng_state())
