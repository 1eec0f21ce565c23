"""T1: what can be written down, beside what hessinf computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from hessinf.data import Synthetic
from hessinf.interpreters import InfluenceInterpreter
from hessinf.models import BinaryCrossEntropy, Mlp
from hessinf.testing import kronecker_references, problems, references
from hessinf.testing.layer_problems import deep_linear_network
from hessinf.testing.layer_references import units
from hessinf.testing.leave_one_out import line_through
from hessinf.testing.problem import Problem, select
from hessinf.training import Lbfgs, Member, Trainer, train_members

FULL_RANK = {"arnoldi": 54, "nystroem": 54}
"""P of the regression network."""


@dataclass(frozen=True)
class Check:
    """One comparison.

    Parameters
    ----------
    what
        In words.
    value
        What was found.
    bound
        What it may not exceed; or fall below, for those with ``at_least``.
    at_least
        Whether the bound is from below.
    """

    what: str
    value: float
    bound: float
    at_least: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, with the verdict."""
        kept = self.value >= self.bound if self.at_least else self.value <= self.bound
        return {**asdict(self), "kept": bool(kept)}


def checks(*, random_networks: int, damping: float, seed: int) -> list[dict[str, Any]]:
    """Make all comparisons.

    Parameters
    ----------
    random_networks
        How many random networks EK-FAC and K-FAC are compared on.
    damping
        λ, where there is one.
    seed
        Of random networks.
    """
    found = [
        *_linear_regression(),
        *_inverses(damping),
        *_kronecker(random_networks, damping, seed),
        *_invariances(damping),
        *_retraining(),
    ]
    return [check.to_json() for check in found]


def _make(name: str, problem: Problem, train: Any = None, **arguments: Any) -> InfluenceInterpreter:
    made: InfluenceInterpreter = InfluenceInterpreter.by_name(name)(
        problem.module(),
        problem.train if train is None else train,
        objective=problem.objective,
        weight_decay=problem.weight_decay,
        **arguments,
    )
    return made


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _linear_regression() -> Iterator[Check]:
    """Ridge regression: the Hessian and all gradients are formulas."""
    problem = problems.ridge_regression()
    exact = _make("exact", problem, damping=0.0)
    hessian = references.hessian(problem)  # [P, P]
    train = references.gradients(problem, problem.train)  # [N, P]
    queries = references.gradients(problem, problem.queries)  # [Q, P]
    expected = queries @ np.linalg.solve(hessian, train.T)  # [Q, N]
    own = np.einsum("np,np->n", train, np.linalg.solve(hessian, train.T).T)  # [N]
    found = exact.scores(problem.queries)
    yield Check("influence of ridge regression, relative error", _error(found, expected), 1e-10)
    self_influence = exact.self_influence()
    yield Check("its self-influence, relative error", _error(self_influence, own), 1e-10)
    for name in ("ridge_regression", "logistic_regression"):
        linear = getattr(problems, name)()
        error = _error(references.gauss_newton(linear), references.hessian(linear))
        title = name.replace("_", " ")
        yield Check(f"{title}: Gauss-Newton matrix beside the Hessian", error, 1e-10)


def _inverses(damping: float) -> Iterator[Check]:
    """Every way to invert, beside a dense solve with the Gauss-Newton matrix."""
    problem = problems.regression_network()
    expected = references.damped_scores(problem, references.gauss_newton(problem), damping)
    hessian = references.damped_scores(problem, references.hessian(problem), damping)
    found = _make("exact", problem, damping=damping).scores(problem.queries)
    yield Check("exact, beside a dense solve", _error(found, hessian), 1e-8)
    methods: dict[str, dict[str, Any]] = {
        "ggn": {},
        "conjugate-gradient": {"tolerance": 1e-12},
        **{name: {"rank": rank} for name, rank in FULL_RANK.items()},
        "simple-influence": {"recursion_depth": {"steps": 20000}, "lissa_batch_size": 29},
    }
    for name, arguments in methods.items():
        scores = _make(name, problem, damping=damping, **arguments).scores(problem.queries)
        rank = " at full rank" if name in FULL_RANK else ""
        bound = 1e-2 if name == "simple-influence" else 1e-8
        yield Check(f"{name}{rank}, beside a dense solve", _error(scores, expected), bound)


def _kronecker(random_networks: int, damping: float, seed: int) -> Iterator[Check]:
    """K-FAC and EK-FAC beside the blocks that they approximate."""
    deep = deep_linear_network()
    kfac = _make("kfac", deep, fisher="type-2").fit().curvature.dense().numpy()
    blocks = references.block_diagonal(
        references.gauss_newton(deep), references.parameter_blocks(deep, by="layer").values()
    )
    yield Check("K-FAC of a deep linear network, beside its blocks", _error(kfac, blocks), 1e-10)
    worst, diagonal, layout = -1.0, 0.0, 0.0
    for place in range(random_networks):
        problem = _random_network(seed + place)
        exact = references.gauss_newton(problem)
        dense = {
            name: _make(name, problem, fisher="type-2").fit().curvature.dense().numpy()
            for name in ("ekfac", "kfac")
        }
        for unit in units(problem)[0]:
            where = np.ix_(unit.places.flatten(), unit.places.flatten())
            block = exact[where]
            near, far = (
                np.linalg.norm(dense[name][where] - block) / np.linalg.norm(block)
                for name in ("ekfac", "kfac")
            )
            worst = max(worst, float(near - far))
            basis = kronecker_references.kfac_basis(unit)
            own, right = (
                np.diag(basis.T @ matrix[where] @ basis) for matrix in (dense["ekfac"], exact)
            )
            diagonal = max(diagonal, _error(own, right))
        layout = max(layout, _layout_error(problem, damping))
    yield Check(
        f"EK-FAC's residual less K-FAC's, largest of {random_networks} random networks",
        worst,
        1e-12,
    )
    yield Check("EK-FAC's eigenvalues beside diag(Qᵀ G Q)", diagonal, 1e-8)
    single = _single_example(problems.regression_network())
    yield Check("K-FAC of a single gradient, beside its block", single, 1e-10)
    yield Check("EK-FAC with biases, beside dense factors", layout, 1e-8)


