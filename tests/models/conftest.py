"""References that the tests of this room compare with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from hessinf.models import Objective


@pytest.fixture
def check_square_root() -> Callable[[Objective, torch.Tensor, torch.Tensor], None]:
    """Compare an objective's square root with autograd's second derivatives, example by example."""

    def check(objective: Objective, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        roots = objective.hessian_square_root(outputs, targets)
        assert roots.shape[:-1] == outputs.shape
        for index in range(len(outputs)):
            hessian = torch.autograd.functional.hessian(
                lambda output, index=index: objective.losses(
                    output.unsqueeze(0), targets[index : index + 1]
                ).sum(),
                outputs[index],
            )
            size = max(outputs[index].numel(), 1)
            root = roots[index].reshape(size, -1)
            torch.testing.assert_close(
                root @ root.T, hessian.reshape(size, size), rtol=1e-10, atol=1e-13
            )

    return check


@pytest.fixture
def check_transforms() -> Callable[[Objective, torch.Tensor, torch.Tensor], None]:
    """Check that losses and square roots do not depend on batch mates, and work in torch.func."""

    def check(objective: Objective, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return objective.losses(output.unsqueeze(0), target.unsqueeze(0)).squeeze(0)

        losses = objective.losses(outputs, targets)
        assert losses.shape == outputs.shape[:1]
        torch.testing.assert_close(torch.func.vmap(loss)(outputs, targets), losses)
        alone = [loss(output, target) for output, target in zip(outputs, targets, strict=True)]
        torch.testing.assert_close(torch.stack(alone), losses)

        gradients = torch.func.vmap(torch.func.grad(loss))(outputs, targets)
        variable = outputs.clone().requires_grad_()
        (expected,) = torch.autograd.grad(objective.losses(variable, targets).sum(), variable)
        torch.testing.assert_close(gradients, expected)

        tangent = torch.ones_like(outputs)
        _, slopes = torch.func.jvp(lambda f: objective.losses(f, targets), (outputs,), (tangent,))
        torch.testing.assert_close(slopes, expected.reshape(len(outputs), -1).sum(1))

        def root(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return objective.hessian_square_root(output.unsqueeze(0), target.unsqueeze(0))[0]

        torch.testing.assert_close(
            torch.func.vmap(root)(outputs, targets), objective.hessian_square_root(outputs, targets)
        )

    return check
