"""Language modeling: cross-entropy of the next token."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from hessinf.data import Dataset
from hessinf.models import LanguageModeling, Objective

OUTPUTS = torch.randn(3, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
TOKENS = torch.tensor([[0, 6, 2, 3, 0], [3, 1, 4, -100, -100], [5, -100, -100, -100, -100]])


@pytest.mark.parametrize("shift", [True, False])
def test_square_root_is_exact(shift, check_square_root):
    check_square_root(LanguageModeling(shift=shift), OUTPUTS, TOKENS)


@pytest.mark.parametrize("shift", [True, False])
def test_transforms(shift, check_transforms):
    check_transforms(LanguageModeling(shift=shift, label_smoothing=0.1), OUTPUTS, TOKENS)


def test_losses_compare_every_output_with_the_next_token():
    terms = functional.cross_entropy(
        OUTPUTS[:, :-1].transpose(1, 2), TOKENS[:, 1:], reduction="none"
    )
    losses = LanguageModeling().losses(OUTPUTS, TOKENS)
    torch.testing.assert_close(losses, terms.sum(1))
    assert losses[2] == 0
    mean = LanguageModeling(example_reduction="mean").losses(OUTPUTS, TOKENS)
    torch.testing.assert_close(mean, losses / torch.tensor([4.0, 2.0, 1.0]).double())


def test_aligned_targets_are_not_shifted():
    aligned = torch.cat([TOKENS[:, 1:], torch.full((3, 1), -100)], dim=1)
    torch.testing.assert_close(
        LanguageModeling(shift=False).losses(OUTPUTS, aligned),
        LanguageModeling().losses(OUTPUTS, TOKENS),
    )


def test_the_last_output_has_no_curvature():
    blocks = LanguageModeling().hessian_square_root_blocks(OUTPUTS, TOKENS)
    assert blocks[0, 3].abs().max() > 0
    assert blocks[0, 4].abs().max() == 0


def test_padding_does_not_matter():
    longer = torch.cat([OUTPUTS, torch.randn(3, 2, 7).double()], dim=1)
    padded = torch.cat([TOKENS, torch.full((3, 2), -100)], dim=1)
    torch.testing.assert_close(
        LanguageModeling().losses(longer, padded), LanguageModeling().losses(OUTPUTS, TOKENS)
    )


def test_sampled_targets_stand_where_their_output_predicts():
    # The output at position s is certain of token s + 1.
    outputs = torch.full((1, 4, 7), -50.0)
    outputs[0, range(4), [1, 2, 3, 4]] = 50.0
    tokens = torch.tensor([[6, 0, 0, -100]])
    sampled = LanguageModeling().sample_targets(outputs, tokens, torch.Generator().manual_seed(0))
    assert sampled.tolist() == [[6, 1, 2, -100]]
    aligned = LanguageModeling(shift=False)
    sampled = aligned.sample_targets(outputs, tokens, torch.Generator().manual_seed(0))
    assert sampled.tolist() == [[1, 2, 3, -100]]


def test_out_features_is_the_largest_token_plus_one():
    dataset = Dataset.from_columns(torch.zeros(3, 5), TOKENS)
    assert LanguageModeling().out_features(dataset) == 7


def test_predictions():
    assert LanguageModeling().predictions(OUTPUTS).shape == (3, 5)


def test_from_config():
    assert isinstance(Objective.from_config("language-modeling"), LanguageModeling)
