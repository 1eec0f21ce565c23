"""``HessianProducts``: the Hessian of the mean training loss as an operator."""

from __future__ import annotations

from typing import Any

import torch
from torch.func import grad, jvp, vmap

from hessinf.data.batching import Batch
from hessinf.gradients.chain_linearization import linearize_chain
from hessinf.gradients.curvature_products import CurvatureProducts
from hessinf.gradients.linearization import Linearization
from hessinf.gradients.reverse_mode import pull_back, require_derivative


class HessianProducts(CurvatureProducts):
    """Products with the Hessian: forward-over-reverse differentiation (Pearlmutter 1994).

    A few vectors on a few examples go through reverse mode twice instead, which costs less there.
    """

    few_vectors, few_numbers = 4, 1 << 15
    described = "the Hessian of the training loss"
    remedy = 'use the curvature "ggn", or freeze the parameters before it with params_to_freeze'

    def _linearize(self, batch: Batch) -> Linearization:
        return linearize_chain(self.model, self.objective, batch, whole=True)

    def _forward(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        layout, parameters = self.model.layout, self.model.parameters

        def total_loss(theta: dict[str, torch.Tensor]) -> torch.Tensor:
            outputs = self.model.outputs(theta, batch.inputs)
            return self.objective.losses(outputs, batch.targets).sum()

        def product(vector: torch.Tensor) -> torch.Tensor:
            tangent = layout.unflatten(vector)
            products: Any = jvp(grad(total_loss), (parameters,), (tangent,))[1]
            return layout.flatten(products)  # [P]

        with torch.no_grad():
            return vmap(product)(vectors)  # [K, P]

    def _reverse(self, batch: Batch, vectors: torch.Tensor, together: bool) -> torch.Tensor:
        theta = self._variables()
        variables = list(theta.values())
        tangents = list(self.model.layout.unflatten(vectors).values())  # [K, *shape] each
        with torch.enable_grad():
            outputs = self.model.outputs(theta, batch.inputs)
            total_loss = self.objective.losses(outputs, batch.targets).sum()
            if not total_loss.requires_grad:
                return torch.zeros_like(vectors)
            gradients = torch.autograd.grad(
                total_loss, variables, create_graph=True, allow_unused=True, materialize_grads=True
            )
            if self._probing:
                require_derivative(gradients)
            products = pull_back(gradients, variables, tangents, together=together)
        return self.model.layout.flatten(dict(zip(theta, products, strict=True)), leading=1)
