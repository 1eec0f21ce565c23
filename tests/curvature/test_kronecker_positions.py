"""What counts in the mean over a layer's inputs, beside the factors of the textbook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.curvature.kronecker import KroneckerCurvature
from hessinf.curvature.kronecker_blocks import KroneckerBlock
from hessinf.curvature.kronecker_fit import fit_kronecker
from hessinf.data import Instance, as_dataset
from hessinf.data.batching import batches
from hessinf.gradients import FunctionalModel
from hessinf.models import as_objective
from hessinf.testing import language_model
from hessinf.testing.losses import IGNORED
from hessinf.testing.optimum import draw_parameters, normal


def fit(
    module: nn.Module, data: Any, objective: str, batch_size: int = 100, **arguments: Any
) -> KroneckerCurvature:
    model = FunctionalModel(module)
    with model.evaluating():
        return fit_kronecker(
            model,
            as_objective(objective),
            batches(as_dataset(data), batch_size),
            **{"fisher": "type-2", **arguments},
        )


def relative_error(found: Any, expected: Any) -> float:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def drawn(module: nn.Module, seed: int) -> nn.Module:
    draw_parameters(module, torch.Generator().manual_seed(seed))
    return module.double()


def input_factors(curvature: KroneckerCurvature) -> dict[str, np.ndarray]:
    """By matrix, the mean over inputs; of an embedding, its diagonal."""
    found = {}
    for block in curvature.blocks:
        if isinstance(block, KroneckerBlock):
            values, basis = block.column_eigenvalues.numpy(), block.column_basis
            if block.row_basis is None:
                found[block.name] = block.row_eigenvalues.numpy()
            else:
                assert basis is not None
                found[block.name] = basis.numpy() * values @ basis.numpy().T
    return found


Positions = tuple[np.ndarray, np.ndarray]
"""The inputs ``[S, I]`` of a layer on one example, with a 1 for the bias, and gradients [S, O]."""


def positions_of(layer: nn.Module, inputs: torch.Tensor, slope: torch.Tensor) -> list[Positions]:
    """Lay out what one call had, group by group."""
    groups = 1
    if isinstance(layer, nn.Conv2d):
        groups = layer.groups
        inputs = functional.pad(inputs, [layer.padding[0]] * 4)
        patches = functional.unfold(inputs, layer.kernel_size, stride=layer.stride)
        inputs, slope = patches[0].T, slope[0].flatten(1).T  # [S, I], [S, O]
    inputs = inputs.reshape(-1, groups, inputs.shape[-1] // groups)
    slope = slope.reshape(len(inputs), groups, -1)
    inputs = torch.cat([inputs, torch.ones(len(inputs), groups, 1)], dim=2)
    return [(inputs[:, group].numpy(), slope[:, group].numpy()) for group in range(groups)]


@contextmanager
def calls_of(layer: nn.Module) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Keep the input and the output of each call."""
    calls: list[tuple[torch.Tensor, torch.Tensor]] = []
    handle = layer.register_forward_hook(
        lambda _, inputs, output: calls.append((inputs[0].detach(), output))
    )
    yield calls
    handle.remove()


def textbook(layer: nn.Module, module: nn.Module, data: torch.Tensor) -> list[list[Positions]]:
    """Collect the positions of a layer by plain hooks: by group, and example and output.

    The Hessian of the mean of two squares is the identity: outputs are the Fisher's columns.
    """
    found = []
    for example in data:
        with calls_of(layer) as calls:
            outputs = module(example[None])[0]
        assert outputs.shape == (2,)
        for output in outputs:
            slopes = torch.autograd.grad(output, [y for _, y in calls], retain_graph=True)
            parts = [
                positions_of(layer, inputs, slope)
                for (inputs, _), slope in zip(calls, slopes, strict=True)
            ]
            found.append(
                [
                    tuple(np.concatenate(sides) for sides in zip(*group, strict=True))
                    for group in zip(*parts, strict=True)
                ]
            )
    return list(zip(*found, strict=True))


