"""Stacked objectives beside one model at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hessinf.evaluation.stacked_objective import StackedModels, StackedObjective
from hessinf.gradients import FunctionalModel
from hessinf.models import Measurement
from tests.evaluation.problems import small_network_problem


def setting(folder: Path, **changes: float):
    problem = small_network_problem(folder, epochs=2)
    model = FunctionalModel(problem.models[0].module, dtype=torch.float64)
    models = StackedModels(model, problem.objective, changes.get("memory_limit", 4.0))
    generator = torch.Generator().manual_seed(0)
    thetas = torch.randn(5, model.layout.size, generator=generator, dtype=torch.float64)  # [K, P]
    weights = torch.rand(5, len(problem.train), generator=generator, dtype=torch.float64)  # [K, N]
    return problem, models, thetas, weights


@pytest.mark.parametrize("memory_limit", [4.0, 1e-4])
def test_values_and_gradients(tmp_path: Path, memory_limit: float) -> None:
    """Every term, for some members in another order, whatever fits at once."""
    problem, models, thetas, weights = setting(tmp_path, memory_limit=memory_limit)
    model = models.model
    batch = next(iter(models.batches(problem.train)))
    assert (models.at_once(batch) < 5) == (memory_limit < 1)
    origin = thetas.mean(dim=0)
    tangent = torch.randn(len(problem.train), 3, dtype=torch.float64)
    objective = StackedObjective(
        models,
        problem.train,
        weights,
        weight_decay=0.3,
        proximity=0.7,
        origin=origin,
        tangent=[tangent],
    )
    members = torch.tensor([4, 0, 3])
    values, gradients = objective.evaluate(members, thetas[members])
    for row, member in enumerate(members.tolist()):
        theta = thetas[member].clone().requires_grad_()
        outputs = model.outputs(model.layout.unflatten(theta), batch.inputs)
        losses = problem.objective.losses(outputs, batch.targets)
        expected = (
            (weights[member] * losses).sum()
            - (tangent * outputs).sum()
            + 0.15 * theta.square().sum()
            + 0.35 * (theta - origin).square().sum()
        )
        (gradient,) = torch.autograd.grad(expected, theta)
        torch.testing.assert_close(values[row], expected.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradients[row], gradient, rtol=1e-10, atol=1e-12)


def test_measurements_are_turned(tmp_path: Path) -> None:
    problem, models, thetas, _ = setting(tmp_path)
    with models.model.evaluating():
        losses = models.values(thetas, problem.queries)
        of_loss = models.values(thetas, problem.queries, Measurement.from_config("loss"))
        of_log = models.values(thetas, problem.queries, Measurement.from_config("log-probability"))
    assert torch.equal(losses, of_loss)
    torch.testing.assert_close(of_log, losses)  # -log p is the loss
    assert losses.shape == (5, len(problem.queries))


def test_networks_that_cannot_be_batched_go_one_by_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    problem, models, thetas, weights = setting(tmp_path)
    expected = StackedObjective(models, problem.train, weights, weight_decay=0.1).evaluate(
        torch.arange(5), thetas
    )

    class Branching(torch.nn.Module):
        """Looks at a value, which nobody can do for several at once."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = problem.models[0].module

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            outputs = self.inner(inputs)
            return outputs if float(outputs.detach().sum()) > -1e9 else -outputs

    alone = StackedModels(FunctionalModel(Branching(), dtype=torch.float64), problem.objective, 4.0)
    objective = StackedObjective(alone, problem.train, weights, weight_decay=0.1)
    for _ in range(2):
        found = objective.evaluate(torch.arange(5), thetas)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)
    with alone.model.evaluating(), models.model.evaluating():
        torch.testing.assert_close(
            alone.values(thetas, problem.queries), models.values(thetas, problem.queries)
        )
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "going on one at a time, which is slower and gives the same numbers" in warnings[0]
