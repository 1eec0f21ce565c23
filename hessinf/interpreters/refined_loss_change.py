"""The refined loss change: a query's loss after one Newton step without an example, evaluated.

:mod:`hessinf.interpreters.newton_step` computes the steps; here they are taken, and what the loss
of each query becomes is computed, instead of following its tangent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from hessinf.data import Dataset
from hessinf.data.batching import batches
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.method_hooks import overrides
from hessinf.interpreters.moved_parameters import MovedParameters
from hessinf.interpreters.newton_step import LeftOut, NewtonSteps
from hessinf.models import Loss, Measurement
from hessinf.runtime.progress import bar

if TYPE_CHECKING:
    import numpy as np

    from hessinf.interpreters.fitted_method import FittedMethod

logger = logging.getLogger(__name__)

NEWTON_STEP = "newton-step"

COPIES_OF_JACOBIANS = 8
"""Jacobians of examples as they are computed, stacked, and solved with, by blocks."""

NAMED = 5
"""How many examples a message lists."""


def check_refinement(
    cls: type[FittedMethod],
    refinement: Any,
    measurement: Measurement,
    error: type[Exception] = ValueError,
) -> None:
    """Refuse a refinement that a method or a measurement does not allow.

    Parameters
    ----------
    cls
        The method.
    refinement
        "newton-step", or None, which is always allowed.
    measurement
        What is explained.
    error
        What is raised; it says what is in the way. From a constructor a ValueError, which configs
        turn into an error with their own place.
    """
    if refinement is None:
        return
    if refinement != NEWTON_STEP:
        raise error(f'refinement must be "{NEWTON_STEP}" or None, found "{refinement}"')
    missing = cls.refinement_refusal()
    if missing is not None:
        raise error(f'refinement "{NEWTON_STEP}": {missing}')
    if not isinstance(measurement, Loss):
        raise error(
            f'refinement "{NEWTON_STEP}" predicts changes of the loss, and the measurement is '
            f'"{measurement.registered_name()}"; leave one of them out'
        )


@dataclass(frozen=True)
class RefinedLists:
    """Refined loss changes of what stands in the lists of a block of queries.

    Parameters
    ----------
    changes
        What the loss of each query gains without a training example, ``[Q]``, by its index.
    refused
        The leverages of the others, which cannot be left out.
    """

    changes: Mapping[int, torch.Tensor]
    refused: Mapping[int, float]

    def of(self, row: int, index: int) -> float | None:
        """Return what the loss of the query in a row gains; None where there is no answer."""
        return float(self.changes[index][row]) if index in self.changes else None

    def diagnostics(self, indices: Sequence[int]) -> dict[str, Any]:
        """Say what was done for a query with these training examples in its lists."""
        refused = sorted({index for index in indices if index in self.refused})
        return {"refinement": NEWTON_STEP, "not_refined": refused}


def refine_lists(interpreter: FittedMethod, queries: Dataset, lists: torch.Tensor) -> RefinedLists:
    """Compute the refined loss changes of the examples in top-k lists.

    Parameters
    ----------
    interpreter
        Fitted, its model in evaluation mode.
    queries
        A block of Q queries.
    lists
        Their training indices, ``[Q, K]``.

    Returns
    -------
    RefinedLists
    """
    wanted = torch.unique(lists)  # [U]
    changes: dict[int, torch.Tensor] = {}
    refused: dict[int, float] = {}
    with bar(stage="refined loss changes", total=len(wanted)) as shown:
        for indices, leverages, gains in _changes(interpreter, queries, wanted.tolist()):
            for index, leverage, row in zip(indices, leverages, gains, strict=True):
                if leverage is None:
                    changes[index] = row  # [Q]
                else:
                    refused[index] = leverage
            shown.update(len(indices))
    if refused:
        logger.warning("%s; their loss_change_refined is left out", _refusal(interpreter, refused))
    return RefinedLists(changes, refused)


def refined_loss_changes(interpreter: FittedMethod, queries: Dataset) -> np.ndarray:
    """Compute the refined loss changes of all training examples.

    Parameters
    ----------
    interpreter
        Fitted.
    queries
        The test data.

    Returns
    -------
    numpy.ndarray
        ``[Q, N]``, in units of the loss, in the precision of the model (float32 for bfloat16).

    Raises
    ------
    InterpreterError
        When an example cannot be left out; it is named.
    """
    count = len(interpreter.train_data)
    columns = []
    with (
        interpreter.model.evaluating(),
        bar(stage="refined loss changes", total=count) as shown,
    ):
        for indices, leverages, gains in _changes(interpreter, queries, range(count)):
            refused = {
                index: leverage
                for index, leverage in zip(indices, leverages, strict=True)
                if leverage is not None
            }
            if refused:
                raise InterpreterError(_refusal(interpreter, refused))
            columns.append(gains.T)  # [Q, B]
            shown.update(len(indices))
    changes = torch.cat(columns, dim=1)  # [Q, N]
    in_half = interpreter.model.dtype.itemsize < torch.float32.itemsize
    dtype = torch.float32 if in_half else interpreter.model.dtype
    values: np.ndarray = changes.to(dtype).cpu().numpy()
    return values


def _changes(
    interpreter: FittedMethod, queries: Dataset, indices: Sequence[int]
) -> Iterator[tuple[list[int], list[float | None], torch.Tensor]]:
    """Leave training examples out, some at a time.

    Yields
    ------
    tuple
        Their indices; the leverages of those that cannot be left out, None for the others; and
        what the losses of the queries gain without them, ``[B, Q]``.
    """
    model = interpreter.model
    budget = interpreter.memory_limit * 2**30 / 4
    size = _examples_at_once(interpreter, budget)
    steps = NewtonSteps(interpreter)
    moved = MovedParameters(
        model, interpreter.objective, queries, interpreter.query_batch_size, budget
    )
    for start in range(0, len(indices), size):
        some = list(indices[start : start + size])
        data = interpreter.train_data.subset(some)
        batch = next(iter(batches(data, len(some), device=model.device, dtype=model.dtype)))
        left_out = steps(replace(batch, indices=torch.tensor(some)))
        gains = moved.loss_changes(left_out.steps)  # [B, Q]
        _check_finite(gains, left_out, some)
        refused = [
            None if possible else leverage
            for possible, leverage in zip(
                left_out.possible.tolist(), left_out.leverages.tolist(), strict=True
            )
        ]
        yield some, refused, gains


def _examples_at_once(interpreter: FittedMethod, budget: float) -> int:
    """Plan how many Jacobians, or gradients, fit beside each other."""
    model = interpreter.model
    if overrides(type(interpreter), "solve_without"):  # which takes a gradient an example
        of_gradient = COPIES_OF_JACOBIANS * 8 * model.layout.size
        return min(max(int(budget / of_gradient), 1), interpreter.memory_plan.batch_size)
    first = batches(interpreter.train_data[:1], 1, device=model.device, dtype=model.dtype)
    with torch.no_grad():
        outputs = model.outputs(model.parameters, next(iter(first)).inputs)  # [1, ...]
    an_example = COPIES_OF_JACOBIANS * 8 * outputs.numel() * model.layout.size
    if an_example > 4 * budget:
        raise InterpreterError(
            f'refinement "{NEWTON_STEP}" needs the Jacobian of an example\'s {outputs.numel():,} '
            f"outputs in {model.layout.size:,} parameters, {an_example / 2**30:,.1f} GiB to work "
            f"with, and memory_limit is {budget * 4 / 2**30:g} GiB; raise memory_limit, freeze "
            "parameters with params_to_freeze, or leave the refinement out"
        )
    return min(max(int(budget / an_example), 1), interpreter.memory_plan.batch_size)


def _check_finite(gains: torch.Tensor, left_out: LeftOut, indices: list[int]) -> None:
    wrong = ~gains.isfinite() & left_out.possible[:, None]  # [B, Q]
    if bool(wrong.any()):
        place, query = (int(number) for number in wrong.nonzero()[0])
        raise InterpreterError(
            f"the refined loss change of query {query} without training example {indices[place]} "
            f"is {gains[place, query].item()}; is damping too small, so that the step is too long "
            "for the model?"
        )


def _refusal(interpreter: FittedMethod, refused: dict[int, float]) -> str:
    shown = ", ".join(
        f"{index} (leverage {leverage:.6g})" for index, leverage in list(refused.items())[:NAMED]
    )
    more = f" and {len(refused) - NAMED} more" if len(refused) > NAMED else ""
    plural = "s" if len(refused) > 1 else ""
    return (
        f"the curvature of {type(interpreter).registered_name()} has no inverse of the same signs "
        f"without training example{plural} {shown}{more}: by itself it makes up all of the "
        "curvature in some direction (leverage 1), or more than the method ascribes to all of them;"
        " raise damping, or use a method that is nearer to the exact curvature"
    )
