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
from hessinf.execution.executor import add
from hessinf.gradients.layers import LayerCapture, LayerGradients
from hessinf.gradients.out_of_memory import is_out_of_memory
from hessinf.runtime.progress import bar

logger = logging.getLogger(__name__)

COLUMNS_AT_ONCE = 32
"""How many columns go back together, where nothing else is said."""


class Statistic(Protocol):
    """What is added up over the columns of one batch."""

    def add(self, gradients: LayerGradients) -> None:
        """Take in K columns of all B examples."""

    def result(self) -> Any:
        """Return tensors and numbers, nested in dicts and lists, that may be added up."""


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
    """

    def __init__(
        self,
        capture: LayerCapture,
        columns: FisherColumns,
        batches: Batches,
        executor: Executor | None = None,
        columns_at_once: int | None = None,
    ) -> None:
        self.capture = capture
        self.columns = columns
        self.batches = batches
        self.executor = executor or LocalExecutor()
        self.pairs_at_once = (columns_at_once or COLUMNS_AT_ONCE) * batches.batch_size
        self._columns_each = 1
        self._known: tuple[Any, ...] = ()

    def probe(self) -> LayerGradients:
        """Pull one column of the first batch back, to see what there is."""
        for batch in self.batches:
            with self.capture.recording(batch) as record:
                gradients = record.pull_back(torch.ones_like(record.outputs)[None])
            self._columns_each = self.columns.count(record.outputs.detach(), batch)
            self._known = self._layers()
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

    def of_batch(self, batch: Batch, statistic: Callable[[], Statistic]) -> Any:
        """Return the statistic of one batch; arguments and errors as of :meth:`sum`."""
        total: Any = None
        start = 0
        while start < batch.size:
            stop = start + max(self.pairs_at_once // self._columns_each, 1)
            part = self._of_part(batch.select(slice(start, stop)), statistic())
            if part is not None:  # else once more, with fewer
                total = part if total is None else add(total, part)
                start = stop
        return total

    def _of_part(self, batch: Batch, statistic: Statistic) -> Any:
        """Return the statistic of a batch; None where memory does not suffice."""
        try:
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
            return statistic.result()
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
            return None

    def _shown(self, stage: str) -> Iterator[Batch]:
        with bar(stage=stage, total=len(self.batches.dataset)) as shown:
            for batch in self.batches:
                yield batch
                shown.update(batch.size)
