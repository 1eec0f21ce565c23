"""What every test starts from, whatever ran before it in the same process."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from hessinf.registry import plugins

# Lines are as wide as they are in a pipe, whoever runs the tests: pytest-xdist says 80.
os.environ.pop("COLUMNS", None)


@pytest.fixture(autouse=True)
def unconfigured_log() -> Iterator[None]:
    """Undo what the command line does to the log of its process."""
    logger = logging.getLogger("hessinf")
    level, propagates, handlers = logger.level, logger.propagate, list(logger.handlers)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True
    logger.handlers = []
    yield
    logger.setLevel(level)
    logger.propagate = propagates
    logger.handlers = handlers


@pytest.fixture(autouse=True)
def no_plugins_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the plugins that other tests have loaded: messages list them."""
    monkeypatch.setattr(plugins, "_imported", {})
