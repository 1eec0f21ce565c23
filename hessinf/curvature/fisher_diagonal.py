"""The diagonal of the Fisher, or of the Gauss-Newton matrix, over all parameters."""

from __future__ import annotations

import logging
from typing import Any

import torch

from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.fisher_columns import Fisher, FisherColumns, choose_fisher
from hessinf.curvature.fisher_finite import require_finite_examples
from hessinf.curvature.fisher_pass import FisherPass, NewLayersError
from hessinf.curvature.fisher_spread import TraceSpread, relative_standard_errors
from hessinf.curvature.kronecker_eigenvalues import SquaredGradients
from hessinf.curvature.kronecker_factors import gradient_traces
from hessinf.data.batching import Batches
from hessinf.execution import Executor
from hessinf.gradients import FunctionalModel
from hessinf.gradients.layers import LayerCapture, LayerGradients
from hessinf.models import Objective

logger = logging.getLogger(__name__)


def fit_diagonal(
    model: FunctionalModel,
    objective: Objective,
    batches: Batches,
    *,
    fisher: Fisher = "auto",
    samples: int = 1,
    seed: int = 0,
    columns_at_once: int | None = None,
    executor: Executor | None = None,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Compute ``1/N Σ_n Σ_k G_nk²`` of whole gradients, for every parameter.

    Parameters
    ----------
    model, objective, batches, fisher, samples, seed, columns_at_once, executor
        As for :func:`hessinf.curvature.kronecker_fit.fit_kronecker`.

    Returns
    -------
    torch.Tensor
        ``[P]``, float64, without weight decay.
    dict
        What reports say of how it was made.

    Raises
    ------
    CurvatureError
        When the objective cannot give the Fisher, or an entry is not finite.
    """
    kind = choose_fisher(fisher, objective, model, batches)
    columns = FisherColumns(objective, kind, samples, seed)
    through = FisherPass(LayerCapture(model), columns, batches, executor, columns_at_once)
    while True:
        through.probe()
        try:
            sums = through.sum(
                lambda: _Squares(through.capture, kind == "monte-carlo"), "diagonal of the Fisher"
            )
            break
        except NewLayersError:
            logger.info("a later batch uses layers that earlier ones did not: starting anew")
    into = {
        name: torch.zeros(shape, dtype=torch.float64, device=model.device)
        for name, shape in model.layout.shapes.items()
    }
    for unit, squares in zip(through.capture.units, sums["units"], strict=True):
        unit.scatter(squares / sums["examples"], into)
    for name, squares in sums["others"].items():
        into[name] = squares / sums["examples"]
    diagonal = model.layout.flatten(into)  # [P]
    if not bool(diagonal.isfinite().all()):
        raise CurvatureError(
            "the diagonal of the Fisher is not finite; likely causes: NaN or huge values in the "
            "training data, or a model whose training diverged"
        )
    facts: dict[str, Any] = {"fisher": kind}
    if kind == "monte-carlo":
        facts["fisher_samples"] = samples
        errors = relative_standard_errors(sums["spread"])
        facts["fisher_relative_standard_error"] = max(errors)
    return diagonal, facts


class _Squares:
    """Squared gradients over one batch, of matrices and of all else."""

    def __init__(self, capture: LayerCapture, sampled: bool) -> None:
        self.units = capture.units
        self.squares = SquaredGradients(self.units, [(None, None) for _ in self.units])
        self.names = (*capture.elementwise, *capture.general)
        self.others: dict[str, torch.Tensor] = {}
        self.spread = TraceSpread() if sampled else None
        self.examples = 0
        self._seen = 0

    def add(self, gradients: LayerGradients) -> None:
        """Take in K columns."""
        self._seen = gradients.count
        self.squares.add(gradients)
        traces = [] if self.spread is None else gradient_traces(gradients, self.units)
        values = gradients.materialize(self.names) if self.names else {}
        for name, gradient in values.items():  # [K, B, *shape]
            squares = gradient.double().square()
            trace = squares.reshape(*squares.shape[:2], -1).sum(dim=2)  # [K, B]
            require_finite_examples(f'the gradient of "{name}" is', trace.isfinite().all(dim=0))
            part = squares.sum(dim=(0, 1))  # [*shape]
            self.others[name] = self.others[name] + part if name in self.others else part
            traces.append(trace)
        if self.spread is not None:
            self.spread.add(traces)

    def end_examples(self) -> None:
        """Learn that all columns of the examples were there."""
        self.examples += self._seen
        self.squares.end_examples()
        if self.spread is not None:
            self.spread.end_examples()

    def result(self) -> dict[str, Any]:
        """Return the sums."""
        return {
            "units": self.squares.result(),
            "others": self.others,
            "examples": self.examples,
            **({} if self.spread is None else {"spread": self.spread.result()}),
        }
