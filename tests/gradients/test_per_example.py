"""Per-example gradients are those of one backward pass an example."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, GradientError, PerExampleGradients
from hessinf.gradients.layers import capture, general_route
from hessinf.models import CallableObjective, CrossEntropy

LOOPED = {"lstm", "gru", "branch"}
"""What neither layers' factors nor vmap can do."""


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_equal_to_one_backward_pass_an_example(
    case: Any, case_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = case.model
    compute = PerExampleGradients(model, case.objective.losses, "training loss")
    with model.evaluating(), caplog.at_level(logging.WARNING):
        gradients, losses = compute(case.batch)
        again, _ = compute(case.batch)
    expected = case.gradients()
    assert relative(gradients.flatten(), expected) < 1e-10
    assert torch.equal(gradients.flatten(), again.flatten())
    total = case.total_loss(case.module.eval(), case.batch)
    torch.testing.assert_close(losses.sum(), total.detach(), rtol=1e-12, atol=0)
    assert not gradients.flatten().requires_grad
    assert not losses.requires_grad
    messages = [r.getMessage() for r in caplog.records if r.name.startswith("hessinf.")]
    if case_name in LOOPED:
        (message,) = messages  # said once, not for every batch
        assert message.startswith("the model cannot be differentiated for many examples at once (")
        assert message.endswith(
            "); going on one example at a time, which is slower and gives the same gradients"
        )
    else:
        assert messages == []


@pytest.mark.parametrize(("name", "all_together"), [("distances", False), ("lstm", True)])
def test_all_go_the_general_route_where_most_do(
    name: str, all_together: bool, make_case: Callable[[str], Any]
) -> None:
    case = make_case(name)
    compute = PerExampleGradients(case.model, case.objective.losses, "loss")
    with case.model.evaluating():
        compute(case.batch)
    assert compute.capture.routes["layers"] == ("last.weight", "last.bias")
    assert compute.routes["layers"] == (() if all_together else ("last.weight", "last.bias"))


def test_blocks_are_the_parameters(make_case: Callable[[str], Any]) -> None:
    case = make_case("reused")
    model = case.model
    with model.evaluating():
        gradients, _ = PerExampleGradients(model, case.objective.losses, "loss")(case.batch)
    assert {name: tuple(block.shape) for name, block in gradients.items()} == {
        "temperature": (5,),
        "same.weight": (5, 3, 3),
        "same.bias": (5, 3),
    }


def test_a_parameter_without_effect_has_gradient_zero() -> None:
    class Idle(nn.Module):
        def __init__(self, loops: bool) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(2, 2), nn.Linear(2, 2)
            self.loops = loops

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.loops and x.sum() > 1e9:
                return x
            return self.used(x)

    batch = Batch(torch.randn(3, 2), torch.tensor([0, 1, 1]), torch.arange(3))
    for loops in (False, True):
        model = FunctionalModel(Idle(loops))
        gradients, _ = PerExampleGradients(model, CrossEntropy().losses, "loss")(batch)
        assert float(gradients["idle.weight"].abs().max()) == 0.0
        assert float(gradients["used.weight"].abs().max()) > 0.0


def test_inputs_that_require_gradients_leave_no_graph() -> None:
    batch = Batch(torch.randn(3, 2, requires_grad=True), torch.tensor([0, 1, 1]), torch.arange(3))
    model = FunctionalModel(nn.Linear(2, 2))
    gradients, losses = PerExampleGradients(model, CrossEntropy().losses, "loss")(batch)
    assert not gradients.flatten().requires_grad
    assert not losses.requires_grad


@pytest.mark.parametrize(("function", "shape"), [(lambda f: f, [3, 2]), (torch.sum, [])])
def test_values_that_are_not_one_an_example(function: Any, shape: list[int]) -> None:
    batch = Batch(torch.randn(3, 2), torch.tensor([0, 1, 1]), torch.arange(3))
    compute = PerExampleGradients(
        FunctionalModel(nn.Linear(2, 2)), lambda outputs, _: function(outputs), "training loss"
    )
    text = (
        f"the training loss is a tensor of shape {shape} for 3 examples; expected one number an "
        "example, shape [3]"
    )
    with pytest.raises(GradientError, match=f"^{re.escape(text)}$"):
        compute(batch)


CAUSES = (
    "; likely causes: NaN or huge values among its inputs, a model whose training diverged, or a "
    "square root or logarithm at zero"
)


class TestNotFinite:
    def compute(self, losses: Callable[..., torch.Tensor]) -> None:
        model = FunctionalModel(nn.Linear(1, 1, bias=False).double())
        with torch.no_grad():
            model.parameters["weight"].fill_(1.0)
        inputs = torch.tensor([[1.0], [2.0], [0.0]], dtype=torch.float64)
        batch = Batch(inputs, torch.zeros(3), torch.tensor([10, 11, 12]))
        PerExampleGradients(model, CallableObjective(losses).losses, "training loss")(batch)

    def test_gradient(self) -> None:
        text = "the gradient of the training loss is not finite at example 12" + CAUSES
        with pytest.raises(GradientError, match=f"^{re.escape(text)}$"):
            self.compute(lambda f, y: f.squeeze(1).sqrt())

    def test_value(self) -> None:
        text = "the training loss is -inf at example 12" + CAUSES
        with pytest.raises(GradientError, match=f"^{re.escape(text)}$"):
            self.compute(lambda f, y: f.squeeze(1).log())

    def test_nan(self) -> None:
        with pytest.raises(GradientError, match=r"^the training loss is nan at example 11; likely"):
            self.compute(lambda f, y: (1.5 - f.squeeze(1)).sqrt())


class TestOutOfMemory:
    @pytest.fixture(params=["mlp", "distances"])
    def case(self, request: pytest.FixtureRequest, make_case: Callable[[str], Any]) -> Any:
        """A model whose layers give all, and one with parameters that go the general route."""
        return make_case(request.param)

    @pytest.fixture
    def sizes(self, monkeypatch: pytest.MonkeyPatch, case: Any) -> list[int]:
        """Have memory for two examples, and note how many were tried."""
        sizes: list[int] = []
        real_forward, real_vmap = capture.run_forward, general_route.vmap

        def note(size: int) -> None:
            sizes.append(size)
            if size > 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB.")

        def run_forward(model: FunctionalModel, batch: Batch, **options: Any) -> Any:
            note(batch.size)
            return real_forward(model, batch, **options)

        def vmap(function: Any, **options: Any) -> Any:
            def run(inputs: torch.Tensor, own: torch.Tensor) -> Any:
                note(len(inputs))
                return real_vmap(function, **options)(inputs, own)

            return run

        if isinstance(case.module, nn.Sequential):
            monkeypatch.setattr(capture, "run_forward", run_forward)
        else:
            monkeypatch.setattr(general_route, "vmap", vmap)
        return sizes

    def test_halving_gives_the_same_gradients_and_is_remembered(
        self, case: Any, sizes: list[int], caplog: pytest.LogCaptureFixture
    ) -> None:
        compute = PerExampleGradients(case.model, case.objective.losses, "loss")
        with caplog.at_level(logging.WARNING):
            gradients, _ = compute(case.batch)
        assert relative(gradients.flatten(), case.gradients()) < 1e-10
        assert [r.getMessage() for r in caplog.records] == [
            "out of memory with 5 examples at once: halving",
            "out of memory with 3 examples at once: halving",
        ]
        assert sizes == [5, 3, 2, 2, 1]
        compute(case.batch)
        assert sizes[5:] == [2, 2, 1]

    def test_one_example_that_does_not_fit(
        self, case: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*arguments: Any, **options: Any) -> Any:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

        monkeypatch.setattr(capture, "run_forward", fail)
        with pytest.raises(RuntimeError, match="DefaultCPUAllocator: can't allocate memory"):
            PerExampleGradients(case.model, case.objective.losses, "loss")(case.batch)


def test_an_error_of_the_model_is_raised_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    batch = Batch(torch.randn(3, 4), torch.tensor([0, 1, 1]), torch.arange(3))
    compute = PerExampleGradients(FunctionalModel(nn.Linear(2, 2)), CrossEntropy().losses, "loss")
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        compute(batch)
    assert caplog.records == []
