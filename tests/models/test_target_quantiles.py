from __future__ import annotations

import re

import pytest
import torch
from scipy import stats

from hessinf.models import BinaryCrossEntropy, CrossEntropy, MeanSquaredError
from hessinf.models.callable_objective import CallableObjective
from hessinf.models.errors import ObjectiveError

GRID = (torch.arange(1, 1000, dtype=torch.float64) / 1000)[:, None]


def test_classes_have_the_share_of_quantiles_that_they_have_of_probability() -> None:
    logits = torch.tensor([0.3, -1.0, 1.2], dtype=torch.float64).expand(999, 3)
    targets = torch.zeros(999, dtype=torch.int64)
    found = CrossEntropy().targets_at_quantiles(logits, targets, GRID[:, 0])
    assert torch.equal(found, found.sort().values), "classes come in order"
    counts = torch.bincount(found, minlength=3) / 999
    torch.testing.assert_close(counts, logits[0].softmax(0).float(), rtol=0, atol=2e-3)


def test_a_class_without_probability_is_never_drawn() -> None:
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0]).expand(999, 4)
    targets = torch.zeros(999, dtype=torch.int64)
    found = CrossEntropy().targets_at_quantiles(logits, targets, GRID[:, 0])
    assert set(found.tolist()) == {1, 3}


def test_values_are_quantiles_of_the_normal_distribution() -> None:
    outputs = torch.full((999, 1), 2.0, dtype=torch.float64)
    found = MeanSquaredError("sum").targets_at_quantiles(outputs, outputs, GRID)
    expected = torch.as_tensor(stats.norm(2.0, 0.5**0.5).ppf(GRID.numpy()))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_labels_are_positive_below_their_probability() -> None:
    outputs = torch.full((999, 1), 0.8, dtype=torch.float64)
    found = BinaryCrossEntropy().targets_at_quantiles(outputs, outputs, GRID)
    assert torch.equal(found, (outputs.sigmoid() > GRID).double())


def test_one_number_for_each_value() -> None:
    outputs = torch.zeros(4, 5, 3)
    assert CrossEntropy().quantile_shape(outputs) == (4, 5)
    assert MeanSquaredError().quantile_shape(outputs) == (4, 5, 3)
    assert BinaryCrossEntropy().quantile_shape(outputs) == (4, 5, 3)


def test_a_function_has_none() -> None:
    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs.sum(1)

    message = (
        'the loss function "loss" has no targets at quantiles of its predictive distribution; give '
        "it the methods `quantile_shape` and `targets_at_quantiles`, or draw with `sample_targets`"
    )
    objective = CallableObjective(loss)
    with pytest.raises(ObjectiveError, match=f"^{re.escape(message)}$"):
        objective.quantile_shape(torch.zeros(2, 3))
    with pytest.raises(ObjectiveError, match=f"^{re.escape(message)}$"):
        objective.targets_at_quantiles(torch.zeros(2, 3), torch.zeros(2), torch.zeros(2))


class TestReducedSquareRoot:
    @pytest.mark.parametrize("classes", [2, 3, 10])
    @pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
    @pytest.mark.parametrize("smoothing", [0.0, 0.3])
    def test_products_are_those_of_the_whole_one(
        self, classes: int, scale: float, smoothing: float
    ) -> None:
        generator = torch.Generator().manual_seed(classes)
        outputs = scale * torch.randn(7, 4, classes, generator=generator, dtype=torch.float64)
        targets = torch.randint(classes, (7, 4), generator=generator)
        targets[2, 1] = -100
        objective = CrossEntropy(label_smoothing=smoothing)
        reduced = objective.reduced_square_root_blocks(outputs, targets)
        assert reduced.shape == (7, 4, classes, classes - 1)
        whole = objective.hessian_square_root_blocks(outputs, targets)
        torch.testing.assert_close(reduced @ reduced.mT, whole @ whole.mT, rtol=1e-12, atol=1e-16)
        assert not bool(reduced[2, 1].any())

    @pytest.mark.parametrize("most", [0, 1, 2])
    def test_a_sure_model_s_curvature_keeps_its_precision(self, most: int) -> None:
        """Probabilities of 1e-20: differences of nearly equal numbers would leave nothing."""
        outputs = torch.tensor([-46.0, -47.0, -48.0], dtype=torch.float64)
        outputs[most] = 0.0
        reduced = CrossEntropy().reduced_square_root_blocks(outputs[None], torch.tensor([0]))[0, 0]
        p = outputs.softmax(0)
        rest = [p[c] for c in range(3) if c != most]
        expected = torch.diag(p) - torch.outer(p, p)
        expected[most, most] = p[most] * (rest[0] + rest[1])
        torch.testing.assert_close(reduced @ reduced.T, expected, rtol=1e-12, atol=0)

    def test_half_precision_comes_back_as_it_went_in(self) -> None:
        outputs = torch.randn(3, 4, dtype=torch.bfloat16)
        found = CrossEntropy().reduced_square_root_blocks(outputs, torch.tensor([0, 1, 2]))
        assert found.dtype == torch.bfloat16
