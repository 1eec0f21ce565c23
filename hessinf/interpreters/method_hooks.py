"""What a method author writes: the hooks of a method, and what the base does where one is missing.

:meth:`MethodHooks.fit` and :meth:`MethodHooks.precondition` make a method, or
:meth:`MethodHooks.score` where it is no preconditioner. The others are for methods that can do
more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hessinf.interpreters.errors import InterpreterError
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import gradients as gradients_room
    from hessinf.curvature import Damping
    from hessinf.data.batching import Batch
    from hessinf.gradients.gradients import Gradients
    from hessinf.scores import contraction
else:
    gradients_room = lazy_import("hessinf.gradients")
    contraction = lazy_import("hessinf.scores.contraction")


class MethodHooks:
    """The part of :class:`~hessinf.interpreters.InfluenceInterpreter` that methods fill in."""

    arguments: dict[str, Any]
    reports: dict[str, Any]
    score_precision: Literal["model", "tf32", "bfloat16"]

    scores_are_inner_products: ClassVar[bool] = False
    """Whether a method's own ``score`` is the inner product of influence factors with training
    gradients, computed in another way. Methods with ``precondition`` alone need not say so."""

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
        require_finite_factors(factors)
        if overrides(type(self), "score"):
            return lambda train_gradients: self.score(factors, train_gradients)
        return contraction.InnerProducts(factors, precision=self.score_precision)

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
        "fit", "precondition", "score", "scorer", "change_damping", "embedding",
        "solve_with_ridge" or "solve_without".
    """
    return getattr(cls, hook) is not getattr(MethodHooks, hook)


def own_scorer(method: Any) -> bool:
    """Whether a method's :meth:`MethodHooks.scorer` goes with its other hooks.

    It does not, where a class derived from the one that defines it says anew how to precondition or
    to score.
    """
    places = {
        hook: next(place for place, cls in enumerate(type(method).__mro__) if hook in vars(cls))
        for hook in ("scorer", "precondition", "score")
    }
    return overrides(type(method), "scorer") and places["scorer"] == min(places.values())


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


class FactorsNotFinite(InterpreterError):
    """The influence factors of a query are not finite.

    Parameters
    ----------
    place
        The query, by its place in the block.
    """

    def __init__(self, place: int) -> None:
        super().__init__(
            f"the influence factors of query {place} of the block are not finite; is damping too "
            "small, or the curvature singular?"
        )
        self.place = place


def require_finite_factors(factors: Gradients) -> None:
    """Refuse influence factors that are not finite.

    Raises
    ------
    FactorsNotFinite
        With the place of the first such query.
    """
    if bool(factors.bound().isfinite()):
        return
    finite = factors.flatten().isfinite().all(dim=1)  # [Q]
    if not bool(finite.all()):
        raise FactorsNotFinite(int((~finite).nonzero()[0]))


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