def _random_network(seed: int) -> Problem:
    """Make a network of two layers with biases, its data, and its weights, at random."""
    generator = torch.Generator().manual_seed(seed)
    widths = [int(width) for width in torch.randint(2, 6, (3,), generator=generator)]
    module = Mlp(
        in_features=widths[0],
        out_features=widths[2],
        hidden_sizes=[widths[1]],
        activation="tanh",
        dtype="float64",
        seed=seed,
    ).module

    def data(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = torch.randn(count, widths[0], generator=generator, dtype=torch.float64)
        return inputs, torch.randint(0, widths[2], (count,), generator=generator)

    return replace(
        problems.logistic_regression(),  # for its losses
        name=f"random network {seed}",
        trained=module,
        train=data(30),
        queries=data(4),
        weight_decay=0.0,
    )


def _single_example(problem: Problem) -> float:
    """Compare K-FAC of one example, with the empirical Fisher, with its gradient's square."""
    one = select(problem.train, [0])
    kfac = _make("kfac", problem, train=one, fisher="empirical").fit()
    dense = kfac.curvature.dense().numpy()
    gradient = references.gradients(problem, one)[0]  # [P]
    error = 0.0
    for unit in units(problem)[0]:
        places = unit.places.flatten()
        ridge = problem.weight_decay * np.eye(len(places))
        block = np.outer(gradient[places], gradient[places]) + ridge
        error = max(error, _error(dense[np.ix_(places, places)], block))
    return error


def _layout_error(problem: Problem, damping: float) -> float:
    found = _make("ekfac", problem, fisher="type-2", damping=damping).scores(problem.queries)
    dense = kronecker_references.ekfac(problem)
    return _error(found, references.damped_scores(problem, dense, damping))


def _invariances(damping: float) -> Iterator[Check]:
    """Change what scores must not depend on."""
    problem = problems.regression_network()
    order = torch.randperm(problem.num_train, generator=torch.Generator().manual_seed(0))
    places = order.tolist()
    worst: dict[str, float] = {"batches": 0.0, "order": 0.0, "twice": 0.0}
    for name in ("exact", "ggn", "block-ggn", "ekfac", "kfac", "conjugate-gradient"):
        options = {"tolerance": 1e-13} if name == "conjugate-gradient" else {}
        whole = _make(name, problem, damping=damping, **options).scores(problem.queries)
        for batch_size in (1, 7):
            scores = _make(name, problem, damping=damping, batch_size=batch_size, **options)
            worst["batches"] = max(worst["batches"], _error(scores.scores(problem.queries), whole))
        shuffled = _make(
            name, problem, train=select(problem.train, places), damping=damping, **options
        ).scores(problem.queries)
        worst["order"] = max(worst["order"], _error(shuffled, whole[:, places]))
        doubled = _make(
            name,
            problem,
            train=select(problem.train, [*range(problem.num_train)] * 2),
            damping=damping,
            **options,
        ).scores(problem.queries)
        worst["twice"] = max(worst["twice"], _error(doubled, np.tile(whole, 2)))
    yield Check("other batches, largest of six methods", worst["batches"], 1e-10)
    yield Check("another order of the training examples", worst["order"], 1e-10)
    yield Check("every training example twice", worst["twice"], 1e-10)


def _retraining() -> Iterator[Check]:
    """Train on the ring without each of 60 examples, and compare with predicted loss changes."""
    reader = Synthetic(kind="ring", train_size=60, test_size=20)
    train, queries = reader.read("train"), reader.read("test")
    objective = BinaryCrossEntropy()
    trainer = Trainer(optimizer=Lbfgs(), epochs=2000, weight_decay=0.04, gradient_tolerance=1e-9)

    def make_module(seed: int) -> torch.nn.Module:
        return Mlp(
            in_features=2,
            out_features=1,
            hidden_sizes=[8],
            activation="tanh",
            dtype="float64",
            seed=seed,
        ).module

    everything = list(range(len(train)))
    members = [
        Member([other for other in everything if other != left_out], seed=42)
        for left_out in everything
    ]
    module = make_module(42)
    trainer.fit(module, train, objective, seed=42)
    whole = Member(everything, seed=42)
    values = np.concatenate(
        [
            trained.values(queries, objective)
            for trained in train_members(
                trainer, make_module, train, objective, [whole, *members], device="cpu"
            )
        ]
    )  # [61, Q]
    true = (values[1:] - values[0]).T  # [Q, N]
    exact = InfluenceInterpreter.by_name("exact")
    interpreter = exact(module, train, objective=objective, weight_decay=0.04, damping=0.0)
    line = line_through(interpreter.loss_changes(queries)[:1], true[:1])
    yield Check("the ring, query 0: correlation with retraining", line.pearson, 0.99, True)
    yield Check("its intercept", abs(line.intercept), 5e-4)
