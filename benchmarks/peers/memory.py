"""How much memory processes have, in bytes."""

from __future__ import annotations

import os
from pathlib import Path

from hessinf.runtime.peak_memory import peak_memory

__all__ = ["peak_memory", "resident_memory"]


def resident_memory(pid: int) -> int:
    """Give the resident memory of another process; 0 where this cannot be known."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
