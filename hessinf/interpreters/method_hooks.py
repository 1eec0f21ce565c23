"""What a method author writes: the hooks of a method, and what the base does where one is missing.

:meth:`MethodHooks.fit` and :meth:`MethodHooks.precondition` make a method, or
:meth:`MethodHooks.score` where it is no preconditioner. The others are for methods that can do
more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hessinf.interpreters import finite_factors
from hessinf.interpreters.errors import InterpreterError
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import gradients as gradients_room
    from hessinf.curvature import Damping
    from hessinf.data.batching import Batch
    from hessinf.gradients.gradients import Gradients
    from hessinf.interpreters import few_examples
    from hessinf.scores import contraction, norms
else:
    gradients_room = lazy_import("hessinf.gradients")
    few_examples = lazy_import("hessinf.interpreters.few_examples")
    contraction = lazy_import("hessinf.scores.contraction")
    norms = lazy_import("hessinf.scores.norms")

A_SOLVE_EACH = (
    'each training example would take an iterative solve; ask for it with "self_influence": true'
)
"""See :attr:`MethodHooks.why_no_self_influence`."""

RULES = ("precondition", "score")
"""The hooks that say what scores are; others compute the same in another way."""


class MethodHooks:
    """The part of :class:`~hessinf.interpreters.InfluenceInterpreter` that methods fill in."""

    arguments: dict[str, Any]
    reports: dict[str, Any]
    query_batch_size: int
    score_precision: Literal["model", "tf32", "bfloat16"]

    scores_are_inner_products: ClassVar[bool] = False
    """Whether a method's own ``score`` is the inner product of influence factors with training
    gradients, computed in another way. Methods with ``precondition`` alone need not say so."""

    why_no_self_influence: ClassVar[str | None] = None
    """Why a run computes no self-influence unless its config asks for it, such as that each
    training example would take a solve of its own; None where it does."""

    def fit(self) -> Any:
        """Learn from the training data. A method without curvature needs none of its own.

        Returns
        -------
        InfluenceInterpreter
            Itself, whatever the method's own ``fit`` returns.
        """
        return self

    def precondition(self, gradients: Gradients) -> Gradients:
        """Multiply gradients with ``(C + λI)⁻¹``.

        Parameters
        ----------
        gradients
            Of Q queries.

        Returns
        -------
        Gradients
            The influence factors of the Q queries, in the same blocks.
        """
        raise InterpreterError(
            f"{type(self).__name__} defines neither precondition() nor score(): a method needs one"
        )

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        """Score training examples for queries; for methods that are no preconditioner.

        Parameters
        ----------
        query_gradients
            Of Q queries; their influence factors, when the method has :meth:`precondition`.
        train_gradients
            Of B training examples.

        Returns
        -------
        torch.Tensor
            ``[Q, B]``, positive where the example helps.
        """
        return query_gradients.dot(train_gradients)

    def scorer(self, query_gradients: Gradients) -> Callable[[Gradients], torch.Tensor]:
        """Prepare a block of queries once, for all training examples that go by.

        Unless a method does it in another way, queries are preconditioned, and scores are inner
        products, or what :meth:`score` makes of them where the method has one. Methods define it
        that score faster than by inner products with factors that are as large as θ.

        Parameters
        ----------
        query_gradients
            Of Q queries. What belongs into their diagnostics is reported here (:meth:`report`).

        Returns
        -------
        function
            From the gradients of B training examples to their scores ``[Q, B]``. Gradients may come
            as factors (:class:`hessinf.gradients.FactoredGradients`), which are tensors only when
            they are asked for as such.
        """
        factors = factors_of(self, query_gradients)
        finite_factors.require_finite_factors(factors)
        if overrides(type(self), "score"):
            return lambda train_gradients: self.score(factors, train_gradients)
        return contraction.InnerProducts(factors, precision=self.score_precision)

    def self_score(self, gradients: Gradients) -> torch.Tensor:
        """Score training examples for themselves: ``∇ℓ_iᵀ (C + λI)⁻¹ ∇ℓ_i``.

        Unless a method does it in another way, they are scored as queries, a few at a time. Methods
        define it that need no influence factors, which are as long as θ, for that.

        Parameters
        ----------
        gradients
            Of B training examples: many of them, where they come as factors.

        Returns
        -------
        torch.Tensor
            ``[B]``.
        """
        cls = type(self)

        def of_few(some: Gradients) -> torch.Tensor:
            self.reports = {}
            if not overrides(cls, "precondition"):
                return scorer_of(self, some)(some).diagonal()  # [b]
            factors = factors_of(self, some)
            if overrides(cls, "score"):
                return self.score(factors, some).diagonal()  # [b]
            if factors is some:
                return norms.squared_norms(some)  # [b]
            return (factors.flatten() * some.flatten()).sum(dim=1)  # [b]

        most = min(self.query_batch_size, few_examples.AT_ONCE)
        return few_examples.few_at_a_time(gradients, of_few, most)

    def change_damping(self, damping: Damping) -> None:
        """Take another damping without going through the training data again.

        For methods that keep eigenvalues, or can invert what they keep with any λ. Such a method
        sets ``self.damping`` and what it learnt that depends on it (``self.damping_`` and the
        inverse); it is called after :meth:`fit`.

        Parameters
        ----------
        damping
            As the constructor takes it: λ, or {"relative": share}.

        Raises
        ------
        InterpreterError
            When the method cannot; it names those that can.
        """
        if "damping" not in self.arguments:
            raise InterpreterError(f"{_name(type(self))} has no damping to change")
        raise InterpreterError(
            f"{_name(type(self))} cannot change its damping without fitting again: make an "
            f"interpreter for each damping; {_methods_with(type(self), 'change_damping')}"
        )

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        """Map gradients to vectors whose inner products are the scores.

        Parameters
        ----------
        gradients
            Of B examples, queries or training examples.

        Returns
        -------
        torch.Tensor
            ``[B, D]``: with the symmetric ``(C + λI)⁻¹ = EᵀE``, the rows ``E ∇ℓ``.

        Raises
        ------
        InterpreterError
            When the method cannot; it names those that can.
        """
        raise InterpreterError(
            f"{_name(type(self))} has no vectors whose inner products are its scores; "
            f"{_methods_with(type(self), 'embedding')}"
        )

    def solve_with_ridge(self, vectors: torch.Tensor, share: float) -> torch.Tensor:
        """Apply the inverse with a share of weight decay and damping.

        The refined loss change needs it: leaving an example out changes how much they weigh beside
        the losses.

        Parameters
        ----------
        vectors
            ``[K, P]``, float64.
        share
            Between 0 and 1; with 1 this is the method's own inverse.

        Returns
        -------
        torch.Tensor
            ``(C_data + share·(wd + λ)I)⁻¹ v``, ``[K, P]``, float64, where ``C_data`` is the
            curvature without weight decay. Called many times with the same share.

        Raises
        ------
        InterpreterError
            When the method cannot; it names those that can.
        """
        raise InterpreterError(f'refinement "newton-step": {self.refinement_refusal()}')

    def solve_without(self, batch: Batch, vectors: torch.Tensor, share: float) -> torch.Tensor:
        """Apply the inverse of the method's curvature without each example of a batch.

        For methods whose curvature is no sum of the examples' own, so that theirs cannot be taken
        out of it: the refined loss change then asks for this instead of :meth:`solve_with_ridge`.

        Parameters
        ----------
        batch
            B training examples, with their places among all as ``indices``.
        vectors
            A vector for each, ``[B, P]``, float64.
        share
            As there.

        Returns
        -------
        torch.Tensor
            ``(C_data − C_i/N + share·(wd + λ)I)⁻¹ v_i``, ``[B, P]``, float64, where
            ``C_data − C_i/N`` is (N − 1)/N times the curvature of the mean loss of the others. NaN
            for an example without which there is no inverse.
        """
        raise InterpreterError(f'refinement "newton-step": {self.refinement_refusal()}')

    def inverse_blocks(self) -> Sequence[torch.Tensor | slice]:
        """List the blocks of θ within which the method's inverse stays; one, unless said otherwise.

        Returns
        -------
        sequence of torch.Tensor or slice
            Places in the flat vector of length P, each in one block only.
        """
        return (slice(None),)

    @classmethod
    def refinement_refusal(cls) -> str | None:
        """Say why the method gives no refined loss changes; None where it does."""
        if overrides(cls, "solve_with_ridge") or overrides(cls, "solve_without"):
            return None
        return (
            f"{_name(cls)} has no inverse from which the curvature of one example can "
            f"be taken; {_methods_with(cls, 'solve_with_ridge')}"
        )

    def report(self, **values: Any) -> None:
        """Add to the diagnostics of the queries being worked on.

        Parameters
        ----------
        **values
            A number, text or bool for all of them, or a tensor ``[Q]`` with one for each.
        """
        self.reports.update(values)


def overrides(cls: type, hook: str) -> bool:
    """Whether a method's own class, not the base, defines a hook.

    Parameters
    ----------
    cls
        The class of an interpreter.
    hook
        "fit", "precondition", "score", "scorer", "self_score", "change_damping", "embedding",
        "solve_with_ridge" or "solve_without".
    """
    return getattr(cls, hook) is not getattr(MethodHooks, hook)


def own_scorer(method: Any) -> bool:
    """Whether a method's :meth:`MethodHooks.scorer` goes with its other hooks.

    It does not, where a class derived from the one that defines it says anew how to precondition or
    to score.
    """
    return overrides(type(method), "scorer") and is_last(method, "scorer", *RULES)


def is_last(method: Any, hook: str, *others: str) -> bool:
    """Whether no class derived from the one that defines a hook says anew what it goes with.

    Parameters
    ----------
    method
        An object.
    hook
        The name of one of its methods.
    *others
        Those that it goes with.
    """
    places = [
        next(place for place, cls in enumerate(type(method).__mro__) if name in vars(cls))
        for name in (hook, *others)
    ]
    return places[0] == min(places)


def scorer_of(method: Any, query_gradients: Gradients) -> Callable[[Gradients], torch.Tensor]:
    """Prepare a block of queries; see :meth:`MethodHooks.scorer`."""
    if own_scorer(method):
        found: Callable[[Gradients], torch.Tensor] = method.scorer(query_gradients)
        return found
    return MethodHooks.scorer(method, query_gradients)


def takes_factors(method: Any) -> bool:
    """Whether training gradients need not be tensors to be scored: unless ``score`` takes them."""
    return own_scorer(method) or not overrides(type(method), "score")


def factors_of(method: Any, gradients: Gradients) -> Gradients:
    """Turn gradients into influence factors; as they are, for a method that only scores.

    Parameters
    ----------
    method
        An interpreter, fitted.
    gradients
        Of Q queries.

    Raises
    ------
    InterpreterError
        When :meth:`MethodHooks.precondition` returns something else.
    """
    cls = type(method)
    if overrides(cls, "score") and not overrides(cls, "precondition"):
        return gradients
    factors = method.precondition(gradients)
    if not isinstance(factors, gradients_room.Gradients) or factors.count != gradients.count:
        found = (
            f"Gradients of {factors.count} examples"
            if isinstance(factors, gradients_room.Gradients)
            else f"a {type(factors).__name__}"
        )
        raise InterpreterError(
            f"{cls.__name__}.precondition() returned {found}, expected Gradients of "
            f"{gradients.count} examples; gradients.like(matrix) makes them from [Q, P]"
        )
    return factors


def _name(cls: Any) -> str:
    name: str = cls.registered_name()
    return name


def _methods_with(cls: Any, hook: str) -> str:
    """Name the registered methods that define a hook."""
    names = [
        registration.name
        for registration in cls.catalogue.entries.values()
        if isinstance(registration.target, type) and overrides(registration.target, hook)
    ]
    return f"methods that can: {', '.join(names)}" if names else "no registered method can"
