"""What cannot be trained as one batched program is trained one after another, and says so."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import nn

from hessinf.data import Dataset, Instance
from hessinf.models import CallableObjective, CrossEntropy
from hessinf.training import (
    Lbfgs,
    Member,
    Optimizer,
    Sgd,
    Trainer,
    stackable,
)
from tests.training.ensembles import (
    DATA,
    MEMBERS,
    MLP,
    SGD,
    Problem,
    assert_as_alone,
    flat,
    members_of,
    perceptron,
    seeded,
)


def around(layer: Callable[[], nn.Module]) -> Problem:
    """A network with another layer in its middle."""

    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 4), layer(), nn.Linear(4, 2))

    return Problem(DATA, CrossEntropy(), seeded(build))


class Branching(nn.Module):
    """Control flow that depends on the data."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.sin() if inputs.sum() > 0 else inputs.cos()


class Counting(nn.Module):
    """A buffer that changes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls = self.calls + 1
        return inputs / self.calls.clamp(max=5)


class Jumping(nn.Module):
    """What no rule sees: a number that is no parameter, and is not the same in all models."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = float(torch.randn(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.factor


class TestOneAfterAnother:
    @pytest.mark.parametrize(
        ("problem", "optimizer", "reason"),
        [
            (around(lambda: nn.Dropout(0.5)), SGD, 'the layer "1" draws random numbers (Dropout)'),
            (
                around(lambda: nn.BatchNorm1d(4)),
                SGD,
                'the layer "1" normalizes by the batch (BatchNorm1d)',
            ),
            (around(Branching), SGD, "batched, the model fails: vmap: It looks like"),
            (around(Counting), SGD, "the model's forward pass changes its buffers"),
            (
                MLP,
                Lbfgs(),
                "the optimizer takes all examples at once and searches its own step lengths",
            ),
            (
                MLP,
                Optimizer.from_config("adafactor"),
                "steps of Adafactor are not known to be taken entry by entry",
            ),
            (
                Problem(DATA, CrossEntropy(), seeded(lambda: nn.Linear(4, 2, bias=False))),
                Optimizer.from_config("muon"),
                "steps of Muon are not known to be taken entry by entry",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_cannot_be_batched(self, problem, optimizer, reason, caplog):
        trainer = Trainer(optimizer, epochs=2, batch_size=8)
        with caplog.at_level(logging.WARNING, "hessinf.training"):
            trained = assert_as_alone(problem, trainer, MEMBERS)
        assert problem.obstacle(trainer) == trained.reason
        assert not trained.batched
        assert trained.reason.startswith(reason)
        assert [record.getMessage() for record in caplog.records] == [
            f"models are trained one after another: {trained.reason}"
        ]

    @pytest.mark.parametrize(
        "problem",
        [
            around(Jumping),
            # No loss of an example: it looks at the others.
            Problem(
                DATA, CallableObjective(lambda f, y: (f - f.mean(0)).square().sum(1)), perceptron
            ),
        ],
        ids=["a number of its own", "a loss of a batch"],
    )
    def test_what_gives_something_else_when_batched(self, problem):
        trainer = Trainer(SGD, epochs=2, batch_size=8)
        (trained,) = problem.train(trainer, MEMBERS)
        assert re.fullmatch(
            r"batched, the loss of one model differs by \d\.\de[-+]\d\d from what it is alone",
            trained.reason,
        )
        for place, member in enumerate(MEMBERS):
            assert torch.equal(flat(trained.module(place)), flat(problem.alone(trainer, member)[0]))

    def test_models_that_are_not_of_one_kind(self):
        def make(seed: int) -> nn.Module:
            return seeded(lambda: nn.Linear(4, 2, bias=seed % 2 == 0))(seed)

        trained = assert_as_alone(Problem(DATA, CrossEntropy(), make), Trainer(epochs=1), MEMBERS)
        assert trained.reason == "models have other parameters or buffers than the first of them"

    def test_examples_of_different_lengths(self):
        words = nn.Embedding(5, 2).weight.detach()

        class Mean(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(2, 2)

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                return self.layer(words[inputs].mean(1))

        instances = [
            Instance(torch.arange(place % 4 + 1), torch.tensor(place % 2), str(place), {})
            for place in range(12)
        ]
        problem = Problem(Dataset(instances), CrossEntropy(), lambda _: Mean())
        members = [Member(range(8), 0), Member(range(4, 12), 1)]
        (trained,) = problem.train(Trainer(epochs=1, batch_size=4), members)
        assert (
            trained.reason
            == problem.obstacle(Trainer(epochs=1, batch_size=4))
            == ("the examples differ in shape, or are too many to be kept in memory at once")
        )
        assert [record.num_examples for record in trained.records] == [8, 8]

    def test_large_models(self, monkeypatch):
        monkeypatch.setattr(stackable, "MOST_PARAMETER_BYTES", 100)
        trained = assert_as_alone(MLP, Trainer(epochs=1), MEMBERS)
        assert trained.reason == (
            "on a CPU, models of 0.0 MiB of parameters are faster so (those of at "
            "most 0.0 MiB are trained together)"
        )

    def test_it_is_said_once(self, caplog):
        with caplog.at_level(logging.WARNING, "hessinf.training"):
            chunks = MLP.train(Trainer(Lbfgs(), epochs=1), members_of(*[10] * 25))
        assert [len(chunk.members) for chunk in chunks] == [8, 8, 9]
        assert len(caplog.records) == 1

    def test_an_optimizer_that_looks_at_its_parameters(self):
        class Picky(Sgd):
            def build(self, parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
                first, *_ = parameters = list(parameters)
                if first.shape != (5, 4):
                    raise LookupError(f"expected [5, 4], found {list(first.shape)}")
                return super().build(parameters)

        trained = assert_as_alone(MLP, Trainer(Picky(), epochs=1), MEMBERS)
        assert trained.reason == (
            "the optimizer cannot be looked at without a model: expected [5, 4], found [2, 2]"
        )
