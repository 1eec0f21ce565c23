"""Telling of which example something is not finite."""

from __future__ import annotations

import torch


class NotFiniteError(Exception):
    """Something is not finite for some examples of a batch.

    Parameters
    ----------
    what
        What it is.
    finite
        ``[B]``: for which examples it is finite.
    """

    def __init__(self, what: str, finite: torch.Tensor) -> None:
        super().__init__(what)
        self.what = what
        self.finite = finite


def require_finite_examples(what: str, finite: torch.Tensor) -> None:
    """Raise where an example of ``[B]`` is not finite.

    Raises
    ------
    NotFiniteError
        Which the pass over the training data turns into an error that names the example.
    """
    if not bool(finite.all()):
        raise NotFiniteError(what, finite)
