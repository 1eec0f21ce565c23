"""Products of curvature with many vectors at once: the Hessian's, and the Gauss-Newton matrix's.

``C = 1/N Σ_i ∇²ℓ_i + wd·I`` (Hessian) or ``C = 1/N Σ_i J_iᵀ (∂²ℓ_i/∂f²) J_i + wd·I`` (generalised
Gauss-Newton; Schraudolph 2002), where ``ℓ_i`` is the loss of example i, ``f`` the model's outputs,
``J_i`` their Jacobian in θ, and ``wd`` the weight decay of the mean loss. Sums are weighted by
examples: batch size, order and a short last batch make no difference.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import torch
from torch.func import grad, jvp, vjp, vmap

from hessinf.data.batching import Batch
from hessinf.gradients.errors import GradientError
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.out_of_memory import is_out_of_memory
from hessinf.gradients.plain_kernels import twice_differentiable_attention
from hessinf.gradients.reverse_mode import pull_back, push_forward, require_derivative
from hessinf.models import Objective

logger = logging.getLogger(__name__)

Route = Literal["forward", "reverse", "one by one"]
"""How derivatives are taken: forward mode over reverse mode; reverse mode twice; or the latter for
one vector after another. All give the same products."""

EXAMPLES_PROBED = 4
"""How many examples a route is tried on before it is used."""

ROUTES_SAID: dict[Route, str] = {
    "forward": "in forward mode",
    "reverse": "for many vectors at once",
    "one by one": "in reverse mode",
}


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
        How many vectors go through the model together with a batch of ``planned_batch_size``
        examples, and accordingly more with smaller batches; None for all.
    planned_batch_size
        See there; 1 when left out.
    """

    def __init__(
        self,
        model: FunctionalModel,
        objective: Objective,
        data: Iterable[Batch],
        weight_decay: float = 0.0,
        vectors_at_once: int | None = None,
        planned_batch_size: int = 1,
    ) -> None:
        self.model = model
        self.objective = objective
        self.data = data
        self.weight_decay = weight_decay
        self.vectors_at_once = vectors_at_once
        self.planned_batch_size = planned_batch_size
        self._impossible: set[Route] = set()
        self._checked: set[Route] = set()
        self._probing = False

    described: ClassVar[str]
    """What errors call the matrix."""

    remedy: ClassVar[str]
    """What they suggest."""

    few_vectors: ClassVar[int]
    few_numbers: ClassVar[int]
    """Up to so many vectors, or vectors times parameters, reverse mode twice is faster: it has
    less to set up. Beyond, forward mode is: it moves less memory. Measured on a CPU with linear
    models, MLPs of 2,778 to 85,002 parameters and a CNN, batches of 8 to 512, 1 to 64 vectors."""

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return self.model.layout.size

    @abstractmethod
    def _forward(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply by forward-mode differentiation, all vectors together."""

    @abstractmethod
    def _reverse(self, batch: Batch, vectors: torch.Tensor, together: bool) -> torch.Tensor:
        """Multiply by differentiating twice in reverse mode."""

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

        Raises
        ------
        GradientError
            When the model or the loss has an operation without the derivatives that are needed.
        """
        if len(vectors) == 0 or batch.size == 0:
            return torch.zeros_like(vectors)
        small = len(vectors) <= self.few_vectors or vectors.numel() <= self.few_numbers
        order: tuple[Route, ...] = ("reverse", "forward") if small else ("forward", "reverse")
        failed: dict[Route, str] = {}
        cause: RuntimeError | None = None
        for route in (*order, "one by one"):
            if route in self._impossible:
                continue
            try:
                if route not in self._checked:
                    self._check(route, batch)
                products = self._along(route, batch, vectors)
            except RuntimeError as error:  # NotImplementedError among them
                if is_out_of_memory(error):
                    raise
                failed[route], cause = str(error).partition("\n")[0], error
            else:
                self._note(failed)
                return products
        raise GradientError(
            f"products with {self.described} cannot be computed: "
            f"{failed.get('one by one', '')}; the model or the loss has an operation that cannot "
            f"be differentiated as often as that needs; replace the operation, or {self.remedy}"
        ) from cause

    def _along(self, route: Route, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        with twice_differentiable_attention():
            if route == "forward":
                return self._forward(batch, vectors)
            return self._reverse(batch, vectors, together=route == "reverse")

    def _check(self, route: Route, batch: Batch) -> None:
        """Try a route on a few examples: wrong second derivatives show as asymmetry."""
        generator = torch.Generator().manual_seed(0)
        probes = torch.randn(2, self.size, generator=generator, dtype=torch.float64)
        probes = probes.to(self.model.device, self.model.dtype)  # [2, P]
        self._probing = True
        try:
            products = self._along(route, batch.select(slice(0, EXAMPLES_PROBED)), probes)  # [2, P]
        finally:
            self._probing = False
        one, other = (probes * products.flip(0)).sum(dim=1).tolist()
        largest = float((probes.norm(dim=1) * products.flip(0).norm(dim=1)).max())
        allowed = torch.finfo(self.model.dtype).eps ** 0.5 * 4 * largest
        if abs(one - other) > allowed:
            raise RuntimeError(
                f"its products are not symmetric ({one:.6g} and {other:.6g}), so a derivative of "
                "an operation in it is wrong"
            )
        self._checked.add(route)

    def _note(self, failed: dict[Route, str]) -> None:
        """Remember, and say once, what this model cannot do."""
        for route, reason in failed.items():
            self._impossible.add(route)
            logger.warning(
                "the model cannot be differentiated %s (%s); going on another way, which may be "
                "slower and gives the same products",
                ROUTES_SAID[route],
                reason,
            )

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
        if count == 0:
            raise GradientError(f"{self.described} needs training examples, found none")
        return (total / count + self.weight_decay * vectors).to(vectors.dtype)

    def __matmul__(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return ``C @ vectors`` for column vectors ``[P]`` or ``[P, K]``."""
        if vectors.ndim == 1:
            return self.products(vectors[None])[0]  # [P]
        return self.products(vectors.T).T  # [P, K]

    def _in_chunks(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        while True:
            chunk = max(len(vectors), 1)
            if self.vectors_at_once is not None:
                share = max(self.planned_batch_size // batch.size, 1) if batch.size else 1
                chunk = min(self.vectors_at_once * share, chunk)
            parts = []
            for part in torch.split(vectors, chunk):
                products = self._unless_out_of_memory(batch, part)
                if products is None:
                    break
                parts.append(products)
            else:
                return parts[0] if len(parts) == 1 else torch.cat(parts)
            logger.warning("out of memory with %d vectors at once: halving", chunk)
            self.vectors_at_once, self.planned_batch_size = -(-chunk // 2), 1

    def _unless_out_of_memory(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor | None:
        try:
            return self.sum_products(batch, vectors)
        except RuntimeError as error:
            if len(vectors) > 1 and is_out_of_memory(error):
                return None
            raise

    def _variables(self) -> dict[str, torch.Tensor]:
        return {name: x.detach().requires_grad_() for name, x in self.model.parameters.items()}


class HessianProducts(CurvatureProducts):
    """Products with the Hessian: forward-over-reverse differentiation (Pearlmutter 1994).

    A few vectors on a few examples go through reverse mode twice instead, which costs less there.
    """

    few_vectors, few_numbers = 4, 1 << 15
    described = "the Hessian of the training loss"
    remedy = 'use the curvature "ggn", or freeze the parameters before it with params_to_freeze'

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


class GaussNewtonProducts(CurvatureProducts):
    """Products with the generalised Gauss-Newton matrix: ``Jᵀ (∂²ℓ/∂f² (J v))``."""

    few_vectors, few_numbers = 1, 1 << 13
    described = "the Gauss-Newton matrix of the training loss"
    remedy = "freeze the parameters before it with params_to_freeze"

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
