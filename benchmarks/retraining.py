"""Predicted loss changes beside real leave-one-out retraining: ``python -m benchmarks.retraining``.

Linear models on scikit-learn's data, trained again without every one of their examples (closed
forms and Newton's method to gradient norms below 1e-10, :mod:`hessinf.testing.leave_one_out`). All
queries and training examples are pooled; r, slope and intercept are those of the true changes over
the predicted ones, to first order and refined by one Newton step. ``--seeds 5`` repeats it on other
splits of the data, and gives the least and the largest figures of them.
"""

from __future__ import annotations

import os

os.environ["HESSINF_PROGRESS"] = "0"

import argparse
import logging
import time
from collections.abc import Callable, Sequence

from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.testing.leave_one_out import (
    LeaveOneOut,
    Line,
    line_through,
    logistic_on_breast_cancer,
    ridge_on_diabetes,
    softmax_on_wine,
)

METHODS = ("exact", "ggn", "block-ggn", "kfac", "ekfac")

PROBLEMS: Sequence[tuple[Callable[..., LeaveOneOut], float]] = (
    (ridge_on_diabetes, 0.1),
    (logistic_on_breast_cancer, 0.1),
    (logistic_on_breast_cancer, 0.02),
    (softmax_on_wine, 0.02),
)

COLUMNS = (
    f"{'method':<10} {'first order: r':>16} {'slope':>14} {'intercept':>10}   "
    f"{'refined: r':>18} {'slope':>14} {'intercept':>10} {'seconds':>8}"
)


def lines(name: str, problem: LeaveOneOut) -> tuple[Line, Line | None, float]:
    """Return the lines of both predictions (None where there is none), and what they took."""
    interpreter = InfluenceInterpreter.by_name(name)(
        problem.module,
        problem.train,
        objective=problem.objective,
        weight_decay=problem.weight_decay,
        damping=0.0,
    )
    first = line_through(interpreter.loss_changes(problem.queries), problem.true_changes)
    started = time.process_time()
    try:
        changes = interpreter.loss_changes(problem.queries, refinement="newton-step")
    except InterpreterError as error:
        print(f"  {name}: {error}")
        return first, None, time.process_time() - started
    took = time.process_time() - started
    return first, line_through(changes, problem.true_changes), took


def cell(values: Sequence[float], form: str) -> str:
    """Write one figure, or the least and the largest of several."""
    least, largest = format(min(values), form), format(max(values), form)
    return least if least == largest else f"{least}..{largest}"


def described(found: Sequence[Line | None]) -> str:
    """Write lines as three columns."""
    fitted = [line for line in found if line is not None]
    if len(fitted) < len(found):
        return f"{'not possible':>18} {'':>14} {'':>10}"
    return (
        f"{cell([line.pearson for line in fitted], '.5f'):>18} "
        f"{cell([line.slope for line in fitted], '.4f'):>14} "
        f"{max((line.intercept for line in fitted), key=abs):>10.1e}"
    )


def main() -> None:
    """Print a table a problem."""
    logging.disable(logging.WARNING)
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=1, help="how many splits of the data")
    seeds = range(arguments.parse_args().seeds)
    for make, weight_decay in PROBLEMS:
        problems = [make(weight_decay, seed=seed) for seed in seeds]
        queries, examples = problems[0].true_changes.shape
        print(
            f"{problems[0].name}: N = {examples}, {queries} queries, weight decay {weight_decay}, "
            f"splits {', '.join(map(str, seeds))}"
        )
        print(COLUMNS)
        for name in METHODS:
            found = [lines(name, problem) for problem in problems]
            took = sum(row[2] for row in found) / len(found)
            first, refined = [row[0] for row in found], [row[1] for row in found]
            print(f"{name:<10} {described(first)[2:]}   {described(refined)} {took:8.2f}")
        print()


if __name__ == "__main__":
    main()
