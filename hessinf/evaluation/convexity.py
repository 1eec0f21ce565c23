"""Whether a training objective is strictly convex in the parameters: tested, not believed.

Outputs must be affine in θ, and the Hessian of the objective positive definite. Where outputs are
affine, the Hessian is ``Σ J_iᵀ (∂²ℓ_i/∂f²) J_i + wd·I``, positive definite everywhere if losses are
convex in the outputs. Both are tested at random parameters, and between them.
"""

from __future__ import annotations

import copy

import torch

from hessinf.curvature.cholesky import factorize_in_place
from hessinf.curvature.hessian_matrix import hessian_blocks
from hessinf.data import Dataset
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.stacked_objective import StackedModels
from hessinf.gradients import CurvatureProducts, FunctionalModel, HessianProducts
from hessinf.runtime.randomness import generator

EXAMPLES_PROBED = 32
"""How many examples' outputs are looked at."""

BETWEEN = (0.25, 0.5, 0.75)
"""Where, between two sets of parameters, outputs are compared with those of a line."""

AFFINE_TOLERANCE = 1e-9
"""How far they may be off, as a share of the largest output."""

VECTORS_AT_ONCE = 64

INSTEAD = (
    "what leaving one example out does to a network that is trained by chance is mostly noise; "
    'use the metric "lds", which averages over many subsets and seeds'
)


def require_affine_outputs(models: StackedModels, dataset: Dataset, what: str) -> torch.Tensor:
    """Refuse a network whose outputs are not affine in its parameters.

    Parameters
    ----------
    models
        The network.
    dataset
        Some of its examples are looked at.
    what
        What needs this, for the message.

    Returns
    -------
    torch.Tensor
        Random parameters, ``[P]``, at which outputs are about as large as 1.

    Raises
    ------
    EvaluationError
        Which says what to use instead.
    """
    model = models.model
    batch = next(iter(models.batches(dataset[:EXAMPLES_PROBED])))
    drawn = torch.randn(
        2, model.layout.size, generator=generator(0, "evaluation.convexity"), dtype=torch.float64
    ).to(model.device)

    def outputs(theta: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return model.outputs(model.layout.unflatten(theta), batch.inputs)  # [B, ...]

    origin = outputs(torch.zeros_like(drawn[0]))
    scaled: list[torch.Tensor] = [
        theta / (1 + float((outputs(theta) - origin).square().mean().sqrt())) for theta in drawn
    ]
    first, second = scaled
    ends = outputs(first), outputs(second)
    largest = max(float(end.abs().max()) for end in ends)
    for share in BETWEEN:
        found = outputs(share * first + (1 - share) * second)
        error = float((found - (share * ends[0] + (1 - share) * ends[1])).abs().max())
        if not error <= AFFINE_TOLERANCE * max(largest, 1.0):
            raise EvaluationError(
                f"{what} retrains convex models to the last digit, and the outputs of this "
                f"{type(model.module).__name__} are not linear in its parameters (between two sets "
                f"of them they are {error:.3g} away from a line); {INSTEAD}"
            )
    return first


def hessian_at(
    models: StackedModels, dataset: Dataset, theta: torch.Tensor, stage: str
) -> torch.Tensor:
    """Form the Hessian of the mean loss at given parameters, without weight decay: ``[P, P]``."""
    at = moved(models.model, theta)

    def products(names: object) -> CurvatureProducts:
        del names  # there is one block, of all parameters
        return HessianProducts(
            at, models.objective, models.batches(dataset), vectors_at_once=VECTORS_AT_ONCE
        )

    blocks = {stage: tuple(at.parameters)}
    formed = hessian_blocks(products, blocks, total=len(dataset), stage=stage)
    return next(matrix for _, matrix in formed)


def moved(model: FunctionalModel, theta: torch.Tensor) -> FunctionalModel:
    """Return the same network at other parameters ``[P]``."""
    other = copy.copy(model)
    other.parameters = model.layout.unflatten(theta)
    return other


def factorized(hessian: torch.Tensor, what: str) -> torch.Tensor:
    """Return the Cholesky factor of a Hessian, ``[P, P]``, lower; the matrix is used up.

    Raises
    ------
    EvaluationError
        When it is not positive definite to working precision: no optimum, or more than one.
    """
    size = len(hessian)
    positive = factorize_in_place(hessian)
    pivots = hessian.diagonal().square()  # [P]
    least = size * torch.finfo(hessian.dtype).eps * float(pivots.max())
    if not positive or float(pivots.min()) <= least:
        raise EvaluationError(
            f"{what} needs a training objective with one minimum, and its Hessian ({size} × {size})"
            " is not positive definite; train with weight_decay above 0, such as 1e-3"
        )
    return hessian.tril()
