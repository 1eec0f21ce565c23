"""The problems of the conformance suite are what their docstrings say, and hide nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.data.batching import collate
from hessinf.testing import (
    Problem,
    convolutional_network,
    language_model,
    multilayer_perceptron,
    references,
    transformer,
)
from hessinf.testing.optimum import minimize
from hessinf.testing.problem import outputs_of, select
from hessinf.testing.problems import BY_NAME, PROBLEMS

EVERY = pytest.mark.parametrize("make", PROBLEMS, ids=lambda make: make.__name__)
SEQUENCES = pytest.mark.parametrize("make", [transformer, language_model])


def outputs(problem: Problem, inputs: Any, module: nn.Module | None = None) -> torch.Tensor:
    with torch.no_grad():
        return outputs_of((module or problem.module()).eval(), inputs)


def total(problem: Problem) -> torch.Tensor:
    return problem.losses(outputs(problem, problem.train[0]), problem.train[1])


@EVERY
def test_sizes_are_those_of_the_docstring(make: Callable[[], Problem]) -> None:
    problem = make()
    stated = dict(re.findall(r"\b([NQP]) = (\d+)", make.__doc__ or ""))
    found = {
        "N": problem.num_train,
        "Q": len(problem.queries[1]),
        "P": sum(x.numel() for x in problem.trained.parameters() if x.requires_grad),
    }
    assert {name: found[name] for name in stated} == {k: int(v) for k, v in stated.items()}
    assert {"N", "Q"} <= set(stated)
    assert found["P"] <= 400
    assert found["N"] <= 150


@EVERY
def test_everything_is_float64_and_left_in_training_mode(make: Callable[[], Problem]) -> None:
    problem = make()
    assert {value.dtype for value in problem.trained.parameters()} == {torch.float64}
    assert problem.trained.training
    assert make() is problem
    copy = problem.module()
    assert copy is not problem.trained
    assert next(copy.parameters()) is not next(problem.trained.parameters())


@EVERY
def test_the_callers_random_numbers_do_not_move(make: Callable[[], Problem]) -> None:
    before = torch.get_rng_state()
    make.__wrapped__()  # type: ignore[attr-defined]
    assert torch.equal(before, torch.get_rng_state())


@EVERY
def test_parameters_are_near_an_optimum(make: Callable[[], Problem]) -> None:
    """The mean gradient, weight decay included, is small; of the transformer, the loss is."""
    problem = make()
    if problem.name == "transformer":
        assert float(total(problem).mean()) < 0.1
        return
    kept = [x.detach() for x in problem.trained.parameters() if x.requires_grad]
    penalty = problem.weight_decay * torch.cat([x.flatten() for x in kept]).numpy()  # [P]
    mean = references.gradients(problem, problem.train).mean(axis=0)  # [P]
    assert abs(mean + penalty).max() < 1e-6


@EVERY
def test_no_parameter_is_idle(make: Callable[[], Problem]) -> None:
    """Each gets a gradient from training data and from queries: none could be left out unseen."""
    problem = make()
    for data in (problem.train, problem.queries):
        gradients = abs(references.gradients(problem, data)).max(axis=0)  # [P]
        for name, entries in references.parameter_places(problem).items():
            assert gradients[entries].max() > 1e-6, name


@EVERY
def test_frozen_names_some_parameters(make: Callable[[], Problem]) -> None:
    problem = make()
    left = references.parameter_places(problem, problem.frozen)
    assert 0 < len(left) < len(references.parameter_places(problem))


@EVERY
def test_output_hessians_are_those_of_the_losses(make: Callable[[], Problem]) -> None:
    problem = make()
    inputs, targets = select(problem.train, slice(0, 3))
    found = problem.output_hessians(outputs(problem, inputs), targets)
    for place in range(3):
        output = outputs(problem, inputs)[place]
        expected = torch.autograd.functional.hessian(
            lambda flat, place=place, shape=output.shape: problem.losses(
                flat.reshape(1, *shape), targets[place : place + 1]
            ).sum(),
            output.flatten(),
        )
        torch.testing.assert_close(found[place], expected, rtol=1e-10, atol=1e-12)


@EVERY
def test_the_hessian_is_positive_definite(make: Callable[[], Problem]) -> None:
    """So that damping far below its eigenvalues is no danger."""
    values = torch.linalg.eigvalsh(torch.from_numpy(references.hessian(make())))
    assert float(values[0]) > 1e-4
    assert float(values[-1]) / float(values[0]) < 1e5


class TestSequences:
    @SEQUENCES
    def test_lengths_differ(self, make: Callable[[], Problem]) -> None:
        problem = make()
        assert problem.lengths is not None
        lengths = problem.lengths(problem.train[0])
        assert len(set(lengths)) > 2
        assert [int(x.target.shape[0]) for x in problem.instances(problem.train)] == lengths

    @SEQUENCES
    def test_losses_do_not_depend_on_padding(self, make: Callable[[], Problem]) -> None:
        """Whole columns, examples cut to their length, and batches padded anew: the same."""
        problem = make()
        alone = [
            problem.losses(outputs(problem, inputs), targets)
            for inputs, targets in problem.examples(problem.train)
        ]
        torch.testing.assert_close(torch.cat(alone), total(problem), rtol=1e-10, atol=1e-12)
        short = sorted(problem.instances(problem.train), key=lambda x: len(x.target))[:5]
        batch = collate(short)
        assert batch.targets.shape[1] < problem.train[1].shape[1]
        losses = problem.losses(outputs(problem, batch.inputs), batch.targets)
        places = [int(x.id.split()[-1]) for x in short]
        torch.testing.assert_close(losses, total(problem)[places], rtol=1e-10, atol=1e-12)

    def test_a_mask_left_out_shows(self) -> None:
        problem = transformer()
        inputs = problem.train[0]
        seen = {**inputs, "attention_mask": torch.ones_like(inputs["attention_mask"])}
        changed = problem.losses(outputs(problem, seen), problem.train[1])
        padded = ~inputs["attention_mask"].all(dim=1)
        assert bool(((changed - total(problem)).abs() > 1e-3)[padded].any())

    def test_some_real_positions_are_ignored_too(self) -> None:
        inputs, targets = transformer().train
        assert bool(((targets == -100) & inputs["attention_mask"]).any())

    @SEQUENCES
    def test_weights_are_tied(self, make: Callable[[], Problem]) -> None:
        """Gradients come from both ends: without either, they are others."""
        problem = make()
        whole = references.gradients(problem, problem.train)
        module = problem.module().eval()
        inputs, targets = next(problem.examples(problem.train))
        hidden: list[torch.Tensor] = []
        module.get_submodule("embedding").register_forward_hook(
            lambda _, __, output: hidden.append(output) or output.detach()
        )
        weight = module.get_parameter("embedding.weight")
        loss = problem.losses(outputs_of(module, inputs), targets).sum()
        (from_the_end,) = torch.autograd.grad(loss, [weight])
        entries = references.parameter_places(problem)["embedding.weight"]
        difference = torch.from_numpy(whole[0, entries]) - from_the_end.flatten()
        assert float(from_the_end.norm()) > 1e-4
        assert float(difference.norm()) > 1e-4


class TestConvolutions:
    def changed(self, change: Callable[[Any], None]) -> torch.Tensor:
        problem = convolutional_network()
        module: Any = problem.module()
        change(module)
        return problem.losses(outputs(problem, problem.train[0], module), problem.train[1])

    def test_padding_mode_counts(self) -> None:
        def zeros(module: Any) -> None:
            module[0].padding_mode = "zeros"

        assert float((self.changed(zeros) - total(convolutional_network())).abs().max()) > 1e-2

    def test_groups_count(self) -> None:
        def swapped(module: Any) -> None:
            weight = module[3].weight
            with torch.no_grad():
                weight.copy_(weight.roll(3, dims=0))

        assert float((self.changed(swapped) - total(convolutional_network())).abs().max()) > 1e-2

    def test_evaluation_mode_counts(self) -> None:
        problem = convolutional_network()
        losses = problem.losses(problem.module()(problem.train[0]), problem.train[1])
        assert float((losses - total(problem)).abs().max()) > 1e-2


def test_minimize_leaves_modes_and_gradients_alone() -> None:
    problem = multilayer_perceptron()
    module: Any = problem.module()
    before = [part.training for part in module.modules()]
    minimize(module, problem.losses, problem.train, problem.weight_decay, steps=1)
    assert [part.training for part in module.modules()] == before
    assert all(value.grad is None for value in module.parameters())


def test_problems_are_known_by_their_names() -> None:
    assert list(BY_NAME) == [make.__name__ for make in PROBLEMS]
    assert len({make().name for make in PROBLEMS}) == len(PROBLEMS)
