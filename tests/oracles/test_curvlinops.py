"""An oracle from outside: curvlinops' functorch references and linear operators say the same.

curvlinops 3.0.1 is installed by ``make oracle``; where it is not there, these tests are skipped. It
needs no BackPACK, and so no torchvision, for what is used here.

Its losses are means over all terms of a batch, ours are means over examples of sums over an
example's positions or labels: what it gives is multiplied by the number of terms an example has.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.curvature.kronecker import KroneckerCurvature
from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, GaussNewtonProducts, HessianProducts
from hessinf.interpreters import InfluenceInterpreter
from hessinf.models import Objective

curvlinops = pytest.importorskip(
    "curvlinops", reason="curvlinops is not installed: run `make oracle`"
)
functorch = pytest.importorskip("curvlinops.examples.functorch")

RELATIVE = 1e-8


@dataclass(frozen=True, eq=False)
class Case:
    """A model and its data, for both sides."""

    module: nn.Module
    inputs: torch.Tensor
    targets: torch.Tensor
    objective: str
    loss: nn.Module
    terms: int = 1
    """How many terms the loss of an example has that the other side takes the mean of."""

    flattened: bool = False
    """Whether the other side wants positions as further examples."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.module.parameters())

    @property
    def theirs(self) -> nn.Module:
        return nn.Sequential(self.module, nn.Flatten(0, 1)) if self.flattened else self.module

    def batches(self, *sizes: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Divide the data in batches, the last one of what is left."""
        parts = [*sizes, len(self.inputs) - sum(sizes)]
        pairs = zip(self.inputs.split(parts), self.targets.split(parts), strict=True)
        return [(x, y.flatten() if self.flattened else y) for x, y in pairs]

    def our_batches(self, *sizes: int) -> list[Batch]:
        parts = [*sizes, len(self.inputs) - sum(sizes)]
        rows = torch.arange(len(self.inputs)).split(parts)
        return [Batch(self.inputs[row], self.targets[row], row) for row in rows]

    @functools.cached_property
    def hessian(self) -> torch.Tensor:
        return self.terms * functorch.functorch_hessian(
            self.theirs, self.loss, self.parameters, self.batches()
        )

    @functools.cached_property
    def gauss_newton(self) -> torch.Tensor:
        return self.terms * functorch.functorch_ggn(
            self.theirs, self.loss, self.parameters, self.batches()
        )

    @functools.cached_property
    def gradients(self) -> torch.Tensor:
        """The gradient of each example, ``[N, P]``."""
        rows = []
        for place in range(len(self.inputs)):
            one = (slice(place, place + 1),)
            targets = self.targets[one].flatten() if self.flattened else self.targets[one]
            gradient, _ = functorch.functorch_gradient_and_loss(
                self.theirs, self.loss, self.parameters, [(self.inputs[one], targets)]
            )
            rows.append(torch.cat([part.flatten() for part in gradient]))
        return self.terms * torch.stack(rows)

    def operator(self, cls: Any, **arguments: Any) -> Any:
        """One of their linear operators, over batches of which the last has another size."""
        return cls(self.theirs, self.loss, self.parameters, self.batches(3), **arguments)

    def identity(self) -> torch.Tensor:
        size = sum(value.numel() for value in self.parameters)
        return torch.eye(size, dtype=torch.float64)  # [P, P]

    def interpreter(self, name: str, **arguments: Any) -> InfluenceInterpreter:
        made: InfluenceInterpreter = InfluenceInterpreter.by_name(name)(
            self.module,
            (self.inputs, self.targets),
            objective=self.objective,
            batch_size=4,
            **arguments,
        )
        return made

    def curvature(self, name: str, **arguments: Any) -> KroneckerCurvature:
        """What one of our Kronecker-factored methods has learnt."""
        interpreter = self.interpreter(name, **arguments).fit()
        return KroneckerCurvature.from_state(interpreter.curvature_)


def perceptron(outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3, bias=False), nn.Sigmoid(), nn.Linear(3, outputs)
    )


def squared_errors() -> Case:
    return Case(
        perceptron(2), torch.randn(11, 4), torch.randn(11, 2), "mean-squared-error", nn.MSELoss()
    )


def classes() -> Case:
    labels = torch.randint(3, (11,))
    return Case(perceptron(3), torch.randn(11, 4), labels, "cross-entropy", nn.CrossEntropyLoss())


def labels() -> Case:
    return Case(
        perceptron(3),
        torch.randn(11, 4),
        torch.randint(2, (11, 3)).to(torch.float64),
        "binary-cross-entropy",
        nn.BCEWithLogitsLoss(),
        terms=3,
    )


def images() -> Case:
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1),
        nn.Tanh(),
        nn.Conv2d(3, 2, 2, bias=False),
        nn.Sigmoid(),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    labels = torch.randint(3, (24,))  # more than a patch has numbers: no ties of eigenvalues
    return Case(module, torch.randn(24, 2, 6, 6), labels, "cross-entropy", nn.CrossEntropyLoss())


def rectified_images() -> Case:
    """With positions that no gradient reaches: they are not the largest of their window."""
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 3)
    )
    labels = torch.randint(3, (24,))
    return Case(module, torch.randn(24, 2, 6, 6), labels, "cross-entropy", nn.CrossEntropyLoss())


class Pooled(nn.Module):
    """A layer at several positions of each example, and one loss an example."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(4, 3)
        self.last = nn.Linear(3, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.shared(inputs)).mean(dim=1))  # type: ignore[no-any-return]


