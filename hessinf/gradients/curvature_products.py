"""Products of curvature with many vectors at once: the Hessian's, and the Gauss-Newton matrix's.

``C = 1/N Σ_i ∇²ℓ_i + wd·I`` (Hessian) or ``C = 1/N Σ_i J_iᵀ (∂²ℓ_i/∂f²) J_i + wd·I`` (generalised
Gauss-Newton; Schraudolph 2002), where ``ℓ_i`` is the loss of example i, ``f`` the model's outputs,
``J_i`` their Jacobian in θ, and ``wd`` the weight decay of the mean loss. Sums are weighted by
examples: batch size, order and a short last batch make no difference.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch.func import grad, jvp, vjp, vmap

from hessinf.data.batching import Batch
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.models import Objective


class CurvatureProducts(ABC):
    """Curvature of the mean training loss, as a linear operator on row vectors ``[K, P]``.

    Parameters
    ----------
    model
        The model as a function of θ.
    objective
        The loss of every example.
    data
        The training batches; gone through once for every product.
    weight_decay
        The coefficient of ``½·wd·‖θ‖²`` on the mean loss.
    vectors_at_once
        How many vectors go through the model together; None for all.
    """

    def __init__(
        self,
        model: FunctionalModel,
        objective: Objective,
        data: Iterable[Batch],
        weight_decay: float = 0.0,
        vectors_at_once: int | None = None,
    ) -> None:
        self.model = model
        self.objective = objective
        self.data = data
        self.weight_decay = weight_decay
        self.vectors_at_once = vectors_at_once

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return self.model.layout.size

    @abstractmethod
    def sum_products(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply the summed curvature of a batch's losses, without weight decay.

        Parameters
        ----------
        batch
            B examples.
        vectors
            ``[K, P]``.

        Returns
        -------
        torch.Tensor
            ``Σ_b C_b v_k``, ``[K, P]``.
        """

    def batch_products(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply the curvature of a batch's mean loss, weight decay included: ``[K, P]``."""
        products = self._in_chunks(batch, vectors) / batch.size  # [K, P]
        return products + self.weight_decay * vectors if self.weight_decay else products

    def products(self, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply the curvature of the whole mean loss, weight decay included.

        Parameters
        ----------
        vectors
            ``[K, P]``.

        Returns
        -------
        torch.Tensor
            ``C v_k``, ``[K, P]``, summed over batches in float64.
        """
        total = torch.zeros_like(vectors, dtype=torch.float64)  # [K, P]
        count = 0
        for batch in self.data:
            total += self._in_chunks(batch, vectors)
            count += batch.size
        return (total / count + self.weight_decay * vectors).to(vectors.dtype)

    def __matmul__(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return ``C @ vectors`` for column vectors ``[P]`` or ``[P, K]``."""
        if vectors.ndim == 1:
            return self.products(vectors[None])[0]  # [P]
        return self.products(vectors.T).T  # [P, K]

    def _in_chunks(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        chunk = self.vectors_at_once or len(vectors)
        if chunk >= len(vectors):
            return self.sum_products(batch, vectors)
        return torch.cat([self.sum_products(batch, part) for part in vectors.split(chunk)])


class HessianProducts(CurvatureProducts):
    """Products with the Hessian: forward-over-reverse differentiation (Pearlmutter 1994)."""

    def sum_products(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply the summed Hessian of a batch's losses; see the base class."""
        layout, parameters = self.model.layout, self.model.parameters

        def total_loss(theta: dict[str, torch.Tensor]) -> torch.Tensor:
            outputs = self.model.outputs(theta, batch.inputs)
            return self.objective.losses(outputs, batch.targets).sum()

        def product(vector: torch.Tensor) -> torch.Tensor:
            tangent = layout.unflatten(vector)
            _, products = jvp(grad(total_loss), (parameters,), (tangent,))
            return layout.flatten(products)  # [P]

        return vmap(product)(vectors)  # [K, P]


class GaussNewtonProducts(CurvatureProducts):
    """Products with the generalised Gauss-Newton matrix: ``Jᵀ (∂²ℓ/∂f² (J v))``."""

    def sum_products(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply the summed Gauss-Newton matrix of a batch's losses; see the base class."""
        layout, parameters = self.model.layout, self.model.parameters

        def forward(theta: dict[str, torch.Tensor]) -> torch.Tensor:
            return self.model.outputs(theta, batch.inputs)

        def output_loss(outputs: torch.Tensor) -> torch.Tensor:
            return self.objective.losses(outputs, batch.targets).sum()

        outputs, pull_back = vjp(forward, parameters)

        def product(vector: torch.Tensor) -> torch.Tensor:
            tangent: Any = layout.unflatten(vector)
            _, pushed = jvp(forward, (parameters,), (tangent,))  # J v: [B, ...]
            _, curved = jvp(grad(output_loss), (outputs,), (pushed,))  # Λ J v: [B, ...]
            return layout.flatten(pull_back(curved)[0])  # [P]

        return vmap(product)(vectors)  # [K, P]
