"""Many models at once: each is the model that it becomes alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hessinf.data import Dataset
from hessinf.models import CrossEntropy
from hessinf.training import (
    Adam,
    Cosine,
    EarlyStopping,
    Exponential,
    Linear,
    Member,
    Optimizer,
    Sgd,
    Step,
    TorchOptim,
    Trainer,
)
from tests.training.ensembles import (
    CLASSES,
    DATA,
    INPUTS,
    MEMBERS,
    MLP,
    PROBLEMS,
    SGD,
    Problem,
    assert_as_alone,
    assert_batched,
    flat,
    members_of,
    perceptron,
    seeded,
)

ELEMENTWISE = [
    "adam",
    "adamw",
    "nadam",
    "radam",
    "adamax",
    "adagrad",
    "adadelta",
    "rmsprop",
    "rprop",
    "asgd",
    "sgd",
]


class TestTheSameAsAlone:
    @pytest.mark.parametrize("name", PROBLEMS)
    def test_networks_and_losses(self, name):
        trainer = Trainer(SGD, Cosine(), epochs=3, batch_size=6, weight_decay=0.01)
        assert_batched(assert_as_alone(PROBLEMS[name], trainer, MEMBERS))

    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_optimizers(self, name):
        trainer = Trainer(Optimizer.from_config(name), epochs=3, batch_size=8, weight_decay=0.1)
        assert_batched(assert_as_alone(MLP, trainer, MEMBERS))

    @pytest.mark.parametrize(
        "optimizer",
        [
            Sgd(lr=0.1, momentum=0.5, dampening=0.1),
            Sgd(lr=0.1, momentum=0.5, nesterov=True),
            Adam(amsgrad=True),
            Optimizer.from_config({"type": "rmsprop", "momentum": 0.5, "centered": True}),
            Optimizer.from_config({"type": "adagrad", "initial_accumulator_value": 0.1}),
            TorchOptim("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
            TorchOptim("Adam", {"foreach": True, "maximize": True}),
        ],
        ids=str,
    )
    def test_arguments_of_optimizers(self, optimizer):
        assert_batched(assert_as_alone(MLP, Trainer(optimizer, epochs=2, batch_size=8), MEMBERS))

    @pytest.mark.parametrize(
        "scheduler",
        [Cosine(warmup_epochs=1.5), Linear(), Exponential(0.5), Step([1], 0.1)],
        ids=lambda scheduler: type(scheduler).__name__,
    )
    @pytest.mark.parametrize("clipping", [None, 0.05])
    def test_schedulers_and_clipping(self, scheduler, clipping):
        trainer = Trainer(SGD, scheduler, epochs=4, batch_size=7, gradient_clipping=clipping)
        assert_batched(assert_as_alone(MLP, trainer, MEMBERS))

    def test_clipping_is_each_models_own(self):
        # One norm over all models, or none, would give other steps.
        trainer = Trainer(Sgd(lr=1.0), epochs=1, batch_size=20, gradient_clipping=0.1)
        trained = assert_as_alone(MLP, trainer, MEMBERS)
        for place, member in enumerate(MEMBERS):
            step = flat(trained.module(place)) - flat(perceptron(member.seed))
            assert float(step.norm()) == pytest.approx(0.1, rel=1e-4)

    @pytest.mark.parametrize(
        "sizes",
        [
            (20, 19, 18, 17),  # as many steps, and other last batches
            (20, 20, 8, 9, 20, 9),  # other numbers of steps
            (3, 2, 1),  # fewer than a batch
            (40,),  # one model is no stack
            (16, 24, 16),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("scheduler", [None, Cosine()], ids=["constant", "cosine"])
    def test_sizes(self, sizes, scheduler):
        trainer = Trainer(SGD, scheduler, epochs=3, batch_size=8, weight_decay=0.01)
        assert_batched(assert_as_alone(MLP, trainer, members_of(*sizes)))

    def test_float32(self):
        problem = Problem(DATA, CrossEntropy(), lambda seed: perceptron(seed, "float32"))
        trainer = Trainer(SGD, Cosine(), epochs=10, batch_size=8)
        (trained,) = problem.train(trainer, MEMBERS)
        assert_batched(trained)
        for place, member in enumerate(MEMBERS):
            module, record = problem.alone(trainer, member)
            torch.testing.assert_close(
                flat(trained.module(place)), flat(module), rtol=1e-3, atol=1e-4
            )
            assert trained.records[place].loss == pytest.approx(record.loss, rel=1e-4)

    def test_no_epochs(self):
        assert_batched(assert_as_alone(MLP, Trainer(epochs=0), MEMBERS))

    def test_the_same_example_twice(self):
        assert_as_alone(MLP, Trainer(epochs=2), [Member([0, 0, 1, 5], 0), Member([2, 3, 3, 3], 1)])

    def test_dict_inputs(self):
        class Named(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(4, 2)

            def forward(self, *, features: torch.Tensor, scale: torch.Tensor) -> dict[str, object]:
                return {"logits": self.layer(features) * scale}

        dataset = Dataset.from_columns({"features": INPUTS, "scale": INPUTS[:, :1].exp()}, CLASSES)
        problem = Problem(dataset, CrossEntropy(), seeded(Named))
        (trained,) = problem.train(Trainer(epochs=2), MEMBERS)
        assert_batched(trained)
        for place, member in enumerate(MEMBERS):
            module, _ = problem.alone(Trainer(epochs=2), member)
            torch.testing.assert_close(flat(trained.module(place)), flat(module))

    def test_shared_and_frozen_parameters_and_buffers(self):
        class Odd(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = nn.Linear(4, 4)
                self.again = self.inner
                self.frozen = nn.Linear(4, 4).requires_grad_(False)
                self.last = nn.Linear(4, 2)
                self.register_buffer("shift", torch.randn(4))
                self.register_buffer("same", torch.ones(4))
                self.register_buffer("mine", torch.randn(1), persistent=False)

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                hidden = torch.tanh(self.inner(inputs) + self.shift) * self.mine
                return self.last(self.again(self.frozen(hidden) * self.same).tanh())

        problem = Problem(DATA, CrossEntropy(), seeded(Odd))
        trained = assert_as_alone(problem, Trainer(SGD, epochs=2, weight_decay=0.1), MEMBERS)
        assert_batched(trained)
        module = trained.module(1)
        assert module.again is module.inner
        assert not module.frozen.weight.requires_grad
        torch.testing.assert_close(module.shift, problem.make_module(11).shift, rtol=0, atol=0)


class TestEndings:
    def test_gradient_tolerance_of_each(self):
        problem = PROBLEMS["logistic-regression"]
        trainer = Trainer(
            Sgd(lr=0.5, momentum=0.5),
            epochs=200,
            batch_size=40,
            weight_decay=0.1,
            gradient_tolerance=1e-4,
        )
        trained = assert_as_alone(problem, trainer, members_of(10, 15, 20, 25))
        assert_batched(trained)
        epochs = [record.epochs for record in trained.records]
        assert len(set(epochs)) > 1
        assert max(epochs) < 200
        assert {record.stopped_because for record in trained.records} == {"gradient-tolerance"}

    @pytest.mark.parametrize("restore", [True, False])
    @pytest.mark.parametrize("validated", [True, False])
    @pytest.mark.parametrize("optimizer", [Sgd(lr=0.5, momentum=0.9), Adam(lr=0.1)], ids=["s", "a"])
    def test_early_stopping_of_each(self, restore, validated, optimizer):
        stopping = EarlyStopping(patience=2, minimum_improvement=0.01, restore_best=restore)
        trainer = Trainer(optimizer, epochs=30, batch_size=8, early_stopping=stopping)
        validation = Dataset.from_columns(INPUTS[:10], CLASSES[:10]) if validated else None
        trained = assert_as_alone(
            MLP, trainer, members_of(20, 20, 20, 20, 20), validation=validation
        )
        assert_batched(trained)
        assert len({record.epochs for record in trained.records}) > 1

    def test_some_end_and_some_do_not(self):
        stopping = EarlyStopping(patience=1)
        trainer = Trainer(SGD, epochs=12, batch_size=8, early_stopping=stopping)
        trained = assert_as_alone(MLP, trainer, members_of(20, 20, 20, 20, 20, 20))
        assert {record.stopped_because for record in trained.records} == {
            "epochs",
            "early-stopping",
        }
