"""Keeping what was learnt, and taking it over again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.interpreters import fitted_state
    from hessinf.interpreters.fitted_method import FittedMethod
    from hessinf.models import Model
else:
    fitted_state = lazy_import("hessinf.interpreters.fitted_state")


class Saving:
    """The part of :class:`~hessinf.interpreters.InfluenceInterpreter` that files are for."""

    def save(self: FittedMethod, folder: str | Path) -> None:
        """Keep what was learnt, with a fingerprint of model, data and arguments.

        Parameters
        ----------
        folder
            A directory, which is replaced as a whole.
        """
        fitted_state.save(self, Path(folder))

    def restore(self, folder: str | Path) -> Self:
        """Take over what another interpreter of the same model, data and arguments has saved.

        Raises
        ------
        InterpreterError
            When the folder holds something else, and what differs.
        """
        this: Any = self
        fitted_state.restore(this, Path(folder))
        return self

    @classmethod
    def load(
        cls,
        folder: str | Path,
        model: torch.nn.Module | Model,
        train_data: Any,
        **injected: Any,
    ) -> Self:
        """Make an interpreter from what :meth:`save` kept.

        Parameters
        ----------
        folder
            What :meth:`save` wrote.
        model, train_data
            The same as then: their fingerprints are compared.
        **injected
            The other arguments that are passed by code, such as ``objective``, where they are not
            what was saved.

        Raises
        ------
        InterpreterError
            When something differs.
        """
        loaded: Self = fitted_state.load(cls, Path(folder), model, train_data, injected)
        return loaded
