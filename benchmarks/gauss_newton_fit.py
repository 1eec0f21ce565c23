"""What forming a Gauss-Newton matrix costs: ``python -m benchmarks.gauss_newton_fit``.

By products with P unit vectors, as the Hessian has to be; from the rows of all examples; from layer
factors, as ``ggn`` does; and in its dual form, for more parameters than examples have outputs.
Processor seconds, on one core, with the error relative to the first way.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HESSINF_PROGRESS"] = "0"

import torch

from hessinf.curvature.cholesky import mirror_upper
from hessinf.curvature.dense import dense_curvature
from hessinf.curvature.gauss_newton_block import add_outer_products
from hessinf.curvature.gauss_newton_matrix import gauss_newton_blocks
from hessinf.data import Dataset, Digits
from hessinf.interpreters import GaussNewton
from hessinf.models import Mlp

WEIGHT_DECAY = 1e-3


def network(train: Dataset, hidden: list[int]) -> torch.nn.Module:
    """Train an MLP for a few epochs of full batches, so that probabilities are like real ones."""
    assert train.columns is not None
    module = Mlp(in_features=64, out_features=10, hidden_sizes=hidden, activation="gelu").module
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        outputs = module(train.columns.inputs)
        torch.nn.functional.cross_entropy(outputs, train.columns.targets).backward()
        optimizer.step()
    return module


def seconds(started: float) -> float:
    """Count processor seconds since a moment."""
    return time.process_time() - started


def compare_ways(train: Dataset, module: torch.nn.Module) -> None:
    """Form one matrix in three ways, then fit and factorise as the interpreter does."""
    interpreter = GaussNewton(module, train, weight_decay=WEIGHT_DECAY, form="primal")
    size, count = interpreter.model.layout.size, len(train)
    print(f"\nMLP 64-32-16-10, digits: N = {count:,}, P = {size:,}, float64")
    with interpreter.model.evaluating():
        products = interpreter.curvature_products("ggn", torch.float64)
        started = time.process_time()
        expected = dense_curvature(products, products.vectors_at_once or 1, "products")
        print(f"{'P products':>24} {seconds(started):>8.2f} s")

        rows, data = interpreter.gauss_newton_rows()
        started = time.process_time()
        total = torch.zeros(size, size, dtype=torch.float64)
        for batch in data:
            for piece, _ in rows.pieces(batch):
                add_outer_products(total, piece)
        mirror_upper(total)
        total.div_(count).diagonal().add_(WEIGHT_DECAY)
        report("rows", seconds(started), total, expected)

        rows, data = interpreter.gauss_newton_rows()
        started = time.process_time()
        blocks = {"all": slice(0, size)}
        found = gauss_newton_blocks(
            rows, data, blocks, weight_decay=WEIGHT_DECAY, total=count, stage="factors"
        )
        report("layer factors", seconds(started), found["all"], expected)
    for curvature_dtype in ("float64", "model"):
        fresh = GaussNewton(
            module,
            train,
            weight_decay=WEIGHT_DECAY,
            form="primal",
            curvature_dtype=curvature_dtype,  # type: ignore[arg-type]
        )
        started = time.process_time()
        fresh.fit()
        print(f"{f'fit, {curvature_dtype}':>24} {seconds(started):>8.2f} s, with the inverse")


def report(name: str, elapsed: float, found: torch.Tensor, expected: torch.Tensor) -> None:
    """Print a line."""
    error = float((found - expected).norm() / expected.norm())
    print(f"{name:>24} {elapsed:>8.2f} s, relative error {error:.1e}")


def dual(train: Dataset, widths: list[int]) -> None:
    """Fit the dual form for networks of more and more parameters, and few examples."""
    print(f"\nMLP 64-w-w-10, {len(train)} digits, dual form, float64")
    print(f"{'w':>6} {'P':>12} {'M':>6} {'fit':>10} {'20 queries':>12}")
    queries = Digits().read("test")[:20]
    for width in widths:
        module = network(train, [width, width])
        interpreter = GaussNewton(
            module, train, weight_decay=WEIGHT_DECAY, form="dual", dtype="float64"
        )
        started = time.process_time()
        interpreter.fit()
        fit = seconds(started)
        started = time.process_time()
        interpreter.scores(queries)
        rows = int(interpreter.row_counts_.sum())
        size = interpreter.model.layout.size
        print(f"{width:>6} {size:>12,} {rows:>6,} {fit:>8.2f} s {seconds(started):>10.2f} s")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="*", default=[64, 256, 1024])
    parser.add_argument("--examples", type=int, default=200, help="for the dual form")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train = Digits().read("train")
    compare_ways(train, network(train, [32, 16]))
    dual(train[: arguments.examples], arguments.widths)


if __name__ == "__main__":
    main()
