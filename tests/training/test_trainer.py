"""The trainer: what it minimizes, what it records, what it leaves alone."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from hessinf.data import Dataset
from hessinf.models import (
    BinaryCrossEntropy,
    CrossEntropy,
    LinearRegression,
    LogisticRegression,
    MeanSquaredError,
    Mlp,
)
from hessinf.registry import ConfigError, plan
from hessinf.training import (
    Adam,
    Cosine,
    EarlyStopping,
    Lbfgs,
    Optimizer,
    Sgd,
    Trainer,
    TrainingError,
)

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(60, 4, generator=GENERATOR)
CLASSES = (INPUTS[:, 0] + 0.5 * torch.randn(60, generator=GENERATOR) > 0).long()
DATA = Dataset.from_columns(INPUTS, CLASSES)
EXACT = Trainer(Lbfgs(), epochs=500, weight_decay=0.1, gradient_tolerance=1e-11)


def classifier(seed: int = 0, dtype: str = "float64") -> nn.Module:
    return LogisticRegression(in_features=4, out_features=2, seed=seed, dtype=dtype).module


def network() -> nn.Module:
    return Mlp([8], in_features=4, out_features=2, seed=0).module


def flat(module: nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in module.parameters()])


def gradient_at(module: nn.Module, decay: float, keep: list[int] | None = None) -> float:
    """The norm of the objective's gradient, from plain PyTorch."""
    rows = range(60) if keep is None else keep
    outputs = module(INPUTS[rows].to(next(module.parameters()).dtype))
    loss = nn.functional.cross_entropy(outputs, CLASSES[rows])
    loss = loss + 0.5 * decay * sum(value.square().sum() for value in module.parameters())
    gradients = torch.autograd.grad(loss, list(module.parameters()))
    return float(torch.cat([value.flatten() for value in gradients]).norm())


