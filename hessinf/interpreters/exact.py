"""``(H + λI)⁻¹`` with the dense Hessian H of the mean training loss (Koh & Liang 2017, eq. 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hessinf.curvature import Damping, ExactInversion, Inversion, as_damping, effective_damping
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.curvature import dense
    from hessinf.gradients.gradients import Gradients
else:
    torch = lazy_import("torch")
    dense = lazy_import("hessinf.curvature.dense")


@InfluenceInterpreter.register("exact")
class Exact(InfluenceInterpreter):
    """Influence with the exact Hessian, formed row by row and inverted as a dense matrix.

    Registered as an `InfluenceInterpreter` with name "exact".

    The reference for every other method, where it fits. At parameters that are no minimum the
    Hessian has negative eigenvalues; their number is reported, and scores then mean little.

    Parameters
    ----------
    damping
        λ, or {"relative": share} of the mean eigenvalue.
    inversion
        How the damped Hessian is inverted: "exact", "pseudo" or "eigen", with options.
    curvature_dtype
        The precision of the Hessian's entries, factors and solutions are always float64: "float64",
        or "model" for that of the model, which takes half the time.

    Cost
    ----
    Time: P products with the Hessian, each about 4 gradients of the N training examples, and P³/3
    for the inverse. Memory: about 4·P² numbers of 8 bytes. Each block of queries: Q·P² and N·P·Q.

    References
    ----------
    Koh & Liang, Understanding Black-box Predictions via Influence Functions, ICML 2017.
    """

    def __init__(
        self,
        *args: Any,
        damping: Damping = 1e-3,
        inversion: Inversion | None = None,
        curvature_dtype: Literal["float64", "model"] = "float64",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.damping = as_damping(damping)
        if inversion is not None and not isinstance(inversion, Inversion):
            inversion = Inversion.from_config(inversion)
        self.inversion: Inversion = inversion or ExactInversion()
        self.curvature_dtype = curvature_dtype

    def fit(self) -> None:
        """Form the Hessian and factorise it."""
        dense.require_memory(self.model.layout.size, 8, self.memory_limit)
        wide = torch.float64 if self.curvature_dtype == "float64" else None
        products = self.curvature_products("hessian", wide)
        hessian = dense.dense_curvature(products, products.vectors_at_once or 1, "exact Hessian")
        size = len(hessian)
        self.damping_ = effective_damping(self.damping, float(hessian.trace()), size)
        self.factors_, self.inverse_facts_ = self.inversion.factorize(hessian, self.damping_)

    def precondition(self, gradients: Gradients) -> Gradients:
        """Solve with the factorised Hessian."""
        flat = gradients.flatten()  # [Q, P]
        factors = self.inversion.solve(self.factors_, flat.double()).to(flat.dtype)  # [Q, P]
        self.report(**self.inverse_facts_)
        return gradients.like(factors)
