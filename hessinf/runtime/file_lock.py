"""A file that one process holds at a time, while others wait."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def holding(path: str | Path) -> Iterator[None]:
    """Hold a file while the block runs; wait for another process that does.

    The system lets go of it when a process ends, in whatever way. The file is removed at the end.

    Parameters
    ----------
    path
        The file, in a directory that exists; made when it is not there.
    """
    path = Path(path)
    while True:
        lock = open(path, "a+")  # noqa: SIM115 (held until the block ends)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.warning("waiting for another process, which holds %s", path)
                fcntl.flock(lock, fcntl.LOCK_EX)
            if is_open_at(lock.fileno(), path):
                break
        except BaseException:
            lock.close()
            raise
        lock.close()  # whoever held it has removed it since: that is no lock any more
    try:
        yield
    finally:
        if is_open_at(lock.fileno(), path):
            path.unlink(missing_ok=True)
        lock.close()


def is_open_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one that lies at a path now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
