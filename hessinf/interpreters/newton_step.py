r"""The step that parameters make when a training example is left out: one Newton step, exactly.

Let the model minimise ``F(θ) = 1/N Σ_j ℓ_j(θ) + ½·wd·‖θ‖²``, with ``g_j = ∇ℓ_j``, ``ḡ`` their mean,
and let ``λ`` be the damping, which acts as weight decay does. Without example i the objective is

- "mean", which is renormalised: ``1/(N−1) Σ_{j≠i} ℓ_j + ½·wd·‖θ‖²``. Where ``∇F = 0``, its gradient
  is ``−(g_i − ḡ)/(N−1)`` and its curvature ``(N·C_data − C_i)/(N−1) + (wd+λ)I``. The step is

      Δθ_i = 1/N · (C_data + (1 − 1/N)(wd+λ)I − C_i/N)⁻¹ (g_i − ḡ);

- "mean-fixed": ``1/N Σ_{j≠i} ℓ_j + ½·wd·‖θ‖²``, with gradient ``−g_i/N`` and curvature
  ``C_data − C_i/N + (wd+λ)I``:

      Δθ_i = 1/N · (C_data + (wd+λ)I − C_i/N)⁻¹ g_i;

- "sum": ``Σ_{j≠i} ℓ_j + ½·N·wd·‖θ‖²``, which is N times the last (wd is that of the mean loss).

``C_data`` is the curvature of the mean loss without weight decay, as the method has it, and ``C_i``
that of the example's own loss, ``J_iᵀ H_i J_i``: ``J_i`` is the Jacobian of its O outputs and
``H_i = ∂²ℓ_i/∂f²``. It has rank O at most, so with ``B = C_data + share·(wd+λ)I``, ``H_i = S D Sᵀ``
(D a diagonal of signs) and ``V = B⁻¹J_iᵀ``, ``K = J_i V`` (Woodbury)

    (B − C_i/N)⁻¹ r = B⁻¹r + 1/N · V S (D − SᵀKS/N)⁻¹ Sᵀ J_i B⁻¹ r.

``g_i = J_iᵀ ∂ℓ_i/∂f`` lies in the span of ``J_iᵀ`` too: O solves an example are enough, and one for
``ḡ``. Where the method's inverse is block-diagonal, the downdate is made within its blocks. For
"exact", ``C_i`` is still ``J_iᵀ H_i J_i``, which leaves out the curvature of the network itself at
one example of N.

K-FAC's curvature is no sum of its examples' own: taking ``C_i`` out of it can leave less than
nothing, and does for the examples that matter most. Such methods say themselves what their
curvature is without an example (``solve_without``), and the step is taken with that.

References
----------
Rad & Maleki, A scalable estimate of the out-of-sample prediction error via approximate leave-one-
out cross-validation, JRSS B 2020. Koh, Ang, Teo & Liang, On the Accuracy of Influence Functions for
Measuring Group Effects, NeurIPS 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hessinf.data.batching import Batch
from hessinf.gradients import PerExampleGradients
from hessinf.gradients.reverse_mode import pull_back
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.method_hooks import overrides

if TYPE_CHECKING:
    from hessinf.interpreters.fitted_method import FittedMethod

SMALLEST_PIVOT = 1e-6
"""How near to singular a downdate may be: below, an example carries all but a millionth of the
curvature in some direction, and the step says more of rounding and damping than of the example."""


@dataclass(frozen=True)
class LeftOut:
    """The steps of θ for B examples, each left out alone.

    Parameters
    ----------
    steps
        ``[B, P]``, float64; those of examples that cannot be left out mean nothing.
    leverages
        ``[B]``: the largest share of the curvature, over all directions, that is the example's own;
        NaN where the method says itself what is left.
    possible
        ``[B]``: whether the curvature without the example still has an inverse, and as many
        negative eigenvalues as with it.
    """

    steps: torch.Tensor
    leverages: torch.Tensor
    possible: torch.Tensor


class NewtonSteps:
    """Computes the steps of θ when training examples are left out, one at a time.

    Parameters
    ----------
    interpreter
        Fitted, with ``solve_with_ridge`` or ``solve_without``.
    """

    def __init__(self, interpreter: FittedMethod) -> None:
        self.interpreter = interpreter
        self.count = len(interpreter.train_data)
        if self.count < 2:
            raise InterpreterError(
                "the refined loss change leaves one training example out, and there is only one"
            )
        self.renormalised = interpreter.training_reduction == "mean"
        self.share = 1 - 1 / self.count if self.renormalised else 1.0
        self.own_rest = overrides(type(interpreter), "solve_without")
        self.shift: torch.Tensor | None = None  # B⁻¹ḡ, [P]
        if self.renormalised and not self.own_rest:
            self.shift = self._solve(interpreter.mean_train_gradient[None])[0]

    def _solve(self, vectors: torch.Tensor) -> torch.Tensor:
        solved = self.interpreter.solve_with_ridge(vectors.double(), self.share)
        return solved.double()  # [K, P]

    def __call__(self, batch: Batch) -> LeftOut:
        """Compute the steps for a batch of training examples."""
        return self._refitted(batch) if self.own_rest else self._downdated(batch)

    def _refitted(self, batch: Batch) -> LeftOut:
        """Let the method itself say what its curvature is without an example."""
        gradients = self.interpreter.gradients(batch).flatten().double()  # [B, P]
        if self.renormalised:
            gradients = gradients - self.interpreter.mean_train_gradient
        steps = self.interpreter.solve_without(batch, gradients, self.share) / self.count
        possible = steps.isfinite().all(dim=1)  # [B]
        return LeftOut(steps, torch.where(possible, torch.nan, 1.0), possible)

    def _downdated(self, batch: Batch) -> LeftOut:
        """Take the example's own curvature out of the method's."""
        slopes, curvatures, jacobians = self._outputs(batch)  # [B, O], [B, O, O], [B, O, P]
        size, outputs, parameters = jacobians.shape
        solved = self._solve(jacobians.reshape(-1, parameters))
        solved = solved.reshape(size, outputs, parameters)  # V, [B, O, P]
        self._check_finite(solved, batch)
        own = _OwnCurvature(slopes, curvatures, self.count)
        steps = torch.empty(size, parameters, dtype=torch.float64, device=solved.device)
        pivots = []
        for block in self.interpreter.inverse_blocks():
            shift = None if self.shift is None else self.shift[block]  # [P']
            steps[:, block], left = own.step(solved[..., block], jacobians[..., block], shift)
            pivots.append(left)
        smallest = torch.stack(pivots).amin(dim=0)  # [B]
        return LeftOut(steps / self.count, 1 - smallest, smallest > SMALLEST_PIVOT)

    def _check_finite(self, solved: torch.Tensor, batch: Batch) -> None:
        finite = solved.isfinite().flatten(1).all(dim=1)  # [B]
        if not bool(finite.all()):
            index = int(batch.indices[int((~finite).nonzero()[0])])
            raise InterpreterError(
                f"refined loss change: the inverse of {type(self.interpreter).registered_name()} "
                f"gives numbers that are not finite for training example {index}; is damping too "
                "small, or the curvature singular?"
            )

    def _outputs(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Differentiate each example's loss twice in its outputs, and these once in θ.

        Returns
        -------
        tuple of torch.Tensor
            ``[B, O]``, ``[B, O, O]`` and ``[B, O, P]``, float64, for the O outputs on which a loss
            of the batch depends.
        """
        model, objective = self.interpreter.model, self.interpreter.objective
        with torch.no_grad():
            outputs = model.outputs(model.parameters, batch.inputs)  # [B, ...]
        variable = outputs.detach().double().requires_grad_()
        with torch.enable_grad():
            total = objective.losses(variable, batch.targets).sum()
            (slopes,) = torch.autograd.grad(total, variable, create_graph=True)
            width = slopes[0].numel()  # O
            unit = torch.eye(width, dtype=torch.float64, device=slopes.device)
            unit = unit.reshape(width, 1, *slopes.shape[1:]).expand(width, *slopes.shape)
            (curvatures,) = pull_back([slopes], [variable], [unit], together=False)
        curvatures = curvatures.flatten(2).transpose(0, 1)  # [B, O, O]
        slopes = slopes.detach().flatten(1)  # [B, O]
        # Masked positions, and padding, need no solves.
        varying = slopes.ne(0).any(dim=0) | curvatures.ne(0).any(dim=0).any(dim=0)  # [O]
        rows = varying.nonzero()[:, 0].tolist() or [0]
        jacobians = [self._jacobian_row(batch, row).double() for row in rows]
        return (
            slopes[:, rows],
            (curvatures[:, rows][:, :, rows] + curvatures[:, rows][:, :, rows].mT) / 2,
            torch.stack(jacobians, dim=1),
        )

    def _jacobian_row(self, batch: Batch, row: int) -> torch.Tensor:
        """Differentiate one of the outputs of each example in θ: ``[B, P]``."""

        def output(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            del targets
            return outputs.reshape(outputs.shape[0], -1)[:, row]  # [B]

        name = f"output {row} of the training data"
        return PerExampleGradients(self.interpreter.model, output, name)(batch)[0].flatten()


class _OwnCurvature:
    """The losses of B examples as functions of their outputs, taken out of the curvature.

    Parameters
    ----------
    slopes
        ``[B, O]``.
    curvatures
        ``[B, O, O]``, symmetric.
    count
        N.
    """

    def __init__(self, slopes: torch.Tensor, curvatures: torch.Tensor, count: int) -> None:
        self.slopes = slopes
        self.curvatures = curvatures
        self.count = count
        self.roots, self.signs = _signed_root(curvatures)  # [B, O, O], [B, O]

    def step(
        self, solved: torch.Tensor, jacobians: torch.Tensor, shift: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the steps within one block.

        Parameters
        ----------
        solved, jacobians
            ``V`` and ``J``, ``[B, O, P']``.
        shift
            ``B⁻¹ḡ``, ``[P']``, or None where the mean is not renormalised.

        Returns
        -------
        torch.Tensor
            N times the steps, ``[B, P']``.
        torch.Tensor
            What is left in the direction where it is least, ``[B]``: 1 less the leverage.
        """
        gram = solved @ jacobians.mT / self.count  # K/N, [B, O, O]
        gram = (gram + gram.mT) / 2
        residuals = self.count * (gram @ self.slopes[..., None])  # J B⁻¹ g_i, [B, O, 1]
        if shift is not None:
            residuals = residuals - jacobians @ shift[:, None]
        kept = torch.diag_embed(self.signs) - self.roots.mT @ gram @ self.roots  # D − SᵀKS/N
        values, vectors = torch.linalg.eigh(kept)  # [B, O], [B, O, O]
        inner = vectors.mT @ self.roots.mT @ residuals / values[..., None]  # [B, O, 1]
        weights = self.slopes + (self.roots @ vectors @ inner)[..., 0] / self.count  # [B, O]
        steps = (weights[:, None] @ solved)[:, 0]  # [B, P']
        # A flipped sign among the eigenvalues is a flipped sign of the curvature itself.
        same = (values < 0).sum(dim=1) == (self.signs < 0).sum(dim=1)  # [B]
        nearest = values.abs().amin(dim=1)  # [B]
        left = torch.where(same, nearest, torch.minimum(values[:, 0], -nearest))  # [B]
        return steps if shift is None else steps - shift, left


def _signed_root(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Factorise symmetric matrices ``[B, O, O]`` as ``S D Sᵀ``, with signs D ``[B, O]``."""
    values, vectors = torch.linalg.eigh(matrices)  # [B, O], [B, O, O]
    largest = values.abs().amax(dim=1, keepdim=True)  # [B, 1]
    noise = values.shape[1] * torch.finfo(values.dtype).eps * largest
    values = torch.where(values.abs() > noise, values, 0.0)
    return vectors * values.abs().sqrt()[:, None], torch.where(values < 0, -1.0, 1.0).to(values)
