"""Loaders of training data for packages that ask for a data set or a ``DataLoader`` of torch.

All cut batches out of the tensors whole, which is torch's own way around the collation of one
example after another: for small examples that takes longer than the rest of a pass, and is no
package's work.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler, TensorDataset

Arrays = tuple[torch.Tensor, torch.Tensor]


class WholeBatches(TensorDataset):
    """A data set whose batches are cut out whole; to be loaded with :func:`whole` as collation."""

    def __getitems__(self, places: list[int]) -> list[torch.Tensor]:
        """Give the arrays of some examples; torch calls this where a data set has it."""
        return [tensor[places] for tensor in self.tensors]


def whole(batch: Any) -> Any:
    """Leave a batch as it is."""
    return batch


def example_loader(arrays: Arrays, batch_size: int) -> DataLoader[Any]:
    """Load batches in order, for packages that look at ``batch_size`` and ``sampler``."""
    return DataLoader(WholeBatches(*arrays), batch_size=batch_size, collate_fn=whole)


def batch_loader(arrays: Arrays, batch_size: int) -> DataLoader[Any]:
    """Load batches in order, for packages that iterate and no more: the quickest."""
    dataset = TensorDataset(*arrays)
    batches = BatchSampler(SequentialSampler(dataset), batch_size, drop_last=False)
    return DataLoader(dataset, sampler=batches, batch_size=None)
