"""What training makes small: the mean loss over examples plus weight decay.

The objective of parameters ``θ`` on ``N`` examples with weights ``w`` is

    Σ_i w_i loss_i(θ) / Σ_i w_i + ½ weight_decay ‖θ‖²

over all trained parameters. The functions of one batch take tensors and give tensors, whoever calls
the network and with whatever parameters; :class:`FullObjective` adds them up over all examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hessinf.data.batching import Batch, Batches
from hessinf.models.forward import forward
from hessinf.models.objective import Objective


def sum_of_losses(
    call: Callable[..., Any],
    batch: Batch,
    objective: Objective,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute the (weighted) sum of the losses of a batch.

    Parameters
    ----------
    call
        The network, or a function that stands for it.
    batch
        ``B`` examples.
    objective
        The loss of an example.
    weights
        The weights of *all* examples, ``[N]``, with mean 1; None for ones.

    Returns
    -------
    torch.Tensor
        A scalar. Divided by ``B`` it is an unbiased estimate of the mean loss.
    """
    losses = objective.losses(forward(call, batch.inputs), batch.targets)  # [B]
    if weights is not None:
        losses = losses * weights[batch.indices.to(weights.device)]
    return losses.sum()


def penalty(parameters: Sequence[torch.Tensor], weight_decay: float) -> torch.Tensor:
    """Compute ``½ weight_decay ‖θ‖²``, in float64."""
    squares = [parameter.detach().double().square().sum() for parameter in parameters]
    return 0.5 * weight_decay * torch.stack(squares).sum()


def with_penalty(
    gradients: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor], weight_decay: float
) -> list[torch.Tensor]:
    """Add the gradient of the penalty, ``weight_decay θ``, to gradients of the mean loss."""
    if weight_decay == 0:
        return list(gradients)
    dense = [gradient.to_dense() if gradient.is_sparse else gradient for gradient in gradients]
    return list(
        torch._foreach_add(dense, [value.detach() for value in parameters], alpha=weight_decay)
    )


def norm(vectors: Sequence[torch.Tensor]) -> float:
    """Compute the 2-norm of several tensors taken as one vector."""
    return math.sqrt(sum(float(vector.double().square().sum()) for vector in vectors))


def dot(left: Sequence[torch.Tensor], right: Sequence[torch.Tensor]) -> float:
    """Compute the inner product of two vectors that are given in pieces."""
    return sum(float((a * b).sum()) for a, b in zip(left, right, strict=True))


@dataclass(frozen=True)
class Evaluation:
    """The objective at some parameters.

    Parameters
    ----------
    loss
        The mean loss.
    objective
        The loss plus the penalty.
    gradient
        The objective's gradient in float64, a tensor for every parameter.
    """

    loss: float
    objective: float
    gradient: list[torch.Tensor]

    @property
    def gradient_norm(self) -> float:
        """The 2-norm of the gradient."""
        return norm(self.gradient)


@dataclass(frozen=True)
class FullObjective:
    """The objective over all examples, as a function of the parameters' present values.

    Parameters
    ----------
    call
        The network.
    parameters
        What is trained.
    data
        All examples, in batches of any size.
    objective
        The loss of an example.
    weights
        The weights of examples, ``[N]``, with mean 1; None for ones.
    weight_decay
        The factor of ``½‖θ‖²``.
    """

    call: Callable[..., Any]
    parameters: Sequence[torch.nn.Parameter]
    data: Batches
    objective: Objective
    weights: torch.Tensor | None
    weight_decay: float

    def loss(self) -> float:
        """Compute the mean loss alone."""
        with torch.no_grad():
            sums = [
                sum_of_losses(self.call, batch, self.objective, self.weights).double()
                for batch in self.data
            ]
        return float(torch.stack(sums).sum()) / len(self.data.dataset)

    def evaluate(self) -> Evaluation:
        """Compute the objective and its gradient; sums are taken in float64."""
        number = len(self.data.dataset)
        gradient = [torch.zeros_like(value, dtype=torch.float64) for value in self.parameters]
        total = 0.0
        for batch in self.data:
            batch_sum = sum_of_losses(self.call, batch, self.objective, self.weights)
            gradients = torch.autograd.grad(batch_sum, self.parameters, materialize_grads=True)
            for accumulated, summand in zip(gradient, gradients, strict=True):
                accumulated.add_(summand.to_dense().double() if summand.is_sparse else summand)
            total += float(batch_sum.detach())
        gradient = [
            value / number + self.weight_decay * parameter.detach().double()
            for value, parameter in zip(gradient, self.parameters, strict=True)
        ]
        loss = total / number
        return Evaluation(loss, loss + float(penalty(self.parameters, self.weight_decay)), gradient)

    def hessian_vector_product(self, vector: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Multiply the objective's Hessian by a vector, given as a tensor for every parameter."""
        number = len(self.data.dataset)
        product = [self.weight_decay * piece for piece in vector]
        for batch in self.data:
            batch_sum = sum_of_losses(self.call, batch, self.objective, self.weights)
            gradients = torch.autograd.grad(
                batch_sum, self.parameters, create_graph=True, materialize_grads=True
            )
            slope = torch.stack(
                [
                    (gradient * piece.to(gradient.dtype)).sum()
                    for gradient, piece in zip(gradients, vector, strict=True)
                ]
            ).sum()
            products = torch.autograd.grad(slope, self.parameters, materialize_grads=True)
            product = [a + b.double() / number for a, b in zip(product, products, strict=True)]
        return product
