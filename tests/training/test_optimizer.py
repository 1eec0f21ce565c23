"""Optimizers: every registered name, its defaults, and what it refuses."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest
import torch
from torch import nn

from hessinf.registry import ConfigError
from hessinf.training import Lbfgs, Optimizer, SparseAdam, TorchOptim, TrainingError
from hessinf.training.optimizer import TorchOptimizer

NAMES = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "radam": "RAdam",
    "adamax": "Adamax",
    "sparse-adam": "SparseAdam",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "adafactor": "Adafactor",
    "rmsprop": "RMSprop",
    "rprop": "Rprop",
    "asgd": "ASGD",
    "muon": "Muon",
    "lbfgs": "LBFGS",
}
OWN_DEFAULTS = {"lbfgs": {"line_search_fn"}}


def test_all_of_pytorch_is_registered():
    classes = {
        name
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer)
    }
    assert set(NAMES.values()) == classes - {"Optimizer"}
    assert set(Optimizer.list_available()) == {*NAMES, "torch-optim"}
    assert Optimizer.list_available()[0] == "sgd"


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_defaults_are_pytorchs(name):
    kind = Optimizer.by_name(name)
    assert issubclass(kind, TorchOptimizer)
    parameters = inspect.signature(getattr(torch.optim, NAMES[name])).parameters
    for field in dataclasses.fields(kind):
        if field.name not in OWN_DEFAULTS.get(name, ()):
            assert parameters[field.name].default == field.default, field.name
    ours = {field.name for field in dataclasses.fields(kind)}
    assert ("weight_decay" in ours) == (name == "adamw")


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_pytorchs_without_weight_decay(name):
    def trained(optimizer: torch.optim.Optimizer, weight: nn.Parameter) -> torch.Tensor:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = (weight.square() * torch.tensor([[1.0, 3.0], [2.0, 0.5]])).sum()
            loss.backward()
            if name == "sparse-adam":
                weight.grad = weight.grad.to_sparse()
            return loss.detach()

        for _ in range(3):
            optimizer.step(closure)
        return weight.detach()

    first, second = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    kind = getattr(torch.optim, NAMES[name])
    without_decay = {"weight_decay": 0} if name == "muon" else {}
    theirs = trained(kind([first], **without_decay), first)
    if name == "lbfgs":
        ours = Lbfgs(line_search_fn=None).build([second])
        ours.param_groups[0].update(max_iter=20, tolerance_grad=1e-7, tolerance_change=1e-9)
    else:
        ours = Optimizer.from_config(name).build([second])
    assert type(ours) is kind
    assert torch.equal(trained(ours, second), theirs)
    assert not torch.equal(theirs, torch.ones(2, 2))


def test_sparse_gradients():
    embedding = nn.Embedding(5, 2, sparse=True)
    before = embedding.weight.detach().clone()
    optimizer = SparseAdam().build(embedding.parameters())
    embedding(torch.tensor([1, 3])).sum().backward()
    optimizer.step()
    changed = (embedding.weight != before).any(1)
    assert changed.tolist() == [False, True, False, True, False]


def test_torch_optim_takes_any_class():
    parameters = [nn.Parameter(torch.ones(2))]
    config = {"type": "torch-optim", "name": "SGD", "arguments": {"lr": 0.5, "maximize": True}}
    optimizer = Optimizer.from_config(config).build(parameters)
    assert type(optimizer) is torch.optim.SGD
    assert optimizer.defaults["lr"] == 0.5
    assert optimizer.defaults["maximize"] is True


@pytest.mark.parametrize(
    ("name", "hint"), [("Sgd", ""), ("Optimizer", ""), ("LBFGS", '; for LBFGS take "lbfgs"')]
)
def test_torch_optim_refuses_what_is_no_optimizer_of_mini_batches(name, hint):
    message = (
        f'torch.optim has no optimizer "{name}" that takes mini-batches; it has ASGD, Adadelta, '
        "Adafactor, Adagrad, Adam, AdamW, Adamax, Muon, NAdam, RAdam, RMSprop, Rprop, SGD, "
        f"SparseAdam{hint}"
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
        TorchOptim(name).build([nn.Parameter(torch.ones(2))])


def test_torch_optim_names_the_class_that_refuses():
    with pytest.raises(TrainingError, match=r"^torch\.optim\.SGD refused to start: .*'speed'$"):
        TorchOptim("SGD", {"speed": 3}).build([nn.Parameter(torch.ones(2))])


def test_a_refusal_names_the_optimizer():
    with pytest.raises(TrainingError, match=r'^the optimizer "muon" refused to start: Muon only'):
        Optimizer.from_config("muon").build([nn.Parameter(torch.ones(2))])


def test_an_older_pytorch_is_named(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    message = (
        'the optimizer "muon" needs a PyTorch with torch.optim.Muon, which PyTorch '
        f"{torch.__version__} has not; install a newer one"
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
        Optimizer.from_config("muon").build([nn.Parameter(torch.ones(2, 2))])


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_weight_decay_is_the_trainers(name):
    with pytest.raises(ConfigError, match="weight_decay"):
        Optimizer.from_config({"type": name, "weight_decay": 0.1})
