"""Columns in the outputs whose outer products, pulled back to the parameters, make up a Fisher.

The Fisher of example i is ``Σ_k (J_iᵀ c_ik)(J_iᵀ c_ik)ᵀ`` with ``J_i`` the Jacobian of its outputs
in the parameters. Kinds of Fisher differ in what the columns ``c_ik`` are (Kunstner, Balles &
Hennig, Limitations of the empirical Fisher approximation, NeurIPS 2019):

- "type-2": the columns of a square root of ``∂²ℓ_i/∂f²``. The sum is the Gauss-Newton matrix.
- "monte-carlo": gradients at targets that are drawn from the model's own predictive distribution;
  for negative log-likelihoods the expectation is the same matrix.
- "empirical": the one gradient at the true target. Another matrix.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Literal

import torch

from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.fisher_draws import TargetDraws
from hessinf.data.batching import Batch, Batches
from hessinf.gradients import FunctionalModel
from hessinf.models import CrossEntropy, Objective

logger = logging.getLogger(__name__)

Fisher = Literal["auto", "type-2", "monte-carlo", "empirical"]
"""What a config may ask for."""

FisherKind = Literal["type-2", "monte-carlo", "empirical"]
"""What it comes to."""

FEW_COLUMNS = 64
"""Up to so many columns an example, "auto" takes all of them; beyond, it samples."""

LITTLE_WORK = 10**10
"""More columns are taken all the same while they, times examples and parameters, are no more than
this: some seconds of work, which a sampled matrix is not worth."""


MANY_OUTPUTS = 4096
"""Beyond so many outputs an example, their number stands for that of columns."""


class FisherColumns:
    """The columns of every example, for one kind of Fisher.

    Parameters
    ----------
    objective
        The loss of every example.
    kind
        Which columns.
    samples
        How many targets are drawn for every example; for "monte-carlo".
    seed
        What the draws depend on, together with the example's place in the training data: never the
        batch that it is in.
    """

    def __init__(
        self, objective: Objective, kind: FisherKind, samples: int = 1, seed: int = 0
    ) -> None:
        if samples < 1:
            raise ValueError(f"samples must be at least 1, found {samples}")
        self.objective = objective
        self.kind = kind
        self.samples = samples
        self.seed = seed
        self._draw = TargetDraws(objective, seed)

    def __call__(
        self, outputs: torch.Tensor, batch: Batch, at_once: int | None = None
    ) -> Iterator[torch.Tensor]:
        """Yield the columns of a batch, some at a time.

        Parameters
        ----------
        outputs
            The model's, ``[B, ...]``.
        batch
            Where they come from.
        at_once
            At most so many columns together; None for all.

        Yields
        ------
        torch.Tensor
            ``[K, *outputs.shape]``. Those of one example and all K add up to its Fisher.
        """
        outputs = outputs.detach()
        if self.kind == "type-2":
            yield from self._square_root(outputs, batch, at_once)
        else:
            sampled = self.kind == "monte-carlo"
            count = self.samples if sampled else 1
            step = min(at_once or count, count)
            for start in range(0, count, step):
                parts = [
                    self._gradient(
                        outputs, self._draw(outputs, batch, sample) if sampled else batch.targets
                    )
                    for sample in range(start, min(start + step, count))
                ]
                yield torch.stack(parts) / count**0.5  # [K, B, ...]

    def count(self, outputs: torch.Tensor, batch: Batch) -> int:
        """Count the columns that each example of a batch has, those of padding included.

        Many outputs count as one column each: their square root would not fit to be looked at.
        """
        if self.kind == "empirical":
            return 1
        if self.kind == "monte-carlo":
            return self.samples
        outputs, targets = outputs[:1], batch.targets[:1]
        if outputs.numel() > MANY_OUTPUTS:
            return outputs.numel()
        if not _overrides(self.objective, "hessian_square_root_blocks"):
            return self.objective.hessian_square_root(outputs, targets).shape[-1]
        shape = self._blocks(outputs, targets).shape
        return shape[1] * shape[3]

    def _blocks(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute square roots by position ``[B, S, C, R]``, with as few columns as there are."""
        objective = self.objective
        if (
            isinstance(objective, CrossEntropy)
            and type(objective).hessian_square_root_blocks
            is CrossEntropy.hessian_square_root_blocks
            and outputs.shape[-1] > 1
        ):
            return objective.reduced_square_root_blocks(outputs, targets)
        return objective.hessian_square_root_blocks(outputs, targets)

    def _square_root(
        self, outputs: torch.Tensor, batch: Batch, at_once: int | None
    ) -> Iterator[torch.Tensor]:
        if not _overrides(self.objective, "hessian_square_root_blocks"):
            # An objective that gives only the whole square root, [B, ..., R].
            columns = self.objective.hessian_square_root(outputs, batch.targets).movedim(-1, 0)
            yield from torch.split(columns, at_once or max(len(columns), 1))
            return
        blocks = self._blocks(outputs, batch.targets)  # [B, S, C, R]
        rank = blocks.shape[3]
        # Padding beyond the longest example of a batch has columns of zeros only.
        positions = blocks.ne(0).any(dim=3).any(dim=2).any(dim=0).nonzero()[:, 0].tolist()  # S'
        places = [(position, column) for position in positions for column in range(rank)]
        places = places or [(0, 0)]  # where nothing has a loss, one column of zeros
        step = at_once or len(places)
        for start in range(0, len(places), step):
            chosen = places[start : start + step]
            cotangents = outputs.new_zeros(len(chosen), *blocks.shape[:3])  # [K, B, S, C]
            for row, (position, column) in enumerate(chosen):
                cotangents[row, :, position] = blocks[:, position, :, column]
            yield cotangents.reshape(len(chosen), *outputs.shape)

    def _gradient(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Differentiate the losses in the outputs, ``[B, ...]``."""
        variable = outputs.detach().requires_grad_()
        with torch.enable_grad():
            losses = self.objective.losses(variable, targets)  # [B]
            (gradient,) = torch.autograd.grad(losses.sum(), variable)
        return gradient


def choose_fisher(
    fisher: Fisher, objective: Objective, model: FunctionalModel, batches: Batches
) -> FisherKind:
    """Decide what kind of Fisher is meant, and refuse what would not be what it says.

    Parameters
    ----------
    fisher
        What was asked for. "auto" is "type-2", unless that has more than :data:`FEW_COLUMNS`
        columns for the longest example and is more than :data:`LITTLE_WORK`, and the objective can
        be sampled.
    objective
        The loss of every example.
    model
        Its outputs decide how many columns there are.
    batches
        The training data.

    Raises
    ------
    CurvatureError
        When the objective cannot give what the Fisher needs.
    """
    likelihood = objective.is_negative_log_likelihood and _overrides(objective, "sample_targets")
    if fisher == "empirical":
        return fisher
    if fisher == "monte-carlo":
        if not likelihood:
            raise _cannot_sample(objective)
        return fisher
    if not (
        _overrides(objective, "hessian_square_root_blocks")
        or _overrides(objective, "hessian_square_root")
    ):
        if fisher == "auto" and likelihood:
            return "monte-carlo"
        raise CurvatureError(
            f"{objective.described} gives no square root of its Hessian in the outputs, which "
            f'the Fisher "type-2" needs{"" if likelihood else ", and no likelihood to sample from"}'
            '; use fisher "empirical", which needs gradients only, or give the objective a method '
            "`hessian_square_root_blocks`"
        )
    if fisher == "type-2":
        return fisher
    columns = _columns_of_longest(objective, model, batches)
    work = columns * len(batches.dataset) * model.layout.size
    if columns <= FEW_COLUMNS or work <= LITTLE_WORK:
        return "type-2"
    if likelihood:
        logger.info(
            "the Fisher is sampled: an example has up to %d output columns, more than %d; "
            'fisher "type-2" takes all of them',
            columns,
            FEW_COLUMNS,
        )
        return "monte-carlo"
    logger.warning(
        "%s is no negative log-likelihood, so all %d output columns of an example go back through "
        "the model one by one, which takes long",
        objective.described,
        columns,
    )
    return "type-2"


def _columns_of_longest(objective: Objective, model: FunctionalModel, batches: Batches) -> int:
    """Count the columns of the training example with most targets."""
    dataset = batches.dataset
    longest = 0
    if dataset.columns is None:
        longest = max(range(len(dataset)), key=lambda place: dataset[place].target.numel())
    batch = batches.select(torch.tensor([longest]))
    with torch.no_grad():
        outputs = model.outputs(model.parameters, batch.inputs)  # [1, ...]
    if isinstance(objective, CrossEntropy) and outputs.numel() <= MANY_OUTPUTS:
        # What is asked for goes by outputs; that a softmax needs one column less comes on top.
        return objective.hessian_square_root(outputs, batch.targets).shape[-1]
    return FisherColumns(objective, "type-2").count(outputs, batch)


def _cannot_sample(objective: Objective) -> CurvatureError:
    if not _overrides(objective, "sample_targets"):
        return CurvatureError(
            f'{objective.described} cannot sample targets, which the Fisher "monte-carlo" needs; '
            'use fisher "empirical", which needs gradients only, or give the objective a method '
            "`sample_targets`"
        )
    return CurvatureError(
        f"{objective.described} is no negative log-likelihood as it is configured (class weights, "
        "label smoothing and means over positions break that), so a Monte-Carlo Fisher would not "
        'be its Gauss-Newton matrix; use fisher "type-2", which is exact for it, or "empirical"'
    )


def _overrides(objective: Objective, method: str) -> bool:
    return getattr(type(objective), method) is not getattr(Objective, method)
