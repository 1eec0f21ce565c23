"""What tests of ensembles share: problems, and the same models trained one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from hessinf.data import Dataset
from hessinf.models import (
    BinaryCrossEntropy,
    Cnn,
    CrossEntropy,
    LinearRegression,
    LogisticRegression,
    MeanSquaredError,
    Mlp,
    Objective,
)
from hessinf.training import (
    Member,
    Sgd,
    TrainedMembers,
    Trainer,
    TrainingRecord,
    batching_obstacle,
    train_members,
)

GENERATOR = torch.Generator().manual_seed(0)
EXAMPLES = 40
INPUTS = torch.randn(EXAMPLES, 4, generator=GENERATOR, dtype=torch.float64)
CLASSES = (INPUTS[:, 0] + 0.5 * INPUTS[:, 1].square() > 0.3).long()
IMAGES = torch.randn(EXAMPLES, 1, 6, 6, generator=GENERATOR, dtype=torch.float64)
VALUES = INPUTS @ torch.tensor([[1.0, -2.0, 0.5, 0.0], [0, 1, 0, 1]], dtype=torch.float64).T

MakeModule = Callable[[int], nn.Module]


@dataclass(frozen=True)
class Problem:
    """Data, a loss and networks."""

    dataset: Dataset
    objective: Objective
    make_module: MakeModule

    def train(
        self, trainer: Trainer, members: Sequence[Member], **settings: object
    ) -> list[TrainedMembers]:
        settings = {"device": "cpu", **settings}
        return list(
            train_members(
                trainer, self.make_module, self.dataset, self.objective, members, **settings
            )
        )

    def alone(
        self, trainer: Trainer, member: Member, **settings: object
    ) -> tuple[nn.Module, TrainingRecord]:
        module = self.make_module(member.seed)
        subset = self.dataset.subset(member.indices)
        return module, trainer.fit(module, subset, self.objective, seed=member.seed, **settings)

    def obstacle(self, trainer: Trainer) -> str:
        return batching_obstacle(
            trainer, self.make_module, self.dataset, self.objective, device="cpu"
        )


def seeded(build: Callable[[], nn.Module]) -> MakeModule:
    """Networks in float64 whose initial weights come from a seed."""

    def make(seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return build().double()

    return make


def with_layer_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 2))


def perceptron(seed: int, dtype: str = "float64") -> nn.Module:
    return Mlp([5], activation="gelu", in_features=4, out_features=2, seed=seed, dtype=dtype).module


DATA = Dataset.from_columns(INPUTS, CLASSES)
PROBLEMS = {
    "perceptron": Problem(DATA, CrossEntropy(), perceptron),
    "layer-norm": Problem(DATA, CrossEntropy(label_smoothing=0.1), seeded(with_layer_norm)),
    "logistic-regression": Problem(
        DATA,
        CrossEntropy(weight=[1.0, 2.0]),
        lambda seed: (
            LogisticRegression(in_features=4, out_features=2, seed=seed, dtype="float64").module
        ),
    ),
    "binary": Problem(
        DATA,
        BinaryCrossEntropy(),
        lambda seed: Mlp([5], in_features=4, out_features=1, seed=seed, dtype="float64").module,
    ),
    "regression": Problem(
        Dataset.from_columns(INPUTS, VALUES),
        MeanSquaredError(),
        lambda seed: (
            LinearRegression(in_features=4, out_features=2, seed=seed, dtype="float64").module
        ),
    ),
    "convolutions": Problem(
        Dataset.from_columns(IMAGES, CLASSES),
        CrossEntropy(),
        lambda seed: (
            Cnn([2, 3], input_shape=(1, 6, 6), out_features=2, seed=seed, dtype="float64").module
        ),
    ),
}


def members_of(*sizes: int) -> list[Member]:
    """Members trained on random examples, as many as is said of each."""
    random = torch.Generator().manual_seed(1)
    return [
        Member(sorted(torch.randperm(EXAMPLES, generator=random)[:size].tolist()), 10 + place)
        for place, size in enumerate(sizes)
    ]


def flat(module: nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in module.parameters()])


MEMBERS = members_of(20, 20, 20)
MLP = PROBLEMS["perceptron"]
SGD = Sgd(lr=0.1, momentum=0.9)


def assert_as_alone(
    problem: Problem, trainer: Trainer, members: list[Member], **settings: object
) -> TrainedMembers:
    """Train members together and alone, and compare; return what was trained together."""
    chunks = problem.train(trainer, members, **settings)
    assert len(chunks) == 1
    trained = chunks[0]
    assert (trained.chunk, trained.first, trained.members) == (0, 0, tuple(members))
    values = trained.values(problem.dataset, problem.objective)
    outputs = trained.outputs(problem.dataset)
    inputs = problem.dataset.stacked.inputs
    for place, member in enumerate(members):
        module, record = problem.alone(trainer, member, **settings)
        torch.testing.assert_close(flat(trained.module(place)), flat(module), rtol=1e-9, atol=1e-10)
        with torch.no_grad():
            expected = module.eval()(inputs)
            losses = problem.objective.losses(expected, problem.dataset.targets)
        torch.testing.assert_close(outputs[place], expected, rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(
            torch.from_numpy(values[place]), losses.double(), rtol=1e-8, atol=1e-9
        )
        left, right = trained.records[place].to_json(), record.to_json()
        for name in ("loss", "objective", "gradient_norm", "relative_gradient_norm"):
            assert left.pop(name) == pytest.approx(right.pop(name), rel=1e-7, abs=1e-10)
        assert left.pop("seconds") > 0
        assert right.pop("seconds") > 0
        assert left == right
    return trained


def assert_batched(trained: TrainedMembers) -> None:
    assert trained.batched
    assert trained.reason == ""
