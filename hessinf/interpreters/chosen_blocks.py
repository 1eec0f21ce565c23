"""What methods share that keep the entries within blocks of parameters, and drop those between."""

from __future__ import annotations

from typing import Any

from hessinf.curvature.blocks import Blocks, parameter_blocks
from hessinf.interpreters.dense_blocks import DenseBlocks


class ChosenBlocks(DenseBlocks):
    """Influence with the dense curvature of each block of parameters.

    Parameters
    ----------
    blocks
        "layer" for a block for each module that owns parameters, "parameter" for one for each
        parameter, or {"name": ["regular expression", ...]}, which must name every parameter in one
        block.
    """

    def __init__(self, *args: Any, blocks: Blocks = "layer", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._blocks = parameter_blocks(tuple(self.model.parameters), blocks)

    @property
    def parameter_blocks(self) -> dict[str, tuple[str, ...]]:
        """The names of the parameters of each block."""
        return self._blocks
