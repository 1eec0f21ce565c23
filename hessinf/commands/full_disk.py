"""A disk that is full, or a quota that is used up, in the middle of a run."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

from hessinf.errors import HessinfError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FullDiskError(HessinfError):
    """There is no space for results; what is finished is kept."""


@contextlib.contextmanager
def reporting_full_disk(folder: Path) -> Iterator[None]:
    """Turn the system's error into one that says what to do.

    Parameters
    ----------
    folder
        Where the block writes.

    Raises
    ------
    FullDiskError
        When there is no space left.
    """
    try:
        yield
    except Exception as error:
        if not _is_full(error):
            raise
        raise FullDiskError(
            f"no space left for the results in {folder} ({error}); what is finished is kept: free "
            "some space, and go on with -r"
        ) from error


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in NO_SPACE
    # safetensors tells the system's error in words, which changed over its versions:
    # "(os error 28)", "Os { code: 28, kind: StorageFull, ... }".
    number = re.search(r"\bos error (\d+)|\bcode: (\d+)", str(error))
    if type(error).__name__ != "SafetensorError" or number is None:
        return False
    return int(number[1] or number[2]) in NO_SPACE
