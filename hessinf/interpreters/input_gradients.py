"""Derivatives of scores in the inputs of training examples, for a batch and a block of queries."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import torch

from hessinf.data.batching import Batch
from hessinf.gradients import GradientError, Gradients
from hessinf.gradients.out_of_memory import is_out_of_memory
from hessinf.gradients.plain_kernels import twice_differentiable_attention
from hessinf.gradients.reverse_mode import pull_back, require_derivative
from hessinf.interpreters.fitted_method import FittedMethod

logger = logging.getLogger(__name__)


def as_dict(inputs: torch.Tensor | dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return inputs by name; a tensor alone has the name ""."""
    return inputs if isinstance(inputs, dict) else {"": inputs}


class _Slopes:
    """The gradient of a batch's summed loss in θ, as a function of the batch's inputs.

    Parameters
    ----------
    method
        Model and objective.
    batch
        B training examples.
    """

    def __init__(self, method: FittedMethod, batch: Batch) -> None:
        model = method.model
        self.leaves = {
            name: value.detach().requires_grad_()
            for name, value in as_dict(batch.inputs).items()
            if value.is_floating_point()
        }
        # Copies, since a module may write into its inputs.
        moving = {name: value.clone() for name, value in self.leaves.items()}
        inputs: Any = {**batch.inputs, **moving} if isinstance(batch.inputs, dict) else moving[""]
        theta = {name: value.detach().requires_grad_() for name, value in model.parameters.items()}
        outputs = model.outputs(theta, inputs)  # [B, ...]
        total = method.objective.losses(outputs, batch.targets).sum()
        self.values: dict[str, torch.Tensor] = {
            name: torch.zeros_like(value) for name, value in theta.items()
        }
        if total.requires_grad:
            slopes = torch.autograd.grad(
                total, list(theta.values()), create_graph=True, allow_unused=True
            )
            found = {n: s for n, s in zip(theta, slopes, strict=True) if s is not None}
            require_derivative(list(found.values()))
            self.values.update(found)


class InputGradients:
    """``f_qᵀ ∂²ℓ_i/∂θ∂x_i`` for methods with influence factors.

    Parameters
    ----------
    method
        Model and objective.
    """

    def __init__(self, method: FittedMethod) -> None:
        self.method = method
        self._together = True

    def __call__(self, batch: Batch, factors: Gradients) -> dict[str, torch.Tensor]:
        """Differentiate the scores of a batch.

        Parameters
        ----------
        batch
            B training examples.
        factors
            Of Q queries.

        Returns
        -------
        dict of str to torch.Tensor
            ``[Q, B, ...]`` for each floating entry of the inputs.
        """
        with torch.enable_grad(), twice_differentiable_attention(), _explained():
            slopes = _Slopes(self.method, batch)
            size = self.method.memory_plan.vectors_at_once
            chunks = [
                self._pulled(slopes, factors.select(slice(first, first + size)))
                for first in range(0, factors.count, size)
            ]
        columns = [torch.cat(column) for column in zip(*chunks, strict=True)]
        return dict(zip(slopes.leaves, columns, strict=True))

    def _pulled(self, slopes: _Slopes, factors: Gradients) -> list[torch.Tensor]:
        outputs, inputs = list(slopes.values.values()), list(slopes.leaves.values())
        cotangents = [factors[name] for name in slopes.values]
        if self._together:
            try:
                return pull_back(outputs, inputs, cotangents, together=True)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                found = pull_back(outputs, inputs, cotangents, together=False)
                logger.warning(
                    "the model's gradients cannot be differentiated for many queries at once (%s); "
                    "going on one query at a time, which is slower and gives the same results",
                    str(error).partition("\n")[0],
                )
                self._together = False
                return found
        return pull_back(outputs, inputs, cotangents, together=False)


class OwnRuleInputGradients:
    """``∂score(f_q, ∇ℓ_i)/∂x_i`` through a method's own ``score``, one example at a time.

    Parameters
    ----------
    method
        Model, objective and rule.
    """

    def __init__(self, method: FittedMethod) -> None:
        self.method = method

    def __call__(self, batch: Batch, factors: Gradients) -> dict[str, torch.Tensor]:
        """Differentiate the scores of one example, ``[Q, 1, ...]`` for each floating input."""
        with torch.enable_grad(), twice_differentiable_attention(), _explained():
            slopes = _Slopes(self.method, batch)
            one = Gradients({name: value[None] for name, value in slopes.values.items()})
            scores = self.method.score(factors, one)[:, 0]  # [Q]
            if not scores.requires_grad and any(x.requires_grad for x in slopes.values.values()):
                raise GradientError(
                    f"{type(self.method).__name__}.score() cannot be differentiated: its result "
                    "does not depend on the training gradients by PyTorch operations alone"
                )
            rows = torch.eye(len(scores), dtype=scores.dtype, device=scores.device)  # [Q, Q]
            inputs = list(slopes.leaves.values())
            pulled = pull_back([scores], inputs, [rows], together=False)  # [Q, 1, ...]
        return dict(zip(slopes.leaves, pulled, strict=True))


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what PyTorch says of an operation without a second derivative into an error of ours."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        first_line = str(error).partition("\n")[0]
        raise GradientError(
            f"perturbation influence cannot be computed: {first_line}; the model or the loss has "
            "an operation that cannot be differentiated twice"
        ) from error
