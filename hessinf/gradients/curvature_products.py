"""Products of curvature with many vectors at once: the Hessian's, and the Gauss-Newton matrix's.

``C = 1/N Σ_i ∇²ℓ_i + wd·I`` (Hessian) or ``C = 1/N Σ_i J_iᵀ (∂²ℓ_i/∂f²) J_i + wd·I`` (generalised
Gauss-Newton; Schraudolph 2002), where ``ℓ_i`` is the loss of example i, ``f`` the model's outputs,
``J_i`` their Jacobian in θ, and ``wd`` the weight decay of the mean loss. Sums are weighted by
examples: batch size, order and a short last batch make no difference.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import ClassVar, Literal

import torch

from hessinf.data.batching import Batch
from hessinf.gradients.block_vectors import BlockVectors
from hessinf.gradients.errors import GradientError
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.linearization import Linearization, NotLinearizableError
from hessinf.gradients.linearized_data import LinearizedData, linearized_data
from hessinf.gradients.out_of_memory import is_out_of_memory
from hessinf.gradients.plain_kernels import twice_differentiable_attention
from hessinf.models import Objective

logger = logging.getLogger(__name__)

Route = Literal["layers", "forward", "reverse", "one by one"]
"""How derivatives are taken: by matrix products, layer by layer, where the model allows it; forward
mode over reverse mode; reverse mode twice; or the latter for one vector after another. All give the
same products."""

KEPT_BYTES = 1 << 28
"""Linearizations of the training data up to this size are kept, unless said otherwise."""

EXAMPLES_PROBED = 4
"""How many examples a route is tried on before it is used."""

ROUTES_SAID: dict[Route, str] = {
    "layers": "layer by layer",
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
    kept_bytes
        How much may be kept of the training data, so that products need the model no more.
    """

    def __init__(
        self,
        model: FunctionalModel,
        objective: Objective,
        data: Iterable[Batch],
        weight_decay: float = 0.0,
        vectors_at_once: int | None = None,
        planned_batch_size: int = 1,
        kept_bytes: float = KEPT_BYTES,
    ) -> None:
        self.model = model
        self.objective = objective
        self.data = data
        self.weight_decay = weight_decay
        self.vectors_at_once = vectors_at_once
        self.planned_batch_size = planned_batch_size
        self.kept_bytes = kept_bytes
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

    fewest_worth_linearizing: ClassVar[int] = 1
    """With fewer vectors, a batch that is not kept is not linearized."""

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return self.model.layout.size

    @abstractmethod
    def _linearize(self, batch: Batch) -> Linearization:
        """Take what products need of a batch, once for all of them."""

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
        others: tuple[Route, ...] = ("reverse", "forward") if small else ("forward", "reverse")
        order = (*(("layers",) if len(vectors) >= self.fewest_worth_linearizing else ()), *others)
        failed: dict[Route, str] = {}
        cause: RuntimeError | None = None
        for route in (*order, "one by one"):
            if route in self._impossible:
                continue
            try:
                if route not in self._checked:
                    self._check(route, batch)
                products = self._along(route, batch, vectors)
            except NotLinearizableError as error:
                self._cannot_linearize(error)
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

    @cached_property
    def linearized(self) -> LinearizedData | None:
        """The curvature of the training data with no need of the model; None where that is not had.

        It is computed when it is first asked for, and kept.
        """
        first = next(iter(self.data), None)
        if first is None or first.size == 0 or "layers" in self._impossible:
            return None
        try:
            with twice_differentiable_attention():
                if "layers" not in self._checked:
                    self._check("layers", first)
                return linearized_data(
                    self.model.layout, self.data, self._linearize, self.kept_bytes
                )
        except NotLinearizableError as error:
            self._cannot_linearize(error)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self._note({"layers": str(error).partition("\n")[0]})
        return None

    def _cannot_linearize(self, error: NotLinearizableError) -> None:
        self._impossible.add("layers")
        logger.debug("products do not go layer by layer: %s", error)

    def _along(self, route: Route, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        with twice_differentiable_attention():
            if route == "layers":
                given = BlockVectors.of_rows(vectors, self.model.layout)
                summed = given.zeros()
                self._linearize(batch).add_products(given, summed)
                return summed.rows()
            if route == "forward":
                return self._forward(batch, vectors)
            return self._reverse(batch, vectors, together=route == "reverse")

    def _check(self, route: Route, batch: Batch) -> None:
        """Try a route on a few examples: wrong second derivatives show as asymmetry."""
        generator = torch.Generator().manual_seed(0)
        probes = torch.randn(2, self.size, generator=generator, dtype=torch.float64)
        probes = probes.to(self.model.device, self.model.dtype)  # [2, P]
        few = batch.select(slice(0, EXAMPLES_PROBED))
        self._probing = True
        try:
            products = self._along(route, few, probes)  # [2, P]
            if route == "layers":
                self._compare(products, self._along("one by one", few, probes))
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

    def _compare(self, products: torch.Tensor, expected: torch.Tensor) -> None:
        """Check products against those of automatic differentiation, each ``[2, P]``."""
        error, size = float((products - expected).norm()), float(expected.norm())
        if not error <= torch.finfo(self.model.dtype).eps ** 0.5 * 4 * size:
            raise RuntimeError(
                f"its products differ from those of automatic differentiation by {error:.3g}, of "
                f"{size:.3g}"
            )

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

    def at_once(self, count: int) -> int:
        """Say how many of some vectors to multiply together, where all are at hand."""
        return count if self.linearized is not None else min(self.vectors_at_once or count, count)

    def of_batch(self, batch: Batch) -> Callable[[torch.Tensor], torch.Tensor]:
        """Prepare many :meth:`batch_products` with one batch, of row vectors ``[K, P]``."""
        if self.linearized is None:
            return partial(self.batch_products, batch)
        with twice_differentiable_attention():
            part = LinearizedData(self.model.layout, [self._linearize(batch)])
        return partial(part.products, weight_decay=self.weight_decay)

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
        if self.linearized is not None:
            try:
                return self.linearized.products(vectors, self.weight_decay)  # [K, P]
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            logger.warning("out of memory with what is kept of the training data: letting go of it")
            self.linearized = None
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
