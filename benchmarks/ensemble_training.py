"""Many models at once beside one after another: ``python -m benchmarks.ensemble_training``.

The digits perceptron 64-32-16-10 (GELU, SGD with momentum 0.9, learning rate 0.01 along a cosine,
batches of 32), on random halves of the training data: all of them as one batched program, then
some of them through ``Trainer.fit`` one after another, from which the time of all is extrapolated
(``--all`` trains all of them so). Both run in one process on as many threads as PyTorch takes, so
set ``OMP_NUM_THREADS=1``. Losses of the test data show that the models are the same.
"""

from __future__ import annotations

import os

os.environ["HESSINF_PROGRESS"] = "0"

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from hessinf.data import DatasetReader
from hessinf.models import CrossEntropy, Mlp
from hessinf.runtime.randomness import derive_seed
from hessinf.training import Cosine, Member, Sgd, TrainedMembers, Trainer, train_members

Result = TypeVar("Result")


@dataclass(frozen=True)
class Report:
    """What was measured.

    Parameters
    ----------
    batched_models, single_models
        How many models were trained each way.
    batched_processor, batched_clock
        Seconds of all models together, of the processor and of the clock.
    single_processor, single_clock
        Seconds of those that were trained one after another.
    reason
        Why models were not batched; empty where they were.
    difference
        The largest difference of a test loss between a model of both ways.
    largest
        The largest of these losses.
    """

    batched_models: int
    batched_processor: float
    batched_clock: float
    single_models: int
    single_processor: float
    single_clock: float
    reason: str
    difference: float
    largest: float

    @property
    def ratio(self) -> float:
        """How many times less of the processor a model of the batched program takes."""
        return (self.single_processor / self.single_models) / (
            self.batched_processor / self.batched_models
        )


def measure(models: int, singles: int, epochs: int, hidden_sizes: Sequence[int]) -> Report:
    """Train models both ways.

    Parameters
    ----------
    models
        How many are trained together.
    singles
        How many of them are trained one after another.
    epochs
        For how long.
    hidden_sizes
        The widths of the perceptron.
    """
    reader = DatasetReader.from_config("digits")
    train, test = reader.read("train"), reader.read("test")
    objective = CrossEntropy()
    trainer = Trainer(Sgd(lr=0.01, momentum=0.9), Cosine(), epochs=epochs, batch_size=32)
    random = np.random.default_rng(derive_seed(0, "benchmark.subsets"))
    members = [
        Member(np.sort(random.permutation(len(train))[: len(train) // 2]).tolist(), seed)
        for seed in range(models)
    ]

    def make_module(seed: int) -> torch.nn.Module:
        return Mlp(
            list(hidden_sizes), activation="gelu", in_features=64, out_features=10, seed=seed
        ).module

    def together() -> list[TrainedMembers]:
        return list(train_members(trainer, make_module, train, objective, members, device="cpu"))

    def alone() -> list[torch.nn.Module]:
        trained = []
        for member in members[:singles]:
            module = make_module(member.seed)
            trainer.fit(module, train.subset(member.indices), objective, seed=member.seed)
            trained.append(module)
        return trained

    # PyTorch's first optimizer imports for a second, whoever makes it.
    Trainer(trainer.optimizer, epochs=1).fit(make_module(0), train[:32], objective, seed=0)
    chunks, batched_processor, batched_clock = timed(together)
    modules, single_processor, single_clock = timed(alone)
    values = np.concatenate([chunk.values(test, objective) for chunk in chunks])  # [M, Q]
    inputs = torch.stack([instance.inputs for instance in test])  # [Q, 8, 8]
    with torch.no_grad():
        expected = np.array(
            [objective.losses(module(inputs), test.targets).tolist() for module in modules]
        )  # [singles, Q]
    return Report(
        models,
        batched_processor,
        batched_clock,
        singles,
        single_processor,
        single_clock,
        "; ".join(sorted({chunk.reason for chunk in chunks} - {""})),
        float(np.abs(values[:singles] - expected).max()),
        float(expected.max()),
    )


def timed(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """Return a result, and the seconds of the processor and of the clock that it took."""
    processor, clock = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - processor, time.perf_counter() - clock


def described(report: Report) -> str:
    """Write a report as lines."""
    per_model = 1000 * report.batched_processor / report.batched_models
    alone = report.single_processor / report.single_models
    return "\n".join(
        [
            f"batched: {report.batched_models} models, {report.batched_processor:.2f} s of the "
            f"processor, {report.batched_clock:.2f} s of the clock, {per_model:.1f} ms a model"
            + (f" (NOT BATCHED: {report.reason})" if report.reason else ""),
            f"one after another: {report.single_models} models, {report.single_processor:.2f} s of "
            f"the processor, {report.single_clock:.2f} s of the clock, {1000 * alone:.1f} ms a "
            f"model; {report.batched_models} would take {alone * report.batched_models:.1f} s",
            f"ratio: {report.ratio:.1f}",
            f"largest difference of a test loss: {report.difference:.2e}, of losses up to "
            f"{report.largest:.2f}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=100, help="models trained together")
    parser.add_argument("--singles", type=int, default=10, help="models trained one by one too")
    parser.add_argument("--all", action="store_true", help="train all of them one by one too")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--hidden", type=int, nargs="*", default=[32, 16], help="hidden sizes")
    chosen = parser.parse_args(arguments)
    singles = chosen.models if chosen.all else min(chosen.singles, chosen.models)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} thread(s)")
    print(described(measure(chosen.models, singles, chosen.epochs, chosen.hidden)))


if __name__ == "__main__":
    main()