def pooled_sequences() -> Case:
    return Case(
        Pooled(), torch.randn(8, 3, 4), torch.randn(8, 2), "mean-squared-error", nn.MSELoss()
    )


def sequences() -> Case:
    return Case(
        perceptron(3),
        torch.randn(7, 4, 4),
        torch.randint(3, (7, 4)),
        "cross-entropy",
        nn.CrossEntropyLoss(),
        terms=4,
        flattened=True,
    )


@functools.cache
def made(make: Callable[[], Case]) -> Case:
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            return make()
    finally:
        torch.set_default_dtype(default)


ALL = [squared_errors, classes, labels, images, rectified_images, pooled_sequences, sequences]
ONE_LOSS = [squared_errors, classes, labels, images, rectified_images, pooled_sequences]
"""Examples with one loss: what "reduce" and EK-FAC are defined for on their side."""


@pytest.fixture(params=ALL, ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest) -> Case:
    return made(request.param)


def near(found: Any, expected: Any, relative: float = RELATIVE) -> None:
    found, expected = (np.asarray(torch.as_tensor(each).detach()) for each in (found, expected))
    assert found.shape == expected.shape
    size = np.linalg.norm(expected)
    assert size > 1e-3
    assert np.linalg.norm(found - expected) <= relative * size


PRODUCTS = {
    "hessian": (HessianProducts, "HessianLinearOperator"),
    "gauss_newton": (GaussNewtonProducts, "GGNLinearOperator"),
}


@pytest.mark.parametrize("matrix", PRODUCTS)
class TestProducts:
    def test_equal_their_dense_matrix(self, case: Case, matrix: str) -> None:
        """Batches of 5 and 3, and a short last one."""
        kind, _ = PRODUCTS[matrix]
        products = kind(
            FunctionalModel(case.module.eval()),
            Objective.from_config(case.objective),
            case.our_batches(5, 1),
        )
        near(products.products(case.identity()), getattr(case, matrix))

    def test_equal_their_operator(self, case: Case, matrix: str) -> None:
        kind, name = PRODUCTS[matrix]
        products = kind(
            FunctionalModel(case.module.eval()),
            Objective.from_config(case.objective),
            case.our_batches(2),
        )
        operator = case.operator(getattr(curvlinops, name))
        near(products.products(case.identity()), case.terms * (operator @ case.identity()))


