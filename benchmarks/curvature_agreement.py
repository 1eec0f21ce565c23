"""How near scores come to those of the exact GGN: ``python -m benchmarks.curvature_agreement``.

MLPs 64-32-16-10 on digits, trained as ``configs/lib/digits.libsonnet`` says, from three seeds. The
reference is "ggn" with λ a tenth of its mean eigenvalue; all other methods take the same λ, "by
block" a tenth of the mean eigenvalue of each of their own blocks. For every query, training
examples are ranked by both; what is printed is Spearman's correlation, its mean over queries and
seeds with the 95 % interval of a bootstrap over queries, and how large scores are beside the
reference's (the ratio of their norms). Methods are compared pairwise on the same queries.
"""

from __future__ import annotations

import os

os.environ["HESSINF_PROGRESS"] = "0"

import argparse
import logging
import time
from typing import Any

import numpy as np
import torch

from hessinf.data import Digits
from hessinf.interpreters import InfluenceInterpreter
from hessinf.models import CrossEntropy, Mlp
from hessinf.training import Cosine, Sgd, Trainer

WEIGHT_DECAY = 1e-3
SHARE = 0.1
RESAMPLES = 1000

SAME: dict[str, Any] = {"damping": "same"}
BY_BLOCK: dict[str, Any] = {"damping": {"relative": SHARE}}

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "block-ggn (layer)": ("block-ggn", SAME),
    "block-ggn (layer), λ by block": ("block-ggn", BY_BLOCK),
    "block-ggn (parameter)": ("block-ggn", {**SAME, "blocks": "parameter"}),
    "kfac": ("kfac", SAME),
    "kfac, λ by block": ("kfac", BY_BLOCK),
    "kfac, heuristic damping": ("kfac", {**SAME, "heuristic_damping": True}),
    "kfac, heuristic, λ by block": ("kfac", {**BY_BLOCK, "heuristic_damping": True}),
    "kfac, Monte-Carlo Fisher": ("kfac", {**SAME, "fisher": "monte-carlo"}),
    "kfac, empirical Fisher": ("kfac", {**SAME, "fisher": "empirical"}),
    "ekfac": ("ekfac", SAME),
    "ekfac, λ by block": ("ekfac", BY_BLOCK),
    "ekfac, Monte-Carlo Fisher": ("ekfac", {**SAME, "fisher": "monte-carlo"}),
    "ekfac, empirical Fisher": ("ekfac", {**SAME, "fisher": "empirical"}),
    "diagonal": ("diagonal", SAME),
    "gradient-dot": ("gradient-dot", {}),
    "gradient-cosine": ("gradient-cosine", {}),
    "arnoldi, rank 100": ("arnoldi", {**SAME, "rank": 100}),
    "nystroem, rank 100": ("nystroem", {**SAME, "rank": 100}),
}

HESSIAN = ("exact", {**SAME, "inversion": {"type": "eigen", "negative": "flip"}})

PAIRS = (
    ("ekfac", "kfac"),
    ("ekfac", "kfac, heuristic damping"),
    ("kfac", "kfac, heuristic damping"),
    ("ekfac, λ by block", "kfac, λ by block"),
    ("ekfac, λ by block", "kfac, heuristic, λ by block"),
    ("block-ggn (layer)", "ekfac"),
    ("kfac", "diagonal"),
    ("ekfac", "diagonal"),
    ("kfac, heuristic damping", "diagonal"),
    ("kfac", "gradient-dot"),
    ("ekfac", "gradient-dot"),
)


def trained(seed: int, epochs: int) -> torch.nn.Module:
    """Train a network."""
    module = Mlp(
        in_features=64, out_features=10, hidden_sizes=[32, 16], activation="gelu", seed=seed
    ).module
    trainer = Trainer(
        optimizer=Sgd(lr=0.05, momentum=0.9),
        scheduler=Cosine(),
        epochs=epochs,
        weight_decay=WEIGHT_DECAY,
    )
    record = trainer.fit(module, Digits().read("train"), CrossEntropy(), seed=seed)
    print(f"  trained: loss {record.loss:.4f}, gradient norm {record.gradient_norm:.3g}")
    return module


