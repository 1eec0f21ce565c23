"""``GaussNewtonProducts``: the Gauss-Newton matrix of the mean training loss as an operator."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch.func import jvp, vjp, vmap

from hessinf.data.batching import Batch
from hessinf.gradients.chain_linearization import linearize_chain
from hessinf.gradients.curvature_products import CurvatureProducts
from hessinf.gradients.factor_linearization import linearize_factors
from hessinf.gradients.layers import LayerCapture
from hessinf.gradients.linearization import Linearization, NotLinearizableError
from hessinf.gradients.reverse_mode import pull_back, push_forward, require_derivative


class GaussNewtonProducts(CurvatureProducts):
    """Products with the generalised Gauss-Newton matrix: ``Jᵀ (∂²ℓ/∂f² (J v))``."""

    few_vectors, few_numbers = 1, 1 << 13
    described = "the Gauss-Newton matrix of the training loss"
    remedy = "freeze the parameters before it with params_to_freeze"

    fewest_worth_linearizing = 8  # as many backward passes as the model has outputs

    @cached_property
    def _capture(self) -> LayerCapture:
        return LayerCapture(self.model)

    def _linearize(self, batch: Batch) -> Linearization:
        if self._is_chain:
            try:
                return linearize_chain(self.model, self.objective, batch, whole=False)
            except NotLinearizableError:
                self._is_chain = False
        return linearize_factors(self.model, self._capture, self.objective, batch)

    _is_chain = True

    def _forward(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        layout, parameters = self.model.layout, self.model.parameters

        def forward(theta: dict[str, torch.Tensor]) -> torch.Tensor:
            return self.model.outputs(theta, batch.inputs)

        def push(vector: torch.Tensor) -> torch.Tensor:
            tangent: Any = layout.unflatten(vector)
            pushed: torch.Tensor = jvp(forward, (parameters,), (tangent,))[1]
            return pushed

        with torch.no_grad():
            outputs, pull = vjp(forward, parameters)[:2]
            pushed = vmap(push)(vectors)  # J v: [K, B, ...]
            curved = self._output_curvature(outputs, batch, pushed, together=True)
            return vmap(lambda row: layout.flatten(pull(row)[0]))(curved)  # [K, P]

    def _reverse(self, batch: Batch, vectors: torch.Tensor, together: bool) -> torch.Tensor:
        theta = self._variables()
        variables = list(theta.values())
        tangents = list(self.model.layout.unflatten(vectors).values())  # [K, *shape] each
        with torch.enable_grad():
            outputs = self.model.outputs(theta, batch.inputs)  # [B, ...]
            pushed = push_forward(
                outputs, variables, tangents, together=together, check=self._probing
            )
            curved = self._output_curvature(outputs, batch, pushed, together=together)
            products = pull_back([outputs], variables, [curved], together=together)
        return self.model.layout.flatten(dict(zip(theta, products, strict=True)), leading=1)

    def _output_curvature(
        self, outputs: torch.Tensor, batch: Batch, vectors: torch.Tensor, *, together: bool
    ) -> torch.Tensor:
        """Multiply ``∂²ℓ/∂f²``, which is symmetric, with ``[K, *outputs.shape]``."""
        variable = outputs.detach().requires_grad_()
        with torch.enable_grad():
            total_loss = self.objective.losses(variable, batch.targets).sum()
            (gradient,) = torch.autograd.grad(total_loss, variable, create_graph=True)
            if self._probing:
                require_derivative([gradient])
            return pull_back([gradient], [variable], [vectors], together=together)[0]