@pytest.mark.parametrize("damping", [1e-3, 0.1])
@pytest.mark.parametrize(
    ("name", "matrix"),
    [
        ("exact", "hessian"),
        ("ggn", "gauss_newton"),
        ("conjugate-gradient", "gauss_newton"),
        ("arnoldi", "gauss_newton"),
    ],
)
def test_scores_equal_those_of_their_matrix(
    case: Case, name: str, matrix: str, damping: float
) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "conjugate-gradient": {"tolerance": 1e-12},
        "arnoldi": {"rank": 1000},
    }
    if name == "exact":
        damping += 1.0  # beyond the negative eigenvalues of a model that was never trained
    interpreter = case.interpreter(name, damping=damping, **arguments.get(name, {}))
    found = interpreter.scores((case.inputs[:3], case.targets[:3]))
    curvature = getattr(case, matrix)
    damped = curvature + damping * case.identity()
    expected = case.gradients[:3] @ torch.linalg.solve(damped, case.gradients.T)
    near(found, expected)


def test_self_influence_equals_that_of_their_matrix(case: Case) -> None:
    found = case.interpreter("ggn", damping=0.01).self_influence()
    damped = case.gauss_newton + 0.01 * case.identity()
    solved = torch.linalg.solve(damped, case.gradients.T)  # [P, N]
    near(found, (case.gradients.T * solved).sum(dim=0))


def test_gradients_equal_theirs(case: Case) -> None:
    found = case.interpreter("gradient-dot").scores((case.inputs[:3], case.targets[:3]))
    near(found, case.gradients[:3] @ case.gradients.T)


def kronecker_operator(case: Case, kind: str, fisher: str, sharing: str = "expand") -> Any:
    return case.operator(
        {"kfac": curvlinops.KFACLinearOperator, "ekfac": curvlinops.EKFACLinearOperator}[kind],
        fisher_type=fisher,
        kfac_approx=sharing,
        separate_weight_and_bias=False,
        check_deterministic=False,
    )


def kronecker_factor(case: Case, fisher: str) -> float:
    """What their matrix is multiplied by.

    Their empirical Fisher is that of summed squares over the number of their terms, ours that of
    the loss that was trained with, so that the mean over T values comes in twice.
    """
    if fisher == "empirical" and isinstance(case.loss, nn.MSELoss):
        return 1 / case.targets.shape[-1]
    return case.terms


@pytest.mark.parametrize("fisher", ["type-2", "empirical"])
class TestKronecker:
    def check(self, case: Case, kind: str, fisher: str, sharing: str) -> None:
        operator = kronecker_operator(case, kind, fisher, sharing)
        expected = kronecker_factor(case, fisher) * (operator @ case.identity())
        near(case.curvature(kind, fisher=fisher, weight_sharing=sharing).dense(), expected)

    def test_kfac_expand(self, case: Case, fisher: str) -> None:
        self.check(case, "kfac", fisher, "expand")

    @pytest.mark.parametrize("make", ONE_LOSS, ids=lambda make: make.__name__)
    def test_kfac_reduce(self, make: Callable[[], Case], fisher: str) -> None:
        self.check(made(make), "kfac", fisher, "reduce")

    @pytest.mark.parametrize("make", ONE_LOSS, ids=lambda make: make.__name__)
    @pytest.mark.parametrize("sharing", ["expand", "reduce"])
    def test_ekfac(self, make: Callable[[], Case], fisher: str, sharing: str) -> None:
        self.check(made(make), "ekfac", fisher, sharing)


@pytest.mark.parametrize("damping", [1e-4, 0.1])
@pytest.mark.parametrize(("kind", "heuristic"), [("kfac", False), ("kfac", True), ("ekfac", False)])
@pytest.mark.parametrize("make", ONE_LOSS, ids=lambda make: make.__name__)
def test_damped_inverses(
    make: Callable[[], Case], kind: str, heuristic: bool, damping: float
) -> None:
    """With weight decay, which counts as damping."""
    case = made(make)
    inverse = curvlinops.KFACInverseLinearOperator(
        kronecker_operator(case, kind, "type-2"),
        damping=(damping + 0.02) / case.terms,
        use_heuristic_damping=heuristic,
        use_exact_damping=not heuristic,
        min_damping=0.0,
    )
    curvature = case.curvature(kind, fisher="type-2", weight_decay=0.02)
    found = curvature.solve(case.identity(), damping, heuristic)
    near(found, (inverse @ case.identity()) / case.terms)
