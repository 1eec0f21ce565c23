"""Methods whose scores are inner products of influence factors with training gradients."""

from __future__ import annotations

from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.method_hooks import overrides


def scores_are_inner_products(interpreter: FittedMethod) -> bool:
    """Whether ``score[q, i] = ⟨f_q, ∇ℓ_i⟩``, at every checkpoint where there are some."""
    if interpreter.members:
        return all(scores_are_inner_products(member) for member in interpreter.members)
    cls = type(interpreter)
    return interpreter.scores_are_inner_products or (
        overrides(cls, "precondition") and not overrides(cls, "score")
    )


def require_inner_products(interpreter: FittedMethod, what: str) -> None:
    """Refuse methods that score by another rule.

    Parameters
    ----------
    interpreter
        Any.
    what
        What was asked for.

    Raises
    ------
    InterpreterError
        When the method has a rule of its own.
    """
    if not scores_are_inner_products(interpreter):
        raise InterpreterError(
            f"{what}: the scores of {type(interpreter).registered_name()} come from a rule of its "
            "own, and are no inner products of influence factors with training gradients; use a "
            "method with precondition() and without score()"
        )
