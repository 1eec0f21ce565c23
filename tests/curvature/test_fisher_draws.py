from __future__ import annotations

import pytest
import torch
from scipy import stats

from hessinf.curvature.fisher_draws import TargetDraws, quantiles
from hessinf.data.batching import Batch
from hessinf.models import CrossEntropy, Objective
from hessinf.models.language_modeling import LanguageModeling

PLACES = torch.arange(2000)


class TestQuantiles:
    def test_they_are_uniform(self) -> None:
        found = quantiles(17, PLACES, 3)
        assert found.shape == (2000, 3)
        assert found.dtype == torch.float64
        assert float(found.min()) > 0
        assert float(found.max()) < 1
        assert stats.kstest(found.flatten().numpy(), "uniform").pvalue > 1e-3

    def test_neighbours_are_independent(self) -> None:
        found = quantiles(3, PLACES, 4)
        for left, right in ((found[:, 0], found[:, 1]), (found[:-1, 0], found[1:, 0])):
            pairs = torch.stack([left, right])
            assert abs(float(torch.corrcoef(pairs)[0, 1])) < 4 / len(left) ** 0.5

    def test_keys_are_independent(self) -> None:
        pairs = torch.stack([quantiles(1, PLACES, 1)[:, 0], quantiles(2, PLACES, 1)[:, 0]])
        assert abs(float(torch.corrcoef(pairs)[0, 1])) < 4 / 2000**0.5

    def test_each_depends_on_its_own_place_alone(self) -> None:
        whole = quantiles(5, PLACES, 6)
        order = torch.tensor([7, 1999, 0])
        assert torch.equal(quantiles(5, order, 6), whole[order])
        assert torch.equal(quantiles(5, PLACES, 2), whole[:, :2])

    def test_no_two_are_the_same(self) -> None:
        assert len(quantiles(0, PLACES, 50).unique()) == 2000 * 50

    def test_it_is_split_mix(self) -> None:
        """By whole numbers of Python, which do not overflow."""

        def mixed(state: int) -> int:
            state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
            state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
            return state ^ state >> 31

        step = 0x9E3779B97F4A7C15
        key = 2**62 + 12345
        own = mixed((4 * step + key) % 2**64)
        bits = mixed((own + 3 * step) % 2**64) >> 12
        assert float(quantiles(key, torch.tensor([4]), 3)[0, 2]) == (bits + 0.5) / 2**52


class Stubborn(CrossEntropy):
    """Says itself how targets are drawn."""

    def sample_targets(
        self, outputs: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        return torch.full_like(targets, 2)


class Renewed(Stubborn):
    """And then by quantiles again."""

    def targets_at_quantiles(
        self, outputs: torch.Tensor, targets: torch.Tensor, quantiles: torch.Tensor
    ) -> torch.Tensor:
        return torch.full_like(targets, 1)


def drawn(objective: Objective, sample: int = 0) -> torch.Tensor:
    outputs = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    batch = Batch(outputs, torch.zeros(40, dtype=torch.int64), torch.arange(40))
    return TargetDraws(objective, 0)(outputs, batch, sample)


class TestTargets:
    def test_a_class_that_overrides_sampling_alone_is_asked(self) -> None:
        assert drawn(Stubborn()).tolist() == [2] * 40

    def test_the_most_derived_way_counts(self) -> None:
        assert drawn(Renewed()).tolist() == [1] * 40

    def test_samples_differ(self) -> None:
        first, second = drawn(CrossEntropy(), 0), drawn(CrossEntropy(), 1)
        assert not torch.equal(first, second)
        assert torch.equal(first, drawn(CrossEntropy(), 0))

    @pytest.mark.parametrize("shift", [True, False])
    def test_ignored_positions_stay_ignored(self, shift: bool) -> None:
        outputs = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(1))
        tokens = torch.randint(6, (4, 5), generator=torch.Generator().manual_seed(2))
        tokens[1, 3:] = -100
        batch = Batch(outputs, tokens, torch.arange(4))
        found = TargetDraws(LanguageModeling(shift=shift), 0)(outputs, batch, 0)
        assert torch.equal(found == -100, tokens == -100)
        if shift:
            assert torch.equal(found[:, 0], tokens[:, 0])

    def test_a_sure_model_draws_what_it_is_sure_of(self) -> None:
        outputs = torch.full((30, 4), -60.0)
        expected = torch.arange(30) % 4
        outputs[torch.arange(30), expected] = 60.0
        batch = Batch(outputs, torch.zeros(30, dtype=torch.int64), torch.arange(30))
        assert torch.equal(TargetDraws(CrossEntropy(), 3)(outputs, batch, 0), expected)
