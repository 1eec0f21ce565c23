"""``log.txt``: what a run did, and how it ended."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


ENTRY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (?P<level>[A-Z]+) (?P<logger>[\w.]+): ")
"""How an entry begins; further lines of its message follow it."""


class _LogFile(logging.FileHandler):
    """A log that never stands in the way: a full disk is reported by what needs the disk."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop the record."""


@contextlib.contextmanager
def log_to(file: Path) -> Iterator[None]:
    """Write the log of the block to a file, and how the block ended.

    Parameters
    ----------
    file
        Where to; what is there already is kept.
    """
    handler = _LogFile(file, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    root = logging.getLogger("hessinf")
    level = root.level
    if root.getEffectiveLevel() > logging.INFO:  # used from Python, where nobody has set it
        root.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield
        logger.info("finished")
    except KeyboardInterrupt as interruption:
        logger.warning(
            "stopped by %s; go on with -r",
            type(interruption).__name__,
            extra={"for_file_only": True},
        )
        raise
    except BaseException as error:
        # The command line prints the error itself.
        logger.error("%s: %s", type(error).__name__, error, extra={"for_file_only": True})
        raise
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        with contextlib.suppress(OSError):
            handler.close()


def warnings_of(file: Path) -> list[str]:
    """Collect what a run has warned of, also before it was resumed.

    Parameters
    ----------
    file
        Its log.

    Returns
    -------
    list of str
        In order, each once; without what is no matter of the results, that it was stopped.
    """
    entries: list[tuple[bool, str]] = []
    with open(file, encoding="utf-8", errors="replace", newline="\n") as lines:
        for line in lines:
            found = ENTRY.match(line)
            if found is not None:
                counts = found["level"] == "WARNING" and found["logger"] != logger.name
                entries.append((counts, line[found.end() :]))
            elif entries:
                counts, text = entries[-1]
                entries[-1] = (counts, text + line)
    return list(dict.fromkeys(text.removesuffix("\n") for counts, text in entries if counts))
