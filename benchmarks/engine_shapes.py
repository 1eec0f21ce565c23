"""Scores of single layers: the contraction of :mod:`hessinf.scores`, shape by shape.

Each case is a model of one layer whose per-example gradients are random factors: Q queries and N
training examples of S positions each. Queries are factors too ("factored", as gradient-dot has
them) or tensors ("dense", as preconditioning with a full matrix leaves them).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

import hessinf
from benchmarks.engine_rows import Row
from benchmarks.matmul_rate import Yardstick
from benchmarks.operations import Operations
from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, Gradients, PerExampleGradients
from hessinf.scores.contraction import InnerProducts

PACKAGE = Path(hessinf.__file__).parent

BAR = 0.75
"""The share of sgemm's rate that dense contractions of large shapes have to reach."""

BAR_NAME = "dense score contraction, large shapes"

BATCH = 512
"""Training examples at once."""

CHECKED = 8
"""Queries, and examples, whose scores are compared with float64."""


@dataclass(frozen=True)
class Case:
    """One layer shape.

    Parameters
    ----------
    layer
        "linear", "convolution" (3 × 3 over a square of S positions) or "embedding".
    positions
        S.
    inputs, outputs
        Features, channels, or the size of the vocabulary and of its vectors.
    queries, examples
        Q and N.
    dense
        Whether queries are tensors.
    large
        Whether the bar for large shapes holds for it.
    """

    layer: Literal["linear", "convolution", "embedding"]
    positions: int
    inputs: int
    outputs: int
    queries: int
    examples: int
    dense: bool
    large: bool = False

    @property
    def name(self) -> str:
        """Say it in a few words."""
        kind = "dense" if self.dense else "factored"
        return (
            f"{self.layer} {self.inputs}→{self.outputs}, S={self.positions}, Q={self.queries}, "
            f"N={self.examples}, {kind} queries"
        )


