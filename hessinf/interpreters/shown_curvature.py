"""The curvature of an interpreter as a dense matrix, or as an operator: undamped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hessinf.interpreters.checkpoints import require_one_model
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter

if TYPE_CHECKING:
    from hessinf.solvers.product import Product


def dense_curvature(interpreter: InfluenceInterpreter) -> torch.Tensor:
    """Form the curvature C that an interpreter stands for.

    Parameters
    ----------
    interpreter
        Fitted first, where it is not and its curvature needs it.

    Returns
    -------
    torch.Tensor
        ``[P, P]``, float64, symmetric: of the mean training loss, undamped, weight decay included;
        rows and columns in the order of ``interpreter.model.layout``.

    Raises
    ------
    InterpreterError
        Where the method has no curvature of its own, or several models.
    """
    _prepare(interpreter)
    with interpreter.model.evaluating():
        matrix = interpreter.curvature_matrix()  # [P, P]
    return (matrix + matrix.T).mul_(0.5)


def curvature_product(interpreter: InfluenceInterpreter) -> Product:
    """Make an operator of the curvature C; no matrix is formed.

    Parameters
    ----------
    interpreter
        As for :func:`dense_curvature`.

    Returns
    -------
    function
        From row vectors ``[K, P]`` to their products with C, float64.
    """
    _prepare(interpreter)

    def multiply(vectors: torch.Tensor) -> torch.Tensor:
        with interpreter.model.evaluating():
            return interpreter.multiply_curvature(vectors)

    return multiply


def _prepare(interpreter: InfluenceInterpreter) -> None:
    require_one_model(interpreter, "a look at the curvature")
    if not interpreter.curvature_needs_fit:
        interpreter.ensure_checked()
    elif not interpreter.fitted:
        interpreter.fit()