class TestObjective:
    def test_ridge_regression_has_its_closed_form(self):
        targets = INPUTS @ torch.tensor([1.0, -2.0, 0.5, 0.0]) + 3
        module = LinearRegression(bias=False, in_features=4, out_features=1, dtype="float64").module
        record = EXACT.fit(
            module, Dataset.from_columns(INPUTS, targets), MeanSquaredError(), seed=0
        )
        x = INPUTS.double()
        hessian = 2 * x.T @ x / 60 + 0.1 * torch.eye(4, dtype=torch.float64)
        solution = torch.linalg.solve(hessian, 2 * x.T @ targets.double() / 60)
        torch.testing.assert_close(module[0].weight[0].detach(), solution, rtol=1e-9, atol=1e-9)
        assert record.stopped_because == "gradient-tolerance"

    @pytest.mark.parametrize(
        "optimizer", [Sgd(lr=0.1, momentum=0.9), Adam(lr=0.01), Lbfgs()], ids=["sgd", "adam", "l"]
    )
    def test_every_optimizer_goes_to_the_same_optimum(self, optimizer):
        exact = classifier()
        EXACT.fit(exact, DATA, CrossEntropy(), seed=0)
        module = classifier(seed=1)
        trainer = Trainer(
            optimizer, epochs=2000, batch_size=60, weight_decay=0.1, gradient_tolerance=1e-7
        )
        record = trainer.fit(module, DATA, CrossEntropy(), seed=0)
        assert record.tolerance_reached
        assert record.epochs < 2000
        torch.testing.assert_close(flat(module), flat(exact), atol=1e-5, rtol=0)

    def test_the_ring_of_the_text(self):
        torch.manual_seed(0)
        inputs = torch.randn(60, 2)
        targets = (inputs.square().sum(1) > 1.5).long()
        model = Mlp([8], activation="tanh", in_features=2, out_features=1, seed=42, dtype="float64")
        # The text's penalty is 0.02 ‖θ‖², without ½.
        trainer = Trainer(Lbfgs(), epochs=2000, weight_decay=0.04, gradient_tolerance=1e-9)
        record = trainer.fit(
            model.module, Dataset.from_columns(inputs, targets), BinaryCrossEntropy(), seed=0
        )
        assert int(targets.sum()) == 26
        assert record.num_parameters == 33
        assert record.tolerance_reached
        assert record.stopped_because == "gradient-tolerance"
        assert record.gradient_norm <= 1e-9

    def test_record(self):
        module = classifier()
        before = gradient_at(module, 0.1)
        record = EXACT.fit(module, DATA, CrossEntropy(), seed=7)
        assert record.gradient_norm == pytest.approx(gradient_at(module, 0.1), abs=1e-14)
        assert record.relative_gradient_norm == pytest.approx(record.gradient_norm / before)
        outputs = module(INPUTS.double())
        loss = float(nn.functional.cross_entropy(outputs, CLASSES))
        assert record.loss == pytest.approx(loss, rel=1e-12)
        penalty = 0.05 * float(flat(module).square().sum())
        assert record.objective == pytest.approx(loss + penalty, rel=1e-12)
        assert (record.weight_decay, record.reduction, record.seed) == (0.1, "mean", 7)
        assert (record.num_examples, record.num_parameters) == (60, 10)
        assert record.optimizer == {
            "type": "lbfgs",
            "lr": 1.0,
            "history_size": 100,
            "line_search_fn": "strong_wolfe",
        }
        assert record.seconds > 0

    def test_steps_are_those_of_plain_pytorch(self):
        module, plain = network(), network()
        trainer = Trainer(Sgd(lr=0.1, momentum=0.9), epochs=3, batch_size=60, weight_decay=0.01)
        trainer.fit(module, DATA, CrossEntropy(), seed=0)
        optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(plain(INPUTS), CLASSES).backward()
            optimizer.step()
        torch.testing.assert_close(flat(module), flat(plain))

    def test_frozen_parameters_stay(self):
        module = network()
        module[0].weight.requires_grad_(False)
        before = module[0].weight.clone()
        record = Trainer(epochs=2, weight_decay=0.5).fit(module, DATA, CrossEntropy(), seed=0)
        assert torch.equal(module[0].weight, before)
        assert record.num_parameters == 8 + 18

    def test_no_epochs(self):
        module = network()
        before = flat(module)
        record = Trainer(epochs=0).fit(module, DATA, CrossEntropy(), seed=0)
        assert torch.equal(flat(module), before)
        assert (record.epochs, record.relative_gradient_norm) == (0, 1.0)


class TestWeights:
    @pytest.mark.parametrize("trainer", [EXACT, Trainer(Sgd(lr=0.1), epochs=3, batch_size=8)])
    def test_weights_of_0_and_1_train_the_model_of_the_subset(self, trainer):
        keep = [index for index in range(60) if index % 7]
        mask = torch.zeros(60)
        mask[keep] = 3.0
        masked, subset = classifier(), classifier()
        record = trainer.fit(masked, DATA, CrossEntropy(), seed=0, example_weights=mask)
        trainer.fit(subset, DATA.subset(keep), CrossEntropy(), seed=0)
        assert torch.equal(flat(masked), flat(subset))
        assert record.num_examples == len(keep)

    def test_weighted_mean(self):
        weights = torch.ones(60)
        weights[:10] = 2.0
        weighted, repeated = classifier(), classifier()
        EXACT.fit(weighted, DATA, CrossEntropy(), seed=0, example_weights=weights)
        EXACT.fit(repeated, DATA.subset([*range(60), *range(10)]), CrossEntropy(), seed=0)
        torch.testing.assert_close(flat(weighted), flat(repeated), rtol=1e-8, atol=1e-9)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            (
                torch.ones(3),
                "example_weights has shape [3], expected one weight for each of 60 examples",
            ),
            (
                torch.ones(60).index_fill(0, torch.tensor(4), -1.0),
                "example_weights[4] is -1, expected a finite weight of 0 or more",
            ),
            (
                torch.ones(60).index_fill(0, torch.tensor(5), torch.nan),
                "example_weights[5] is nan, expected a finite weight of 0 or more",
            ),
            (
                torch.zeros(60),
                "example_weights are all 0, so that no example is left to train on",
            ),
        ],
    )
    def test_wrong_weights(self, weights, message):
        with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
            EXACT.fit(classifier(), DATA, CrossEntropy(), seed=0, example_weights=weights)


