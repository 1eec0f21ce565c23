"""What LiSSA costs as queries are added: ``python -m benchmarks.lissa_queries``.

All queries recurse together, so that a step costs one pass over a mini-batch with a matrix of
vectors instead of one vector. The curve shows where that stops being free: where the products reach
the machine's matrix-multiply rate, which is measured in the same process.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HESSINF_PROGRESS"] = "0"

import torch

from hessinf.data import BreastCancer, Dataset, Digits
from hessinf.interpreters import SimpleInfluence
from hessinf.models import LogisticRegression, Mlp

QUERIES = (1, 2, 5, 10, 20, 50, 100, 200)


def sgemm_rate(size: int = 1024, repeats: int = 8) -> float:
    """Measure the rate of a matrix product, in FLOP for each processor second."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    left @ right
    started = time.process_time()
    for _ in range(repeats):
        left @ right
    return repeats * 2 * size**3 / (time.process_time() - started)


def curve(
    name: str, interpreter: SimpleInfluence, queries: Dataset, flops_per_vector: float, rate: float
) -> None:
    """Print processor seconds for each number of queries."""
    print(
        f"\n{name}: P = {interpreter.model.layout.size:,}, {interpreter.steps} steps of batches of "
        f"{interpreter.lissa_batch_size}"
    )
    print(f"{'queries':>8} {'cpu s':>8} {'to one query':>13} {'share of sgemm':>15}")
    first = 0.0
    for count in QUERIES:
        if count > len(queries):
            break
        interpreter.query_batch_size = count
        started = time.process_time()
        interpreter.scores(queries[:count])
        seconds = time.process_time() - started
        first = first or seconds
        share = count * flops_per_vector * interpreter.steps / rate / seconds
        print(f"{count:>8} {seconds:>8.2f} {seconds / first:>12.2f}x {share:>15.1%}")


def main() -> None:
    """Print a curve for a logistic regression and for a small and a wide network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100, help="LiSSA steps")
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    rate = sgemm_rate()
    print(f"sgemm of 1024: {rate / 1e9:.0f} GFLOP for each processor second")
    cases = [
        ("logistic regression, breast-cancer", BreastCancer(), LogisticRegression, {}),
        ("MLP 64-32-16-10, digits", Digits(), Mlp, {"hidden_sizes": [32, 16]}),
        ("MLP 64-512-512-10, digits", Digits(), Mlp, {"hidden_sizes": [512, 512]}),
    ]
    for name, reader, model, arguments in cases:
        train = reader.read("train")
        assert train.input_shape is not None
        module = model(
            in_features=train.input_shape[0], out_features=train.num_classes, **arguments
        ).module
        interpreter = SimpleInfluence(
            module,
            train,
            damping=0.1,
            scale=50.0,
            lissa_batch_size=64,
            recursion_depth={"steps": steps},
        ).fit()
        interpreter.scores(train[:1])  # training gradients are computed and kept once
        weights = sum(p.numel() for p in module.parameters() if p.ndim == 2)
        # J v needs two products with weights for each example (primal and tangent, the tangent of
        # the first layer's input is zero), and its transpose two more: 4 · 2 · B · P at most.
        flops = 4 * 2 * interpreter.lissa_batch_size * weights
        curve(name, interpreter, train, flops, rate)


if __name__ == "__main__":
    main()
