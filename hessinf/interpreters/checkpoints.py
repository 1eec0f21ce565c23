"""Several checkpoints of one model: an interpreter for each, whose scores are averaged."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from hessinf.interpreters.errors import InterpreterError
from hessinf.models import Model
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data import Dataset
    from hessinf.interpreters.fitted_method import FittedMethod
    from hessinf.models import checkpoint
else:
    checkpoint = lazy_import("hessinf.models.checkpoint")


class Checkpoints:
    """The part of :class:`~hessinf.interpreters.InfluenceInterpreter` that checkpoints are for.

    With checkpoints, the interpreter computes nothing itself: each of its ``members`` is an
    interpreter of one checkpoint, with its own curvature, gradients and influence factors. What is
    shown of queries and training examples (losses, predictions) is the given model's.
    """

    checkpoints: tuple[str, ...] = ()
    """Where the weights of each member come from."""

    members: tuple[FittedMethod, ...] = ()
    """An interpreter for each checkpoint; none where the given model alone is explained."""

    train_data: Dataset

    given: dict[str, Any]
    """What the constructor was called with, by name."""

    def member_weights(self) -> Sequence[float]:
        """Return what each member's scores are multiplied with before they are added up.

        Returns
        -------
        sequence of float
            One a checkpoint: ``1 / K``, unless a method says otherwise.
        """
        return [1 / len(self.members)] * len(self.members)

    def at_checkpoint(self, model: torch.nn.Module, **changed: Any) -> Any:
        """Make the interpreter of one checkpoint.

        Parameters
        ----------
        model
            A copy of the model, with the weights of the checkpoint.
        **changed
            Arguments instead of those that this interpreter was made with.

        Returns
        -------
        InfluenceInterpreter
            Of the same method, unless a method says otherwise.
        """
        cls: type[Any] = type(self)
        return cls(**{**self.given, "model": model, "checkpoints": (), **changed})

    def load_checkpoints(self, model: torch.nn.Module | Model, memory_limit: float) -> Self:
        """Make the members, each with its share of the memory.

        Parameters
        ----------
        model
            The given model, which stays as it is.
        memory_limit
            GiB for all of them together.
        """
        module = model.module if isinstance(model, Model) else model
        members = []
        for path in self.checkpoints:
            try:
                own = copy.deepcopy(module)
            except RuntimeError as error:  # a module that keeps activations in attributes
                raise InterpreterError(
                    f"the model cannot be copied for its checkpoints: {error}"
                ) from error
            checkpoint.load_checkpoint(own, path)
            share = memory_limit / len(self.checkpoints)
            made = self.at_checkpoint(own, train_data=self.train_data, memory_limit=share)
            members.append(made)
        self.members = tuple(members)
        return self


def checked_paths(checkpoints: Sequence[str]) -> tuple[str, ...]:
    """Return the paths of checkpoints as texts.

    Raises
    ------
    ValueError
        When it is one path and no list, or names a checkpoint twice.
    """
    if isinstance(checkpoints, str | os.PathLike):  # its characters are paths too
        raise ValueError(f'checkpoints must be a list of paths; write ["{os.fspath(checkpoints)}"]')
    paths = tuple(os.fspath(path) for path in checkpoints)
    doubled = [path for path in dict.fromkeys(paths) if paths.count(path) > 1]
    if doubled:
        raise ValueError(
            f'checkpoints names "{doubled[0]}" twice, so that it would count twice; leave one out'
        )
    return paths


def require_one_model(interpreter: FittedMethod, what: str) -> None:
    """Refuse what is not averaged over checkpoints.

    Raises
    ------
    ValueError
        When the interpreter has checkpoints.
    """
    if interpreter.checkpoints:
        raise ValueError(
            f"{what} is of one model, and is not averaged over checkpoints; leave out one of them"
        )


def parts(interpreter: FittedMethod) -> list[tuple[FittedMethod, float]]:
    """List what an interpreter's results are sums of.

    Returns
    -------
    list of tuple
        Its members with their weights; itself with the weight 1, where it has none.
    """
    if not interpreter.members:
        return [(interpreter, 1.0)]
    return list(zip(interpreter.members, interpreter.member_weights(), strict=True))