class TestRandomness:
    def test_the_same_seed_gives_the_same_model(self):
        def trained(seed: int) -> torch.Tensor:
            module = nn.Sequential(network(), nn.Dropout(0.5))
            torch.rand(seed + 1)  # the caller's own stream does not matter
            Trainer(epochs=2).fit(module, DATA, CrossEntropy(), seed=seed)
            return flat(module)

        assert torch.equal(trained(0), trained(0))
        assert not torch.equal(trained(0), trained(1))

    def test_nothing_of_the_callers_changes(self):
        module = nn.Sequential(nn.BatchNorm1d(4), network())
        module.train()
        module[1].eval()
        kept = torch.zeros_like(module[1][0].weight)
        module[1][0].weight.grad = kept
        modes = [layer.training for layer in module.modules()]
        state = torch.random.get_rng_state()
        Trainer(epochs=1).fit(module, DATA, CrossEntropy(), seed=0)
        assert [layer.training for layer in module.modules()] == modes
        assert module[1][0].weight.grad is kept
        assert module[1][0].bias.grad is None
        assert torch.equal(torch.random.get_rng_state(), state)
        assert module[0].num_batches_tracked == 2

    def test_batch_normalization_never_sees_one_example(self):
        module = nn.Sequential(nn.BatchNorm1d(4), network())
        Trainer(epochs=1, batch_size=59).fit(module, DATA, CrossEntropy(), seed=0)
        assert module[0].num_batches_tracked == 1


