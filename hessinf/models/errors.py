"""What can go wrong with models, objectives and model archives."""

from __future__ import annotations

from hessinf.errors import HessinfError


class ModelError(HessinfError):
    """A model could not be built, or its weights could not be read."""


class ObjectiveError(HessinfError):
    """An objective does not fit the data or the model's outputs, or lacks what was asked of it."""


class ArchiveError(HessinfError):
    """A model archive could not be written or read."""
