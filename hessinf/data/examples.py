"""What checks and fingerprints see of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from hessinf.data.columns import Columns
    from hessinf.data.instance import Instance


class Examples(Protocol):
    """A data set, as far as it is looked at as a whole."""

    name: str
    label_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    instances: Sequence[Instance]

    def __len__(self) -> int:
        """Count the examples."""

    @property
    def columns(self) -> Columns | None:
        """The whole tensors behind it, where there are such."""

    @property
    def stacked(self) -> Columns | None:
        """All examples as whole tensors, where they are alike."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each example."""

    @property
    def targets(self) -> torch.Tensor:
        """All targets, ``[N, ...]``."""

    @property
    def is_classification(self) -> bool:
        """Whether targets are classes."""

    @property
    def target_shape(self) -> tuple[int, ...]:
        """The shape of the first example's target."""
