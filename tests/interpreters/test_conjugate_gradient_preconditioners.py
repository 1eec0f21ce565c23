"""``conjugate-gradient`` with preconditioners: the same solution in fewer steps."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import nn

from hessinf.interpreters import ConjugateGradient, InfluenceInterpreter

PRECONDITIONERS: list[Any] = [None, "jacobi", {"type": "nystroem", "rank": 20}, "kfac", "ekfac"]


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@functools.cache
def ill_conditioned() -> tuple[nn.Module, Any, Any, np.ndarray]:
    """A network on inputs of very different scales; its Gauss-Newton matrix, ``[P, P]``."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(305, 8, generator=generator, dtype=torch.float64)
    inputs *= torch.logspace(-1.5, 1, 8, dtype=torch.float64)
    labels = torch.randint(3, (305,), generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    parameters = list(module.parameters())
    total = 0.0
    for example in inputs[:300]:
        outputs = module(example[None])
        jacobian = torch.stack(
            [
                torch.cat(
                    [x.flatten() for x in torch.autograd.grad(out, parameters, retain_graph=True)]
                )
                for out in outputs[0]
            ]
        ).numpy()  # [C, P]
        shares = outputs.detach().softmax(dim=1)[0].numpy()
        total = total + jacobian.T @ (np.diag(shares) - np.outer(shares, shares)) @ jacobian
    train, queries = (inputs[:300], labels[:300]), (inputs[300:], labels[300:])
    return module, train, queries, np.asarray(total) / 300


def test_the_same_solution_in_fewer_steps() -> None:
    module, train, queries, curvature = ill_conditioned()
    condition = np.linalg.cond(curvature + 1e-6 * np.eye(len(curvature)))
    steps: dict[str, dict[str, int]] = {"cg": {}, "block": {}}
    scores = {}
    for method, counts in steps.items():
        for preconditioner in PRECONDITIONERS:
            interpreter = ConjugateGradient(
                module,
                train,
                damping=1e-6,
                method=method,
                preconditioner=preconditioner,
                tolerance=1e-10,
            )
            found = interpreter.scores(queries)
            assert bool(interpreter.reports["converged"].all())
            name = preconditioner["type"] if isinstance(preconditioner, dict) else preconditioner
            counts[str(name)] = int(interpreter.reports["steps"].max())
            scores[method, str(name)] = found
    print(f"condition {condition:.2g}, steps to 1e-10: {steps}")
    for found in scores.values():
        assert relative_error(found, scores["cg", "None"]) <= 1e-7
    for counts in steps.values():
        for name in ("jacobi", "nystroem", "kfac", "ekfac"):
            assert counts[name] < 0.7 * counts["None"], (name, counts)


def test_few_steps_with_ekfac_improve_on_it() -> None:
    module, train, queries, _ = ill_conditioned()
    damping = 1e-3
    exact = ConjugateGradient(module, train, damping=damping, tolerance=1e-10).scores(queries)
    ekfac = InfluenceInterpreter.by_name("ekfac")(module, train, damping=damping)
    errors = {"ekfac": relative_error(ekfac.scores(queries), exact)}
    for preconditioner in (None, "ekfac"):
        few = ConjugateGradient(
            module, train, damping=damping, steps=6, preconditioner=preconditioner
        )
        errors[f"6 steps, {preconditioner}"] = relative_error(few.scores(queries), exact)
        assert few.reports["steps"].tolist() == [6] * 5
        assert not bool(few.reports["converged"].any())
    print(f"relative errors: {errors}")
    assert errors["6 steps, ekfac"] < 0.5 * errors["ekfac"]
    assert errors["6 steps, ekfac"] < 0.5 * errors["6 steps, None"]
