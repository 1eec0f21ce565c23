"""Predicted loss changes beside 60 real retrainings: ``python -m benchmarks.ring_retraining``.

The worked example of ``configs/ring``: a noisy ring of 60 points, a network of 33 parameters
trained to its minimum, and ``exact`` at damping 0. It is trained again without each of the points.
Predictions are those to first order, and those refined by one Newton step.
"""

from __future__ import annotations

import os

os.environ["HESSINF_PROGRESS"] = "0"

import numpy as np
import torch

from hessinf.data import Synthetic
from hessinf.interpreters import Exact
from hessinf.models import BinaryCrossEntropy, Mlp
from hessinf.training import Lbfgs, Trainer

WEIGHT_DECAY = 0.04


def main() -> None:
    """Print correlation, slope and intercept: of the first query, and of all."""
    reader = Synthetic(kind="ring", train_size=60, test_size=20)
    train, queries = reader.read("train"), reader.read("test")
    objective = BinaryCrossEntropy()

    def fitted(indices: list[int]) -> torch.nn.Module:
        module = Mlp(
            in_features=2,
            out_features=1,
            hidden_sizes=[8],
            activation="tanh",
            dtype="float64",
            seed=42,
        ).module
        trainer = Trainer(Lbfgs(), epochs=2000, weight_decay=WEIGHT_DECAY, gradient_tolerance=1e-9)
        trainer.fit(module, train.subset(indices), objective, seed=0)
        return module

    def losses(module: torch.nn.Module) -> np.ndarray:
        assert queries.columns is not None
        with torch.no_grad():
            outputs = module(queries.columns.inputs.double())
        return objective.losses(outputs, queries.columns.targets).numpy()  # [Q]

    everything = list(range(len(train)))
    model = fitted(everything)
    interpreter = Exact(
        model, train, objective=objective, damping=0.0, weight_decay=WEIGHT_DECAY
    ).fit()
    true = np.stack(
        [
            losses(fitted([index for index in everything if index != left_out])) - losses(model)
            for left_out in everything
        ],
        axis=1,
    )  # [Q, N]
    for name, predicted in (
        ("first order", interpreter.loss_changes(queries)),  # [Q, N]
        ("refined", interpreter.loss_changes(queries, refinement="newton-step")),  # [Q, N]
    ):
        correlations = [np.corrcoef(*rows)[0, 1] for rows in zip(predicted, true, strict=True)]
        slope, intercept = np.polyfit(predicted[0], true[0], 1)
        print(name)
        print(f"  first query: r = {correlations[0]:.4f}, slope {slope:.3f}, {intercept:+.1e}")
        print(f"  20 queries:  r = {np.mean(correlations):.4f} mean, {min(correlations):.3f} least")
        pooled = np.corrcoef(predicted.ravel(), true.ravel())[0, 1]
        slope, intercept = np.polyfit(predicted.ravel(), true.ravel(), 1)
        print(f"  pooled:      r = {pooled:.4f}, slope {slope:.3f}, {intercept:+.1e}")


if __name__ == "__main__":
    main()