def dense(
    module: nn.Module, names: Sequence[str], data: torch.Tensor, corrected: bool
) -> tuple[np.ndarray, int]:
    """Return the textbook's K-FAC or EK-FAC, and how many positions have no gradient."""
    places, size = {}, 0
    for name, value in module.named_parameters():
        places[name] = np.arange(size, size + value.numel()).reshape(len(value), -1)
        size += value.numel()
    total, dead = np.zeros((size, size)), 0
    for name in names:
        for group, pairs in enumerate(textbook(module.get_submodule(name), module, data)):
            column = sum(inputs.T @ inputs / len(inputs) for inputs, _ in pairs) / len(pairs)
            row = sum(slope.T @ slope for _, slope in pairs) / len(data)
            block = np.kron(row, column)
            if corrected:
                basis = np.kron(np.linalg.eigh(row)[1], np.linalg.eigh(column)[1])
                gradients = np.stack([(slope.T @ inputs).reshape(-1) for inputs, slope in pairs])
                block = basis * ((gradients @ basis) ** 2).sum(axis=0) / len(data) @ basis.T
            some = slice(group * len(row), (group + 1) * len(row))
            both = [places[f"{name}.weight"][some], places[f"{name}.bias"][some]]
            where = np.concatenate(both, axis=1).reshape(-1)
            total[np.ix_(where, where)] = block
            slopes = np.stack([slope for _, slope in pairs])  # [N·2, S, O]
            reached = (slopes.reshape(len(data), 2, *slopes.shape[1:]) != 0).any(axis=(1, 3))
            dead += int((~reached).sum())
    return total, dead


class Images(nn.Module):
    """Convolutions, one in groups, with units that may be off, and the mean over places."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.groups = nn.Conv2d(4, 4, 2, stride=2, groups=2)
        self.out = nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        places = self.groups(self.first(images).relu()).relu()  # [B, 4, h, w]
        outputs: torch.Tensor = self.out(places.mean(dim=(2, 3)))
        return outputs


class Sequences(nn.Module):
    """Layers of positions with units that may be off; one is used for their mean, too."""

    def __init__(self, pooled: Literal["flat", "kept"]) -> None:
        super().__init__()
        self.pooled = pooled
        self.first = nn.Linear(3, 2)
        self.second = nn.Linear(2, 2)
        self.out = nn.Linear(2, 2)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        hidden = self.second(self.first(sequences).relu())  # [B, S, 2]
        mean = hidden.tanh().mean(dim=1, keepdim=self.pooled == "kept")  # [B, 2] or [B, 1, 2]
        outputs: torch.Tensor = self.out(self.second(mean).tanh())
        return outputs.flatten(1)


class TestUnitsThatAreOff:
    """They count as others do."""

    @pytest.mark.parametrize("corrected", [False, True])
    def test_convolutions(self, corrected: bool) -> None:
        module = drawn(Images(), 1)
        data = normal(torch.Generator().manual_seed(2), 9, 1, 6, 6)
        expected, dead = dense(module, ["first", "groups", "out"], data, corrected)
        assert dead > 20
        found = fit(module, (data, torch.zeros(9, 2)), "mean-squared-error", 4, corrected=corrected)
        assert relative_error(found.dense(), expected) <= 1e-12

    @pytest.mark.parametrize("pooled", ["flat", "kept"])
    @pytest.mark.parametrize("corrected", [False, True])
    def test_layers_of_positions(self, corrected: bool, pooled: Literal["flat", "kept"]) -> None:
        """Of one that is called twice, the positions of both calls count."""
        module = drawn(Sequences(pooled), 5)
        data = normal(torch.Generator().manual_seed(3), 11, 4, 3)
        expected, dead = dense(module, ["first", "second", "out"], data, corrected)
        assert dead > 5
        found = fit(
            module, (data, torch.zeros(11, 2)), "mean-squared-error", 4, corrected=corrected
        )
        assert relative_error(found.dense(), expected) <= 1e-12


class Causal(nn.Module):
    """Each token sees those before it; units may be off."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.hidden = nn.Linear(3, 4)
        self.out = nn.Linear(4, 5)

    def mixed(self, tokens: torch.Tensor) -> torch.Tensor:
        """The input of the hidden layer: means of all tokens so far, ``[B, S, 3]``."""
        sums = self.embedding(tokens).cumsum(dim=1)
        mean: torch.Tensor = sums / torch.arange(1, tokens.shape[1] + 1)[:, None]
        return mean

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.out(self.hidden(self.mixed(tokens)).relu())
        return logits


def instances(examples: Sequence[tuple[list[int], list[int]]]) -> list[Instance]:
    return [
        Instance(torch.tensor(tokens), torch.tensor(targets), f"text {place}", {})
        for place, (tokens, targets) in enumerate(examples)
    ]


def require_the_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, factor in one.items():
        assert relative_error(factor, other[name]) <= 1e-12, name


