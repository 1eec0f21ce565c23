"""Which of the paths that a reader reads a change applies to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def is_selected(path: str, paths: Sequence[str] | None) -> bool:
    """Whether a change applies to a path.

    Parameters
    ----------
    path
        A split or a file.
    paths
        Splits, whole paths, or names of files without folder and ending: ``"train"`` selects the
        split ``train`` and the file ``data/train.csv``. None selects everything.

    Returns
    -------
    bool
    """
    return paths is None or path in paths or Path(path).stem in paths
