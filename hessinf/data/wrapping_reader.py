"""Readers that change what another reader reads."""

from __future__ import annotations

from typing import Any

from hessinf.data.dataset_reader import DatasetReader


class WrappingReader(DatasetReader):
    """Reads with another reader, which does all the learning from data.

    Parameters
    ----------
    reader
        Reads the data before they are changed.
    """

    def __init__(self, reader: DatasetReader) -> None:
        self.reader = reader

    def state(self) -> dict[str, Any]:
        """Give what the other reader has learnt."""
        return self.reader.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Let the other reader take over a state."""
        self.reader.load_state(state)
