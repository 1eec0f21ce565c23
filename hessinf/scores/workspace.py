"""``Workspace``: memory for tiles, allocated once and used again and again."""

from __future__ import annotations

import torch


class Workspace:
    """Hands out tensors whose content is of no use any more when the same name is asked for again.

    Fresh memory costs a CPU a page fault for every 4 KiB, which is more than the work on a tile.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, torch.Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
        """Return an uninitialised tensor.

        Parameters
        ----------
        name
            What it is for.
        shape
            Its shape.
        like
            Of the same type, on the same device.
        """
        size = 1
        for length in shape:
            size *= length
        buffer = self._buffers.get(name)
        if (
            buffer is None
            or buffer.numel() < size
            or buffer.dtype != like.dtype
            or buffer.device != like.device
        ):
            buffer = self._buffers[name] = like.new_empty(size)
        return buffer[:size].view(shape)