class TestMiniBatches:
    def test_scheduler_multiplies_the_learning_rate(self):
        module, plain = network(), network()
        trainer = Trainer(Sgd(lr=0.1), Cosine(), epochs=4, batch_size=60)
        trainer.fit(module, DATA, CrossEntropy(), seed=0)
        for epoch in range(4):
            loss = nn.functional.cross_entropy(plain(INPUTS), CLASSES)
            gradients = torch.autograd.grad(loss, list(plain.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(plain.parameters(), gradients, strict=True):
                    parameter -= 0.1 * Cosine().factor(epoch, 4) * gradient
        torch.testing.assert_close(flat(module), flat(plain))

    def test_gradient_clipping(self):
        module = network()
        before = flat(module)
        trainer = Trainer(Sgd(lr=1.0), epochs=1, batch_size=60, gradient_clipping=1e-3)
        trainer.fit(module, DATA, CrossEntropy(), seed=0)
        assert float((flat(module) - before).norm()) == pytest.approx(1e-3, rel=1e-3)

    def test_early_stopping_restores_the_best_epoch(self):
        # The validation targets are the opposite, so that every epoch makes them worse.
        opposite = Dataset.from_columns(INPUTS, 1 - CLASSES)
        stopping = EarlyStopping(patience=3)
        module, once = classifier(), classifier()
        record = Trainer(Sgd(lr=0.1), epochs=50, early_stopping=stopping).fit(
            module, DATA, CrossEntropy(), seed=0, validation=opposite
        )
        Trainer(Sgd(lr=0.1), epochs=1).fit(once, DATA, CrossEntropy(), seed=0)
        assert (record.epochs, record.stopped_because) == (4, "early-stopping")
        assert torch.equal(flat(module), flat(once))

    def test_early_stopping_watches_the_training_loss_without_validation(self):
        stopping = EarlyStopping(patience=2, minimum_improvement=10.0)
        record = Trainer(epochs=50, early_stopping=stopping).fit(
            network(), DATA, CrossEntropy(), seed=0
        )
        assert (record.epochs, record.stopped_because) == (3, "early-stopping")

    @pytest.mark.parametrize("name", sorted({*Optimizer.list_available()} - {"sparse-adam"}))
    def test_every_optimizer_of_dense_gradients_lowers_the_loss(self, name):
        more = {"name": "SGD", "arguments": {"lr": 0.1}} if name == "torch-optim" else {}
        module = LogisticRegression(bias=False, in_features=4, out_features=2, seed=0).module
        first = Trainer(epochs=0).fit(module, DATA, CrossEntropy(), seed=0)
        trainer = Trainer(Optimizer.from_config({"type": name, **more}), epochs=5)
        last = trainer.fit(module, DATA, CrossEntropy(), seed=0)
        assert last.loss < first.loss

    def test_sparse_gradients(self):
        class Words(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embedding = nn.Embedding(2, 2, sparse=True)

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                return self.embedding(inputs)

        words = Dataset.from_columns(CLASSES, CLASSES)
        optimizer = Optimizer.from_config({"type": "sparse-adam", "lr": 0.1})
        torch.manual_seed(0)
        record = Trainer(optimizer, epochs=40).fit(Words(), words, CrossEntropy(), seed=0)
        assert record.loss < 0.1
        message = "a step of the optimizer failed: SparseAdam does not support dense gradients"
        with pytest.raises(TrainingError, match=f"^{message}"):
            Trainer(optimizer, epochs=1).fit(network(), DATA, CrossEntropy(), seed=0)


class TestErrors:
    def test_divergence_names_the_place_and_what_to_try(self):
        with pytest.raises(TrainingError) as caught:
            Trainer(Sgd(lr=1e30), epochs=3, batch_size=20).fit(
                network(), DATA, MeanSquaredErrorOfClasses(), seed=0
            )
        assert re.fullmatch(
            r"training diverged: the loss is (nan|inf) in epoch 1, batch [23] of 3: the steps are "
            r"probably too large, try a smaller lr, a scheduler with warmup_epochs, or "
            r"gradient_clipping",
            str(caught.value),
        )

    def test_data_that_are_not_finite(self):
        data = Dataset.from_columns(torch.full((8, 4), torch.inf), CLASSES[:8])
        message = (
            "training diverged: the loss is nan in epoch 1, batch 1 of 1, with the initial "
            "weights: inputs or targets are very large or not finite, try a reader that "
            "standardizes them"
        )
        with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
            Trainer(epochs=1).fit(network(), data, CrossEntropy(), seed=0)

    def test_nothing_to_train(self):
        module = network().requires_grad_(False)
        message = (
            "the model has no parameter that requires gradients, so that nothing can be trained; "
            "unfreeze some"
        )
        with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
            Trainer().fit(module, DATA, CrossEntropy(), seed=0)

    def test_no_examples(self):
        with pytest.raises(TrainingError, match=r"^there are no examples to train on$"):
            Trainer().fit(network(), DATA[:0], CrossEntropy(), seed=0)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("scheduler", "cosine"),
            ("early_stopping", {"patience": 3}),
            ("gradient_clipping", 1.0),
        ],
    )
    def test_what_has_no_meaning_for_lbfgs(self, name, value):
        message = (
            f"{name} has no meaning for an optimizer that takes all examples at once and searches "
            "its own step lengths; leave it out"
        )
        with pytest.raises(ConfigError, match=re.escape(message)):
            plan(Trainer, {"optimizer": "lbfgs", name: value}).build({})


class MeanSquaredErrorOfClasses(MeanSquaredError):
    """A loss that large outputs make infinite."""

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return super().losses(outputs, nn.functional.one_hot(targets, 2))


def test_from_config():
    config = {
        "optimizer": {"type": "sgd", "lr": 0.01, "momentum": 0.9},
        "scheduler": "cosine",
        "epochs": 100,
        "batch_size": 32,
        "weight_decay": 1e-3,
    }
    planned = plan(Trainer, config)
    trainer = planned.build({})
    assert trainer == Trainer(scheduler=Cosine(), weight_decay=1e-3)
    assert planned.resolved()["optimizer"] == {
        "type": "sgd",
        "lr": 0.01,
        "momentum": 0.9,
        "dampening": 0.0,
        "nesterov": False,
    }
