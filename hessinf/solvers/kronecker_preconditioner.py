"""Preconditioning with K-FAC and EK-FAC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from hessinf.registry import AtLeast
from hessinf.runtime import randomness
from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.preconditioner import Preconditioner, State

if TYPE_CHECKING:
    import torch

    from hessinf.curvature import kronecker, kronecker_fit
    from hessinf.gradients.curvature_products import CurvatureProducts
    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")
    kronecker = lazy_import("hessinf.curvature.kronecker")
    kronecker_fit = lazy_import("hessinf.curvature.kronecker_fit")


@Preconditioner.register("kfac")
class KfacPreconditioner(Preconditioner):
    """K-FAC: a Kronecker-factored inverse for every layer.

    Registered as a `Preconditioner` with name "kfac".

    It costs one or two passes over the training data, whatever the number of queries.

    Parameters
    ----------
    fisher
        "type-2", which is the Gauss-Newton matrix's; "monte-carlo" with labels sampled from the
        model; or "auto": the former where outputs are few.
    samples
        Labels sampled for each example, where they are.
    weight_sharing
        "expand" or "reduce": how several positions of an example enter the factors.
    """

    corrected: ClassVar[bool] = False

    def __init__(
        self,
        fisher: Literal["auto", "type-2", "monte-carlo"] = "auto",
        samples: Annotated[int, AtLeast(1)] = 1,
        weight_sharing: Literal["expand", "reduce"] = "expand",
    ) -> None:
        for name, choice, choices in (
            ("fisher", fisher, ("auto", "type-2", "monte-carlo")),
            ("weight_sharing", weight_sharing, ("expand", "reduce")),
        ):
            if choice not in choices:
                raise ValueError(f"{name} must be one of {choices}, found {choice!r}")
        if samples < 1:
            raise ValueError(f"samples must be at least 1, found {samples}")
        self.fisher: Literal["auto", "type-2", "monte-carlo"] = fisher
        self.samples = samples
        self.weight_sharing: Literal["expand", "reduce"] = weight_sharing

    def learn(
        self, products: CurvatureProducts, seed: int, memory_limit: float | None = None
    ) -> State:
        """Compute the factors; a :class:`~hessinf.curvature.CurvatureError` if they do not fit."""
        data: Any = products.data
        return kronecker_fit.fit_kronecker(
            products.model,
            products.objective,
            data,
            fisher=self.fisher,
            samples=self.samples,
            weight_sharing=self.weight_sharing,
            corrected=self.corrected,
            weight_decay=products.weight_decay,
            seed=randomness.derive_seed(seed, "kronecker-preconditioner"),
            columns_at_once=products.vectors_at_once,
            memory_limit=memory_limit,
        ).state()

    def inverse(self, state: State, damping: float) -> Product:
        """Divide by damped eigenvalues in the joint eigenbasis."""
        curvature = kronecker.KroneckerCurvature.from_state(state)

        def inverse(vectors: torch.Tensor) -> torch.Tensor:
            return curvature.solve(vectors, damping).to(vectors.dtype)  # [K, P]

        return inverse


@Preconditioner.register("ekfac")
class EkfacPreconditioner(KfacPreconditioner):
    """EK-FAC: K-FAC's eigenbasis with the eigenvalues that are right on average.

    Registered as a `Preconditioner` with name "ekfac".

    Conjugate gradients with few steps and this preconditioner improve on EK-FAC itself at little
    cost: the idea of ASTRA (Wang et al., Better Training Data Attribution via Better Inverse
    Hessian-Vector Products, 2025), which uses a stochastic recursion instead.
    """

    corrected = True
