"""The hooks of a method that can show its curvature, beside using its inverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hessinf.interpreters.errors import InterpreterError
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.curvature.shown_spectrum import ShownSpectrum
    from hessinf.gradients.functional_model import FunctionalModel
else:
    torch = lazy_import("torch")

ROWS_AT_ONCE = 512
"""Unit vectors that are multiplied together."""


class CurvatureHooks:
    """The part of :class:`~hessinf.interpreters.InfluenceInterpreter` that shows a curvature.

    Methods fill in :meth:`multiply_curvature`, :meth:`curvature_matrix` where that goes faster than
    by unit vectors, and :meth:`curvature_spectrum` where they know eigenvalues. Callers use
    :mod:`hessinf.interpreters.shown_curvature`.
    """

    model: FunctionalModel

    curvature_needs_fit: ClassVar[bool] = True
    """Whether the curvature is only known after ``fit``."""

    @property
    def shows_curvature(self) -> bool:
        """Whether the method has a curvature of its own."""
        return type(self).multiply_curvature is not CurvatureHooks.multiply_curvature

    def curvature_facts(self) -> dict[str, Any]:
        """Say how the curvature was made, as JSON: which Fisher, how many samples, which rank."""
        return {}

    def curvature_spectrum(self) -> ShownSpectrum | None:
        """Give the eigenvalues of C that are known after ``fit``.

        Returns
        -------
        ShownSpectrum or None
            By block: undamped, weight decay included. None where the method knows none without
            another pass over the data, or a decomposition that takes more than a second or so.
        """
        return None

    def multiply_curvature(self, vectors: torch.Tensor) -> torch.Tensor:
        """Multiply with C: undamped, weight decay included.

        Parameters
        ----------
        vectors
            Row vectors ``[K, P]``.

        Returns
        -------
        torch.Tensor
            ``[K, P]``, float64.

        Raises
        ------
        InterpreterError
            Where a method has no curvature of its own.
        """
        raise InterpreterError(
            f"{type(self).__name__} shows no curvature of its own: it uses none, or products with "
            'the Hessian or the Gauss-Newton matrix alone; look at "exact" or "ggn" instead, or '
            "give it a method `multiply_curvature`"
        )

    def curvature_matrix(self) -> torch.Tensor:
        """Form C, ``[P, P]``, float64, symmetric: undamped, weight decay included."""
        size, device = self.model.layout.size, self.model.device
        matrix = torch.empty(size, size, dtype=torch.float64, device=device)  # [P, P]
        for start in range(0, size, ROWS_AT_ONCE):
            rows = range(start, min(start + ROWS_AT_ONCE, size))
            unit_vectors = torch.zeros(len(rows), size, dtype=torch.float64, device=device)
            unit_vectors[:, start:].fill_diagonal_(1.0)  # [K, P]
            matrix[start : start + len(rows)] = self.multiply_curvature(unit_vectors)
        return matrix
