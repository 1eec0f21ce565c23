"""A preconditioner: what ``fit`` learns, ``precondition`` divides by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.curvature import Damping, as_damping, effective_damping
from hessinf.interpreters import InfluenceInterpreter
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.gradients import Gradients
else:
    # Checking a config imports this file: that stays fast when torch is loaded at its first use.
    torch = lazy_import("torch")


@InfluenceInterpreter.register("gradient-whitening")
class GradientWhitening(InfluenceInterpreter):
    """Influence with the variance of each parameter's gradient in place of the curvature.

    Registered as an `InfluenceInterpreter` with name "gradient-whitening".

    The curvature is `diag(Var_i[∇ℓ_i]) + weight_decay`, the variances being over the training
    examples: the diagonal of the empirical Fisher matrix, taken around the mean gradient. It is
    close to the diagonal of the Hessian only where the model predicts the training labels with the
    probabilities that they really have; elsewhere it is a scaling of parameters, as in Adam. Use it
    as a cheap step up from gradient dot products, not for predicting loss changes.

    Parameters
    ----------
    damping
        λ, or {"relative": share} of the mean variance.

    Cost
    ----
    Time: one pass for the training gradients. Memory: 3·P numbers of 8 bytes.
    """

    def __init__(self, *args: Any, damping: Damping = 1e-3, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # model, training data and all that methods share
        self.damping = as_damping(damping)

    def fit(self) -> None:  # type: ignore[override]
        """Learn the variance of each parameter's gradient."""
        size, device = self.model.layout.size, self.model.device
        total = torch.zeros(size, dtype=torch.float64, device=device)  # [P]
        squares = torch.zeros_like(total)  # [P]
        for gradients in self.train_gradients("gradient variances"):
            flat = gradients.flatten().double()  # [B, P]; sums want more digits than float32 has
            total += flat.sum(dim=0)
            squares += flat.square().sum(dim=0)
        count = len(self.train_data)
        variances = squares / count - (total / count) ** 2  # [P]
        curvature = variances.clamp(min=0) + self.weight_decay  # [P]
        # Names that end in _ are what was learnt: save() and load() take care of them.
        self.damping_ = effective_damping(self.damping, float(curvature.sum()), size)
        self.scales_ = (curvature + self.damping_).to(self.model.dtype)  # [P]

    def precondition(self, gradients: Gradients) -> Gradients:
        """Divide each parameter's gradient by its damped variance."""
        self.report(smallest_scale=float(self.scales_.min()))
        return gradients.like(gradients.flatten() / self.scales_)  # [Q, P]
