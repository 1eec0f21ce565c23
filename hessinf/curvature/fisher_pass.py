"""One pass over the training data, in which the Fisher's columns go back through the model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch

from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.fisher_columns import FisherColumns
from hessinf.curvature.fisher_finite import NotFiniteError, require_finite_examples
from hessinf.data.batching import Batch, Batches
from hessinf.execution import Executor, LocalExecutor
from hessinf.gradients.layers import LayerCapture, LayerGradients
from hessinf.gradients.layers.capture import Recording
from hessinf.gradients.out_of_memory import is_out_of_memory
from hessinf.runtime.progress import bar

logger = logging.getLogger(__name__)

COLUMNS_AT_ONCE = 32
"""How many columns go back together, where nothing else is said."""

FACTORS_AT_ONCE = 32 << 20
"""How many bytes the factors of the examples that go together may take: enough for matrix products
to be fast, few enough for what a pass leaves behind to stay in the last cache, more or less."""


class Statistic(Protocol):
    """What is added up over the columns of one batch."""

    def add(self, gradients: LayerGradients) -> None:
        """Take in K columns of some examples."""

    def end_examples(self) -> None:
        """Learn that all columns of these examples were there; others follow, or none."""

    def result(self) -> Any:
        """Return tensors and numbers, nested in dicts and lists, that may be added up."""


class Beside(Protocol):
    """What else is made of the forward pass of the training data, in their order."""

    def begin(self) -> None:
        """Forget everything: the pass begins."""

    def of_part(self, record: Recording, batch: Batch) -> None:
        """Make something of the next examples."""

    def give_up(self) -> None:
        """Forget everything: examples that were there already come once more."""


class NewLayersError(Exception):
    """A later batch uses parameters in a way that the first did not: what units there are changed.

    The capture has learnt it by then, so that starting anew goes further.
    """


class FisherPass:
    """Goes through the training data and adds up statistics of pulled-back columns.

    Parameters
    ----------
    capture
        Records what the layers of the model do.
    columns
        Which columns go back.
    batches
        The training data.
    executor
        Where batches are worked on; one after another, in this process, when None.
    columns_at_once
        How many columns of a whole batch go back together. Where examples have more columns than
        that, fewer examples go together, so that what a layer does with its inputs is done once for
        all columns of an example. Halved where memory does not suffice.
    keeps
        How many bytes of factors one sum may keep for the next.
    beside
        What else to make of the forward pass of the first sum.
    """

    def __init__(
        self,
        capture: LayerCapture,
        columns: FisherColumns,
        batches: Batches,
        executor: Executor | None = None,
        columns_at_once: int | None = None,
        keeps: float = 0,
        beside: Beside | None = None,
    ) -> None:
        self.capture = capture
        self.columns = columns
        self.batches = batches
        self.executor = executor or LocalExecutor()
        self.pairs_at_once = (columns_at_once or COLUMNS_AT_ONCE) * batches.batch_size
        self.keeps = keeps
        self.beside = beside
        self._columns_each = 1
        self._examples_at_once = 1
        self._known: tuple[Any, ...] = ()
        self._is_first = False
        self._room: float | None = None
        """How many bytes more may be kept; None where no pass is kept now."""
        self._kept: dict[int, list[LayerGradients]] = {}
        """By the first example of a part, its columns."""

    def probe(self) -> LayerGradients:
        """Pull one column of the first batch back, to see what there is."""
        for batch in self.batches:
            few = batch.select(slice(0, 16))
            with self.capture.recording(few) as record:
                gradients = record.pull_back(torch.ones_like(record.outputs)[None])
            self._columns_each = self.columns.count(record.outputs.detach(), few)
            an_example = _laid_out(gradients, self._columns_each) / few.size
            self._examples_at_once = max(int(FACTORS_AT_ONCE / max(an_example, 1)), 1)
            self._known = self._layers()
            self._kept = {}
            return gradients
        raise CurvatureError("curvature needs training examples, found none")

    def _layers(self) -> tuple[Any, ...]:
        capture = self.capture
        return capture.units, capture.elementwise, capture.general, capture.idle

    def sum(self, statistic: Callable[[], Statistic], stage: str) -> Any:
        """Add up one statistic over all examples and columns.

        Parameters
        ----------
        statistic
            Makes one for a batch.
        stage
            What the progress bar is called.

        Raises
        ------
        CurvatureError
            When outputs are not finite.
        NewLayersError
            When a batch uses parameters in a way that :meth:`probe` did not see.
        """
        return self.executor.sum(lambda batch: self.of_batch(batch, statistic), self._shown(stage))

    def first_sum(self, statistic: Callable[[], Statistic], stage: str, *, keep: bool) -> Any:
        """Add up, and make what else is to be made of the forward pass.

        Parameters
        ----------
        statistic, stage
            As for :meth:`sum`, whose errors this has too.
        keep
            Whether to keep factors of matrices for the next sum, as far as there is room. What the
            executor runs elsewhere is not kept.
        """
        if self.beside is not None:
            self.beside.begin()
        self._kept, self._room, self._is_first = {}, self.keeps if keep else None, True
        try:
            return self.sum(statistic, stage)
        finally:
            self._room, self._is_first = None, False

    def forget(self) -> None:
        """Let go of what was kept."""
        self._kept = {}

    def of_batch(self, batch: Batch, statistic: Callable[[], Statistic]) -> Any:
        """Return the statistic of one batch; arguments and errors as of :meth:`sum`."""
        while True:
            total = statistic()
            start = 0
            while start < batch.size:
                size = max(self.pairs_at_once // self._columns_each, 1)
                stop = start + min(size, self._examples_at_once)
                part = batch.select(slice(start, stop)) if stop - start < batch.size else batch
                if not self._of_part(part, total):
                    break
                start = stop
            else:
                return total.result()
            if self._is_first and self.beside is not None:
                self.beside.give_up()

    def _of_part(self, batch: Batch, statistic: Statistic) -> bool:
        """Add a few examples to a statistic; return False where memory does not suffice."""
        try:
            first = int(batch.indices[0])
            kept = self._kept.get(first)
            if not self._is_first and kept is not None and kept[0].count == batch.size:
                for gradients in kept:
                    statistic.add(gradients)
                statistic.end_examples()
            else:
                self._through_model(batch, statistic, first)
            return True
        except NotFiniteError as error:
            index = int(batch.indices[int((~error.finite).nonzero()[0])])
            raise CurvatureError(
                f"{error.what} not finite at training example {index}; likely causes: NaN or huge "
                "values among its inputs, or a model whose training diverged"
            ) from error
        except RuntimeError as error:
            if self.pairs_at_once == 1 or not is_out_of_memory(error):
                raise
            logger.warning("out of memory with %d gradients at once: halving", self.pairs_at_once)
            self.pairs_at_once = -(-self.pairs_at_once // 2)
            return False

    def _through_model(self, batch: Batch, statistic: Statistic, first: int) -> None:
        """Run a few examples, and pull their columns back."""
        columns: list[LayerGradients] | None = []
        with self.capture.recording(batch) as record:
            outputs = record.outputs.detach()
            finite = outputs.isfinite().reshape(batch.size, -1).all(dim=1)  # [B]
            require_finite_examples("the outputs of the model are", finite)
            at_once = max(self.pairs_at_once // batch.size, 1)
            for cotangents in self.columns(outputs, batch, at_once):
                gradients = record.pull_back(cotangents)
                if self._layers() != self._known:
                    raise NewLayersError
                statistic.add(gradients)
                columns = self._held(columns, gradients)
            statistic.end_examples()
            if self._is_first and self.beside is not None:
                self.beside.of_part(record, batch)
        if self._room is not None and columns is not None:
            self._room -= sum(gradients.memory for gradients in columns)
            self._kept[first] = columns

    def _held(
        self, columns: list[LayerGradients] | None, gradients: LayerGradients
    ) -> list[LayerGradients] | None:
        """Add to the columns of some examples what is kept of them; None where they do not fit."""
        if self._room is None or columns is None:
            return None
        columns.append(gradients.without_graph())
        return columns if sum(some.memory for some in columns) <= self._room else None

    def _shown(self, stage: str) -> Iterator[Batch]:
        with bar(stage=stage, total=len(self.batches.dataset)) as shown:
            for batch in self.batches:
                yield batch
                shown.update(batch.size)


def _laid_out(gradients: LayerGradients, columns: int) -> int:
    """Count the bytes of factors as they are multiplied, patches of convolutions laid out."""
    usages = [usage for unit in gradients.plan.units for usage in gradients.usages(unit)]
    inputs = {usage.inputs.data_ptr(): usage.inputs.nbytes for usage in usages}
    return sum(inputs.values()) + columns * sum(usage.gradient.nbytes for usage in usages)