def ranks(scores: np.ndarray) -> np.ndarray:
    """Return centred ranks of norm 1, ``[Q, N]``; scores hardly ever tie."""
    order = scores.argsort(axis=1).argsort(axis=1).astype(np.float64)
    order -= order.mean(axis=1, keepdims=True)
    return np.asarray(order / np.linalg.norm(order, axis=1, keepdims=True))


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of ``[seeds, Q]`` and its bootstrap interval over queries."""
    by_query = values.mean(axis=0)  # [Q]
    generator = np.random.RandomState(0)
    drawn = generator.randint(len(by_query), size=(RESAMPLES, len(by_query)))
    low, high = np.percentile(by_query[drawn].mean(axis=1), [2.5, 97.5])
    return float(by_query.mean()), float(low), float(high)


def main() -> None:
    """Print both tables."""
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many networks")
    parser.add_argument("--epochs", type=int, default=60, help="how long they are trained")
    parser.add_argument("--hessian", action="store_true", help='with "exact", which takes longest')
    arguments = parser.parse_args()
    methods = {**METHODS, **({"exact (Hessian, flipped)": HESSIAN} if arguments.hessian else {})}
    train, queries = Digits().read("train"), Digits().read("test")
    spearman: dict[str, list[np.ndarray]] = {label: [] for label in methods}
    ratios: dict[str, list[float]] = {label: [] for label in methods}
    seconds: dict[str, float] = dict.fromkeys(methods, 0.0)
    for seed in range(arguments.seeds):
        print(f"seed {seed}")
        module = trained(seed, arguments.epochs)

        def scores(
            name: str, given: dict[str, Any], damping: Any, module: torch.nn.Module = module
        ) -> tuple[np.ndarray, Any]:
            own = {**given, "damping": damping} if given.get("damping") == "same" else given
            interpreter = InfluenceInterpreter.by_name(name)(
                module, train, weight_decay=WEIGHT_DECAY, seed=0, **own
            ).fit()
            return interpreter.scores(queries).astype(np.float64), interpreter  # [Q, N]

        reference, ggn = scores("ggn", BY_BLOCK, None)
        expected = ranks(reference)
        print(f"  λ = {ggn.damping_:.3g}", flush=True)
        for label, (name, given) in methods.items():
            started = time.process_time()
            found, _ = scores(name, given, ggn.damping_)
            seconds[label] += time.process_time() - started
            spearman[label].append((ranks(found) * expected).sum(axis=1))  # [Q]
            ratios[label].append(float(np.linalg.norm(found) / np.linalg.norm(reference)))
    print(f"\nSpearman to exact damped GGN scores, {len(queries)} queries × {len(train)} examples")
    print(f"{'method':<32} {'mean':>6} {'95 % interval':>16} {'by seed':>22} {'norm':>6} {'s':>6}")
    for label, values in spearman.items():
        mean, low, high = interval(np.stack(values))
        by_seed = " ".join(f"{float(one.mean()):.3f}" for one in values)
        print(
            f"{label:<32} {mean:6.3f} {f'{low:.3f} to {high:.3f}':>16} {by_seed:>22} "
            f"{np.mean(ratios[label]):6.3g} {seconds[label] / arguments.seeds:6.1f}"
        )
    print("\npaired differences of Spearman, same queries and networks")
    for first, second in PAIRS:
        both = np.stack(spearman[first]) - np.stack(spearman[second])
        mean, low, high = interval(both)
        leader = first if low > 0 else second if high < 0 else "neither"
        by_seed = " ".join(f"{float(one.mean()):+.3f}" for one in both)
        print(
            f"{first} − {second}: {mean:+.4f} ({low:+.4f} to {high:+.4f}; by seed {by_seed}): "
            f"{leader} leads"
        )


if __name__ == "__main__":
    main()