class TestPrompts:
    """Their predictions are not asked for; what comes after them is made of them."""

    texts = (
        ([1, 4, 2, 3, 1], [IGNORED, IGNORED, IGNORED, 1, 2]),
        ([2, 3, 0], [IGNORED, IGNORED, 4]),
        ([3, 1, 4, 4], [IGNORED, 4, IGNORED, IGNORED]),  # nothing comes after the second
        ([0], [2]),
        ([4], [IGNORED]),
    )
    counted = (5, 3, 2, 1, 0)

    def test_they_count_before_the_last_target(self) -> None:
        module = drawn(Causal(), 4)
        assert isinstance(module, Causal)
        ids, mixed, hidden = [], [], []
        with torch.no_grad():
            for (tokens, _), number in zip(self.texts, self.counted, strict=True):
                ids += tokens[:number]
                some = module.mixed(torch.tensor([tokens]))[0, :number]  # [S, 3]
                mixed.append(some)
                hidden.append(module.hidden(some).relu())
        expected = {"embedding": np.bincount(ids, minlength=5) / len(ids)}
        for name, parts in (("hidden", mixed), ("out", hidden)):
            inputs = functional.pad(torch.cat(parts), (0, 1), value=1.0).numpy()
            assert len(inputs) == 11
            expected[name] = inputs.T @ inputs / 11
        found = input_factors(fit(module, instances(self.texts), "cross-entropy"))
        require_the_same(found, expected)

    @pytest.mark.parametrize("weight_sharing", ["expand", "reduce"])
    def test_batches_make_no_difference(self, weight_sharing: str) -> None:
        """Nor do examples of one token, with a target or without."""
        module = drawn(Causal(), 4)
        expected, *found = (
            fit(
                module,
                instances(self.texts),
                "cross-entropy",
                batch_size,
                weight_sharing=weight_sharing,
                columns_at_once=at_once,
            ).dense()
            for batch_size, at_once in ((5, None), (1, 2), (2, 1), (3, 7))
        )
        for one in found:
            assert relative_error(one, expected) <= 1e-12

    def test_a_single_token_without_a_target_counts_nowhere(self) -> None:
        """Tied weights, and a layer that is used twice."""
        problem = language_model()
        data = problem.instances(problem.train)
        lone = Instance(torch.tensor([3]), torch.tensor([3]), "lone", {})  # nothing follows it
        expected = fit(problem.module(), data, problem.objective).dense() * len(data)
        for batch_size in (1, 100):
            found = fit(problem.module(), [lone, *data], problem.objective, batch_size)
            assert relative_error(found.dense() * (len(data) + 1), expected) <= 1e-12


class Signals(nn.Module):
    """A convolution over tokens, of which 0 is padding; units may be off."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 3, padding_idx=0)
        self.line = nn.Conv1d(3, 2, 3, padding=1)
        self.out = nn.Linear(2, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        line = self.line(self.embedding(tokens).transpose(1, 2)).relu()  # [B, 2, S]
        logits: torch.Tensor = self.out((line * (tokens != 0)[:, None]).sum(dim=2))
        return logits


class TestLines:
    """Convolutions over one dimension."""

    tokens = torch.tensor(
        [[1, 2, 5, 3, 4, 2], [3, 5, 1, 4, 0, 0], [2, 2, 4, 1, 1, 0], [5, 3, 0, 0, 0, 0]]
    )
    lengths = (6, 4, 5, 2)

    def module(self) -> Signals:
        module = drawn(Signals(), 6)
        assert isinstance(module, Signals)
        with torch.no_grad():
            module.embedding.weight[0] = 0.0
        return module

    def test_all_but_padding_counts(self) -> None:
        module = self.module()
        own = [row[:length] for row, length in zip(self.tokens, self.lengths, strict=True)]
        patches, off = [], 0
        for tokens in own:
            inputs = module.embedding.weight[tokens].detach().T  # [3, S]
            line = module.line(inputs[None])[0]  # [2, S]
            off += int((line <= 0).all(dim=0).sum())
            seen = functional.pad(inputs, (1, 1)).unfold(1, 3, 1)  # [3, S, 3]
            patches.append(seen.transpose(0, 1).flatten(1))  # [S, 9]
        assert off >= 3
        columns = functional.pad(torch.cat(patches), (0, 1), value=1.0).numpy()  # [T, 10]
        assert len(columns) == 17
        data = (self.tokens, torch.tensor([0, 1, 2, 0]))
        found = input_factors(fit(module, data, "cross-entropy"))
        assert relative_error(found["line"], columns.T @ columns / 17) <= 1e-12
        ids = np.bincount(torch.cat(own).numpy(), minlength=6)
        assert relative_error(found["embedding"], ids / 17) <= 1e-12

    @pytest.mark.parametrize("weight_sharing", ["expand", "reduce"])
    def test_padding_makes_no_difference(self, weight_sharing: str) -> None:
        module = self.module()
        targets = torch.tensor([0, 1, 2, 0])
        more = functional.pad(self.tokens, (0, 3))
        one, other = (
            fit(module, (tokens, targets), "cross-entropy", weight_sharing=weight_sharing).dense()
            for tokens in (self.tokens, more)
        )
        assert relative_error(other, one) <= 1e-12
