"""What a method uses of the training data: batches, gradients, curvature as an operator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from hessinf.data import Dataset
from hessinf.execution import Executor
from hessinf.models import Objective
from hessinf.runtime import progress
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import gradients as gradients_room
    from hessinf.data import batching
    from hessinf.gradients import activation_memory
    from hessinf.gradients.curvature_products import CurvatureProducts
    from hessinf.gradients.functional_model import FunctionalModel
    from hessinf.gradients.gradients import Gradients
    from hessinf.gradients.per_example import PerExampleGradients
    from hessinf.interpreters import kept_pass, memory_plan
else:
    torch = lazy_import("torch")
    gradients_room = lazy_import("hessinf.gradients")
    batching = lazy_import("hessinf.data.batching")
    activation_memory = lazy_import("hessinf.gradients.activation_memory")
    kept_pass = lazy_import("hessinf.interpreters.kept_pass")
memory_plan = lazy_import("hessinf.interpreters.memory_plan")

FEW = 8
"""Examples that layers are learnt from, and more."""


class TrainingAccess:
    """The training data as a method sees them: in batches that fit, on the device."""

    model: FunctionalModel
    objective: Objective
    train_data: Dataset
    weight_decay: float
    batch_size: int | Literal["auto"]
    memory_limit: float
    executor: Executor

    def train_batches(self, batch_size: int | None = None) -> batching.Batches:
        """Go through the training data in order, batch by batch, on the device."""
        return self._loaded.sized(batch_size or self.memory_plan.batch_size)

    @cached_property
    def _loaded(self) -> batching.Batches:
        """The training data on the device, or ready to be read to it."""
        return batching.batches(
            self.train_data, 1, device=self.model.device, dtype=self.model.dtype
        )

    def gradients(self, batch: batching.Batch) -> Gradients:
        """Compute the gradients of the losses of a batch, one an example."""
        return self._per_example(batch)[0]

    @cached_property
    def _per_example(self) -> PerExampleGradients:
        return gradients_room.PerExampleGradients(
            self.model, self.objective.losses, "training loss"
        )

    @property
    def gradient_routes(self) -> dict[str, tuple[str, ...]] | None:
        """Which parameters' gradients are computed which way; None before there were any."""
        return self._per_example.routes if "_per_example" in vars(self) else None

    def train_gradients(self, stage: str = "training gradients") -> Iterator[Gradients]:
        """Compute the gradients of all training losses, batch by batch, in order."""
        for gradients, _ in self.train_pass(stage):
            yield gradients

    def train_pass(
        self, stage: str, *, factored: bool = False
    ) -> Iterator[tuple[Gradients, torch.Tensor]]:
        """Compute gradients and losses ``[B]`` of the training data, batch by batch.

        They are computed once and kept, where all fit into a quarter of the memory limit: as
        factors, where they come as such (:class:`hessinf.gradients.FactoredGradients`).

        Parameters
        ----------
        stage
            What the progress bar says.
        factored
            Whether factors stay what they are. Otherwise batches are small enough for all their
            gradients to be formed as tensors.
        """
        kept = self.kept_pass
        if kept.complete:
            yield from kept.iteration(None if factored else self.memory_plan.batch_size)
            return
        kept.begin()
        own = self._factored_batches if factored else self._train_batches
        with progress.bar(stage=stage, total=len(self.train_data)) as shown:
            for batch in own:
                for gradients, losses in self._per_example.parts(batch):
                    kept.add(gradients, losses)
                    yield gradients, losses
                    shown.update(gradients.count)

    @cached_property
    def kept_pass(self) -> kept_pass.KeptPass:
        """The gradients of the training data, as far as they are kept; a fit may fill it."""
        return kept_pass.KeptPass(len(self.train_data), self.memory_limit * 2**30 / 4)

    @cached_property
    def training_losses(self) -> torch.Tensor:
        """The loss of each training example, ``[N]``."""
        with self.model.evaluating(), torch.no_grad():
            found = [
                self.objective.losses(
                    self.model.outputs(self.model.parameters, batch.inputs), batch.targets
                )
                for batch in self._train_batches
            ]
        return torch.cat(found)  # [N]

    @cached_property
    def _factored_batches(self) -> batching.Batches:
        """The training data in batches whose gradients are never formed all together."""
        if self.batch_size != "auto":
            return self._train_batches
        few = next(iter(self.train_batches(FEW)))
        size = memory_plan.plan_factored_batch(
            memory_limit=self.memory_limit,
            num_train=len(self.train_data),
            numbers_formed=self._per_example.numbers_formed(few),
            bytes_per_number=self.model.dtype.itemsize,
            activation_bytes=self._activation_bytes,
            on_cpu=self.model.device.type == "cpu",
        )
        return self.train_batches(size)

    @cached_property
    def _train_batches(self) -> batching.Batches:
        return self.train_batches()

    @cached_property
    def mean_train_gradient(self) -> torch.Tensor:
        """The mean gradient of the training losses, without weight decay: ``[P]``, float64."""
        total = torch.zeros(self.model.layout.size, dtype=torch.float64, device=self.model.device)
        for gradients in self.train_gradients("mean training gradient"):
            total += gradients.flatten().sum(dim=0, dtype=torch.float64)
        return total / len(self.train_data)

    def curvature_products(
        self,
        curvature: Literal["hessian", "ggn"],
        dtype: torch.dtype | None = None,
        keep: Collection[str] | None = None,
    ) -> CurvatureProducts:
        """Make a linear operator of the curvature of the mean training loss.

        Parameters
        ----------
        curvature
            "hessian", or "ggn" for the generalised Gauss-Newton matrix.
        dtype
            The precision of its products; the interpreter's own when None.
        keep
            The parameters that it is the curvature in, while the others stay as they are; all of
            θ when None.
        """
        model = self.model
        if keep is not None or (dtype is not None and dtype != model.dtype):
            model = gradients_room.FunctionalModel(
                model.module,
                device=model.device,
                dtype=dtype or model.dtype,
                keep=model.parameters if keep is None else keep,
            )
        products = {
            "hessian": gradients_room.HessianProducts,
            "ggn": gradients_room.GaussNewtonProducts,
        }[curvature]
        data = batching.batches(
            self.train_data, self.memory_plan.batch_size, device=model.device, dtype=model.dtype
        )
        return products(
            model,
            self.objective,
            data,
            self.weight_decay,
            self.memory_plan.vectors_at_once,
            self.memory_plan.batch_size,
            kept_bytes=self.memory_limit * 2**30 / 4,
        )

    @cached_property
    def out_features(self) -> int:
        """How many outputs the model has for an example, or for each of its positions."""
        first = next(iter(self.train_batches(1)))
        with torch.no_grad(), self.model.evaluating():
            outputs = self.model.outputs(self.model.parameters, first.inputs)  # [1, ...]
        return outputs.shape[-1] if outputs.ndim > 1 else 1

    @cached_property
    def hessian(self) -> CurvatureProducts:
        """The Hessian of the mean training loss, weight decay included, as a linear operator."""
        return self.curvature_products("hessian")

    @cached_property
    def ggn(self) -> CurvatureProducts:
        """The generalised Gauss-Newton matrix, weight decay included, as a linear operator."""
        return self.curvature_products("ggn")

    def sum_over_train(self, function: Callable[[batching.Batch], Any]) -> Any:
        """Add up ``function(batch)`` over the training data, on the executor.

        Parameters
        ----------
        function
            From a batch to a tensor or number, or a dict, list or tuple of them. It may ask for
            ``self.gradients(batch)`` and for ``batch.targets``.
        """
        return self.executor.sum(function, self._train_batches)

    @cached_property
    def memory_plan(self) -> memory_plan.MemoryPlan:
        """How many examples and vectors go through the model together."""
        return memory_plan.plan_memory(
            memory_limit=self.memory_limit,
            batch_size=None if self.batch_size == "auto" else self.batch_size,
            num_train=len(self.train_data),
            num_parameters=self.model.layout.size,
            bytes_per_number=self.model.dtype.itemsize,
            activation_bytes=self._activation_bytes,
            on_cpu=self.model.device.type == "cpu",
        )

    @cached_property
    def _activation_bytes(self) -> int:
        """What a forward pass keeps for one example."""
        first = next(iter(self.train_batches(1)))
        with self.model.evaluating():
            return activation_memory.activation_bytes(self.model, self.objective, first)