def cases(scale: int = 1) -> list[Case]:
    """List the shapes that are looked at.

    Parameters
    ----------
    scale
        What features, queries and examples are divided by, for trying this out.
    """

    def both(layer: Any, positions: int, inputs: int, outputs: int, q: int, n: int) -> list[Case]:
        large = inputs * outputs >= 2**18 and layer == "linear"
        inputs, outputs, q, n = (max(size // scale, 2) for size in (inputs, outputs, q, n))
        return [
            Case(layer, positions, inputs, outputs, q, n, dense=True, large=large),
            Case(layer, positions, inputs, outputs, q, n, dense=False),
        ]

    return [
        *both("linear", 1, 64, 64, 180, 1617),
        *both("linear", 1, 512, 512, 180, 1617),
        *both("linear", 1, 1024, 1024, 128, 1024),
        *both("linear", 1, 2048, 512, 128, 1024),
        *both("linear", 1, 512, 10, 180, 1617),
        *both("linear", 16, 256, 256, 64, 1024),
        *both("linear", 64, 128, 384, 50, 1024),
        *both("linear", 64, 512, 128, 50, 1024),
        *both("linear", 64, 512, 512, 64, 512),
        *both("convolution", 64, 32, 64, 64, 1024),
        *both("convolution", 16, 64, 128, 64, 1024),
        *both("embedding", 64, 96, 128, 50, 1024),
        *both("embedding", 64, 8192, 128, 50, 512),
    ]


def build(case: Case) -> tuple[Gradients, list[Gradients]]:
    """Make the gradients of queries, and those of training examples in batches."""
    drawn = torch.Generator().manual_seed(0)
    side = math.isqrt(case.positions)
    module: nn.Module
    if case.layer == "linear":
        module = nn.Linear(case.inputs, case.outputs)
        shape = [case.inputs] if case.positions == 1 else [case.positions, case.inputs]
        out = [*shape[:-1], case.outputs]
    elif case.layer == "convolution":
        if side * side != case.positions:
            raise ValueError(f"a convolution's positions form a square, found {case.positions}")
        module = nn.Conv2d(case.inputs, case.outputs, 3, padding=1)
        shape, out = [case.inputs, side, side], [case.outputs, side, side]
    else:
        module = nn.Embedding(case.inputs, case.outputs)
        shape, out = [case.positions], [case.positions, case.outputs]

    def values(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs * targets).flatten(1).sum(1)  # [B]

    per_example = PerExampleGradients(FunctionalModel(module), values, "case")

    def gradients(count: int) -> Gradients:
        if case.layer == "embedding":
            inputs = torch.randint(case.inputs, (count, *shape), generator=drawn)
        else:
            inputs = torch.randn(count, *shape, generator=drawn)
        targets = torch.randn(count, *out, generator=drawn)
        return per_example(Batch(inputs, targets, torch.arange(count)))[0]

    queries = gradients(case.queries)
    if case.dense:
        queries = queries.like(queries.flatten().clone())
    starts = range(0, case.examples, BATCH)
    return queries, [gradients(min(BATCH, case.examples - start)) for start in starts]


def fresh(gradients: Gradients) -> Gradients:
    """Return the same gradients without tensors that an earlier pass has formed."""
    anew: Callable[[], Gradients] | None = getattr(gradients, "anew", None)
    return gradients if anew is None else anew()


def measure(case: Case, stick: Yardstick, repeats: int = 3) -> Row:
    """Measure one shape.

    Parameters
    ----------
    case
        Which.
    stick
        How fast matrix products are.
    repeats
        How often; the median counts.
    """
    queries, batches = build(case)
    with torch.no_grad():

        def contract() -> tuple[float, list[torch.Tensor], InnerProducts]:
            mine, parts = fresh(queries), [fresh(batch) for batch in batches]
            started = time.process_time()
            products = InnerProducts(mine)
            scores = [products(part) for part in parts]
            return time.process_time() - started, scores, products

        contract()
        taken = sorted(contract()[0] for _ in range(repeats))
        seconds = taken[len(taken) // 2]
        with Operations([PACKAGE]) as counted:
            _, scores, products = contract()
    table = counted.table
    predicted = prediction(products, batches)
    return Row(
        "contraction",
        case.name,
        seconds,
        seconds / stick.kernel,
        table.total.flops,
        table.total.bytes,
        table.ideal_seconds(stick.rates) / seconds,
        predicted_flops=predicted["flops"],
        predicted_bytes=predicted["bytes"],
        plan=predicted["plan"],
        dense_flops=2 * case.queries * case.examples * queries.flatten().shape[1],
        error=error_of(scores, queries, batches),
        plain_share=table.total.flops / stick.plain_rate / seconds,
    )


def prediction(products: InnerProducts, batches: Sequence[Gradients]) -> dict[str, Any]:
    """Ask the engine what it planned: the ways it chose, and flops and bytes over all batches."""
    choices = [choice for batch in batches for choice in products.plan(batch)]
    return {
        "plan": ", ".join(dict.fromkeys(choice.strategy for choice in choices)),
        "flops": float(sum(choice.cost.flops for choice in choices)),
        "bytes": float(sum(choice.cost.bytes for choice in choices)),
    }


def error_of(scores: list[torch.Tensor], queries: Gradients, batches: list[Gradients]) -> float:
    """Compare some scores with those of tensors in float64: the norm of the difference."""
    few = slice(0, CHECKED)
    expected = queries.select(few).flatten().double() @ batches[0].select(few).flatten().double().T
    found = scores[0][few, few].double()  # [8, 8]
    return float((found - expected).norm() / expected.norm())


def bar(rows: list[Row], chosen: list[Case]) -> Row:
    """Judge dense contractions of large shapes: the least of their shares counts."""
    large = [row for case, row in zip(chosen, rows, strict=True) if case.large]
    known = [row for row in large if row.share is not None]
    if not known:
        raise ValueError("no large shape was measured")
    least = min(known, key=lambda row: row.share or 0.0)
    assert least.share is not None
    return Row(
        "bar",
        BAR_NAME,
        share=least.share,
        plain_share=least.plain_share,
        passed=least.share >= BAR,
        note=f"at least {BAR:.0%} of sgemm's fastest rate; the least of {len(known)}: {least.name}",
    )
