"""``Preconditioner``: approximate inverses that shorten conjugate gradients."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from hessinf.registry import Registrable

if TYPE_CHECKING:
    from hessinf.gradients.curvature_products import CurvatureProducts
    from hessinf.solvers.product import Product

State = dict[str, Any]
"""What a preconditioner has learnt: tensors, numbers, texts, and lists and dicts of them."""


class Preconditioner(Registrable):
    """A symmetric positive approximation of ``(C + λI)⁻¹``, learnt once and cheap to apply.

    It changes how many steps a solver takes, never the solution.
    """

    default_implementation = None

    @abstractmethod
    def learn(
        self, products: CurvatureProducts, seed: int, memory_limit: float | None = None
    ) -> State:
        """Learn from the training data, whatever the damping will be.

        Parameters
        ----------
        products
            The curvature C as an operator, weight decay included.
        seed
            Of whatever is random.
        memory_limit
            In GiB, for factors whose size follows from the widths of layers; None for no limit.

        Returns
        -------
        dict
            What :meth:`inverse` needs.
        """

    @abstractmethod
    def inverse(self, state: State, damping: float) -> Product:
        """Return the approximate inverse at a damping λ.

        Parameters
        ----------
        state
            From :meth:`learn`.
        damping
            λ, without the weight decay.

        Returns
        -------
        callable
            From row vectors ``[K, P]`` to row vectors ``[K, P]`` of the same precision.
        """
