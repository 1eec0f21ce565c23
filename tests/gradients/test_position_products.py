"""Gradients split by position, against automatic differentiation of one position's use alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, GradientError
from hessinf.gradients.position_gradients import PositionGradients

WORDS, WIDTH = 7, 4


def losses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs, targets, reduction="none")


class Everything(nn.Module):
    """Tables, tied weights, convolutions in groups, scales, shifts, and a head after the mean.

    With ``own``, every position has a copy of θ of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH, padding_idx=0)
        self.places = nn.Embedding(12, WIDTH)
        self.shift = nn.Parameter(torch.randn(WIDTH))
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.convolution = nn.Conv1d(WIDTH, 6, 3, padding=1, groups=2)
        self.scale = nn.Parameter(torch.randn(6))
        self.out = nn.Linear(6, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        real = (tokens != 0)[..., None]  # [B, S, 1]
        states = self.words(tokens) + self.places(torch.arange(tokens.shape[1])) - self.shift
        states = self.norm(torch.tanh(self.mix(states)))  # [B, S, E]
        states = torch.tanh(self.mix(states)) * real  # the same layer once more
        states = self.convolution(states.transpose(1, 2)).transpose(1, 2) * self.scale
        scores = functional.linear(states[..., :WIDTH], self.words.weight)  # [B, S, V], tied
        states = states * scores.tanh().mean(dim=-1, keepdim=True)
        mean = (states * real).sum(dim=1) / real.sum(dim=1)  # [B, 6]
        outputs: torch.Tensor = self.out(mean)
        return outputs


def by_copies(module: Everything, tokens: torch.Tensor, target: torch.Tensor) -> dict[str, Any]:
    """Differentiate in a copy of θ for every position: ``[S, *shape]`` by name; no batch."""
    count = len(tokens)
    copies = {
        name: value.detach().expand(count, *value.shape).clone().requires_grad_()
        for name, value in module.named_parameters()
    }
    own = copies.__getitem__

    def mixed(states: torch.Tensor) -> torch.Tensor:
        return torch.einsum("si,soi->so", states, own("mix.weight")) + own("mix.bias")

    place = torch.arange(count)
    states = own("words.weight")[place, tokens] + own("places.weight")[place, place] - own("shift")
    states = functional.layer_norm(torch.tanh(mixed(states)), (WIDTH,))
    states = states * own("norm.weight") + own("norm.bias")
    states = torch.tanh(mixed(states))
    padded = functional.pad(states, (0, 0, 1, 1))  # [S + 2, E]
    windows = torch.stack([padded[k : k + count] for k in range(3)], dim=-1)  # [S, E, 3]
    halves = windows.reshape(count, 2, WIDTH // 2, 3)
    weights = own("convolution.weight").reshape(count, 2, 3, WIDTH // 2, 3)
    states = torch.einsum("sgik,sgoik->sgo", halves, weights).flatten(1)
    states = (states + own("convolution.bias")) * own("scale")
    scores = torch.einsum("si,svi->sv", states[:, :WIDTH], own("words.weight"))
    states = states * scores.tanh().mean(dim=-1, keepdim=True)
    head = {
        name: getattr(module.out, name).detach().requires_grad_() for name in ("weight", "bias")
    }
    outputs = functional.linear(states.mean(dim=0), head["weight"], head["bias"])
    loss = functional.cross_entropy(outputs, target)
    used = {name: value for name, value in copies.items() if not name.startswith("out.")}
    found = torch.autograd.grad(loss, [*used.values(), *head.values()])
    return dict(zip([*used, *(f"out.{name}" for name in head)], found, strict=True))


@pytest.fixture(scope="module")
def everything() -> tuple[Everything, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    module = Everything().double().eval()
    tokens = torch.tensor([[1, 2, 3, 4, 2], [5, 1, 0, 0, 0], [6, 0, 0, 0, 0], [3, 3, 3, 2, 0]])
    return module, tokens, torch.tensor([0, 2, 1, 1])


def directions(module: nn.Module, **more: Any) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(value.shape, dtype=value.dtype, generator=generator)
        for name, value in FunctionalModel(module, **more).parameters.items()
    }


def products(module: nn.Module, tokens: torch.Tensor, targets: torch.Tensor, **more: Any) -> Any:
    batch = Batch(tokens, targets, torch.arange(len(tokens)))
    return PositionGradients(FunctionalModel(module, **more), losses)(batch, ("",))


def test_each_position_against_copies_of_the_parameters(everything):
    module, tokens, targets = everything
    direction = directions(module)
    positions, rest = products(module, tokens, targets)(direction)
    assert positions.shape == tokens.shape
    for place, length in enumerate([5, 2, 1, 4]):
        own = by_copies(module, tokens[place, :length], targets[place])
        expected = sum(
            (gradient * direction[name]).flatten(1).sum(dim=1)
            for name, gradient in own.items()
            if not name.startswith("out.")
        )
        of_head = sum(
            (own[name] * direction[name]).sum() for name in own if name.startswith("out.")
        )
        assert torch.allclose(positions[place, :length], expected, rtol=0, atol=1e-12)
        assert not positions[place, length:].any()
        assert torch.allclose(rest[place], of_head, rtol=0, atol=1e-12)


@pytest.mark.parametrize("frozen", [(), (r"^words",), (r"bias$", r"^scale"), (r"^(?!norm)",)])
def test_together_they_are_the_whole(everything, frozen):
    module, tokens, targets = everything
    more = {"params_to_freeze": frozen}
    direction = directions(module, **more)
    positions, rest = products(module, tokens, targets, **more)(direction)
    leaves = {name: value for name, value in module.named_parameters() if name in direction}
    for place in range(len(tokens)):
        loss = losses(module(tokens[place : place + 1]), targets[place : place + 1])[0]
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        whole = sum(
            (gradient * direction[name]).sum()
            for name, gradient in zip(leaves, gradients, strict=True)
        )
        assert torch.allclose(positions[place].sum() + rest[place], whole, rtol=0, atol=1e-12)
    assert bool((rest == 0).all()) == (frozen == (r"^(?!norm)",))


def test_some_examples(everything):
    module, tokens, targets = everything
    ready = products(module, tokens, targets)
    direction = directions(module)
    positions, rest = ready(direction)
    some = torch.tensor([3, 0])
    assert torch.allclose(ready(direction, some)[0], positions[some], rtol=0, atol=1e-13)
    assert torch.allclose(ready(direction, some)[1], rest[some], rtol=0, atol=1e-13)
    one = products(module, tokens[1:2, :2], targets[1:2])(direction)
    assert torch.allclose(one[0], positions[1:2, :2], rtol=0, atol=1e-12)


class SequenceFirst(nn.Module):
    """Positions come before examples inside, and share a dimension with them for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.first = nn.Linear(WIDTH, WIDTH)
        self.second = nn.Linear(WIDTH, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        states = self.words(tokens.T)  # [S, B, E]
        states = self.first(states.flatten(0, 1)).tanh()  # [S·B, E]
        states = self.second(states.view(tokens.shape[1], len(tokens), -1).transpose(0, 1).tanh())
        return states.sum(dim=1)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("length", [1, 3, 4])
def test_wherever_positions_lie(count, length):
    torch.manual_seed(1)
    module = SequenceFirst().double().eval()
    tokens = torch.randint(WORDS, (count, length))
    targets = torch.arange(count) % 3
    direction = directions(module)
    positions, rest = products(module, tokens, targets)(direction)
    assert positions.shape == (count, length)
    assert not rest.any()
    summed = directions(module)
    for place in range(length):
        # The words at one place alone are a table of their own.
        table = module.words.weight.detach().clone().requires_grad_()
        seen = functional.embedding(tokens, module.words.weight.detach())  # [B, S, E]
        own = functional.embedding(tokens[:, place], table)  # [B, E]
        states = torch.cat([seen[:, :place], own[:, None], seen[:, place + 1 :]], dim=1)
        copies = {
            name: [value.detach().clone().requires_grad_() for _ in range(length)]
            for name, value in module.named_parameters()
            if name != "words.weight"
        }
        hidden = [
            functional.linear(states[:, s], copies["first.weight"][s], copies["first.bias"][s])
            for s in range(length)
        ]
        outputs = sum(
            functional.linear(
                one.tanh().tanh(), copies["second.weight"][s], copies["second.bias"][s]
            )
            for s, one in enumerate(hidden)
        )
        total = losses(outputs, targets)
        chosen = {name: values[place] for name, values in copies.items()} | {"words.weight": table}
        for example in range(count):
            found = torch.autograd.grad(total[example], list(chosen.values()), retain_graph=True)
            expected = sum(
                (gradient * summed[name]).sum()
                for name, gradient in zip(chosen, found, strict=True)
            )
            assert torch.allclose(positions[example, place], expected, rtol=0, atol=1e-12)


class OneLength(nn.Module):
    """Takes texts of four words only; its hidden layer has as many rows."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.rows = nn.Linear(WIDTH, 2)
        self.out = nn.Linear(4 * 2, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.out(self.rows(self.words(tokens)).tanh().flatten(1))
        return outputs


def test_texts_of_one_length_have_positions_where_they_are_looked_up():
    torch.manual_seed(2)
    module = OneLength().double().eval()
    tokens, targets = torch.tensor([[1, 2, 3, 4], [5, 6, 6, 0]]), torch.tensor([0, 1])
    direction = directions(module)
    positions, rest = products(module, tokens, targets)(direction)
    leaves = dict(module.named_parameters())
    for place in range(2):
        loss = losses(module(tokens[place : place + 1]), targets[place : place + 1])[0]
        found = torch.autograd.grad(loss, list(leaves.values()))
        whole = {n: (g * direction[n]).sum() for n, g in zip(leaves, found, strict=True)}
        of_words = whole.pop("words.weight")
        assert torch.allclose(positions[place].sum(), of_words, rtol=0, atol=1e-12)
        assert torch.allclose(rest[place], sum(whole.values()), rtol=0, atol=1e-12)
    assert bool(positions.ne(0).all())


class Recurrent(nn.Module):
    """Has weights that no known function uses."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 12)
        self.recurrent = nn.GRU(12, 2, batch_first=True)
        self.out = nn.Linear(2, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.out(self.recurrent(self.words(tokens))[0].mean(dim=1))
        return outputs


def test_the_general_route_is_refused():
    torch.manual_seed(3)
    module = Recurrent().double().eval()
    tokens, targets = torch.tensor([[1, 2, 3], [5, 6, 6]]), torch.tensor([0, 1])
    message = (
        'the gradients of "recurrent.weight_ih_l0", "recurrent.weight_hh_l0", '
        '"recurrent.bias_ih_l0", "recurrent.bias_hh_l0" are not made of what layers receive and '
        'give back ("gru" uses it), so that they cannot be split by position; leave such '
        "parameters out with params_to_freeze"
    )
    with pytest.raises(GradientError, match=f"^{re.escape(message)}$"):
        products(module, tokens, targets)
    direction = directions(module, params_to_freeze=[r"^recurrent"])
    positions, _ = products(module, tokens, targets, params_to_freeze=[r"^recurrent"])(direction)
    assert positions.shape == (2, 3)
