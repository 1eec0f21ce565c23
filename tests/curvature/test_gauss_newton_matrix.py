"""The Gauss-Newton matrix from layer factors and from rows, against the rows themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.curvature.gauss_newton_matrix import GaussNewtonSums, gauss_newton_blocks
from hessinf.curvature.gauss_newton_rows import GaussNewtonRows
from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel
from hessinf.models import CrossEntropy, MeanSquaredError, Objective
from tests.gradients.linearizable import Idle


class Reused(nn.Module):
    """One layer twice, and a last layer without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(3, 3)
        self.last = nn.Linear(3, 6, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.mix(inputs))
        found: torch.Tensor = self.last(torch.tanh(self.mix(hidden)))
        return found


class Tied(nn.Module):
    """Two layers with one weight, and biases of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3, 3), nn.Linear(3, 3)
        self.other.weight = self.one.weight
        self.last = nn.Linear(3, 6)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(torch.tanh(self.other(torch.tanh(self.one(inputs)))))
        return found


class Pooled(nn.Module):
    """Positions that are averaged: 4 times as many as the output has columns."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.norm = nn.LayerNorm(3)
        self.mix = nn.Linear(3, 4)
        self.last = nn.Linear(4, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = functional.gelu(self.mix(self.norm(self.embedding(tokens))))
        found: torch.Tensor = self.last(hidden.mean(dim=1))
        return found


class Deeper(nn.Module):
    """A layer that only long sequences reach."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 6)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.first(inputs))
        if inputs.shape[1] > 1:
            hidden = hidden + torch.tanh(self.second(hidden))
        found: torch.Tensor = self.last(hidden)
        return found


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 4, bias=False), nn.Linear(4, 3))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 4, 2, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3), nn.BatchNorm1d(3)
    ).eval()


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).double()


def labels(*shape: int, classes: int = 3) -> torch.Tensor:
    return torch.randint(classes, shape)


def cases() -> dict[str, tuple[nn.Module, Objective, list[tuple[Any, Any]], set[str]]]:
    """By name: a module, an objective, batches, and what is added up from factors in the end."""
    torch.manual_seed(0)
    return {
        "mlp": (
            mlp(),
            CrossEntropy(),
            [(drawn(5, 3), labels(5)), (drawn(2, 3), labels(2))],
            {"0", "2", "3"},
        ),
        "regression": (mlp(), MeanSquaredError(), [(drawn(5, 3), drawn(5, 3))], {"0", "2", "3"}),
        "a layer twice": (
            Reused(),
            CrossEntropy(),
            [(drawn(4, 3), labels(4, classes=6)), (drawn(3, 3), labels(3, classes=6))],
            {"mix", "last"},
        ),
        "tied weights": (
            Tied(),
            CrossEntropy(),
            [(drawn(4, 3), labels(4, classes=6))],
            {"one", "last"},
        ),
        "pooled positions": (
            Pooled(),
            CrossEntropy(),
            [(torch.randint(5, (4, 8)), labels(4)), (torch.randint(5, (2, 3)), labels(2))],
            {"last"},
        ),
        "convolutions": (
            convolutional(),
            CrossEntropy(),
            [(drawn(4, 2, 4), labels(4))],
            {"3"},
        ),
        "longer sequences later": (
            Deeper(),
            CrossEntropy(),
            [
                (drawn(3, 1, 2), labels(3, 1, classes=6)),
                (drawn(2, 3, 2), labels(2, 3, classes=6)),
                (drawn(2, 2, 2), torch.tensor([[-100, -100], [1, -100]])),
                (drawn(2, 1, 2), labels(2, 1, classes=6)),
            ],
            {"first", "second", "last"},
        ),
        "parameters without effect": (
            Idle(),
            CrossEntropy(),
            [(drawn(3, 2), labels(3)), (drawn(4, 3), labels(4)), (drawn(3, 2), labels(3))],
            {"first", "last", "head"},
        ),
        "no target in the first batch": (
            mlp(),
            CrossEntropy(),
            [(drawn(2, 3), torch.tensor([-100, -100])), (drawn(3, 3), labels(3))],
            {"0", "2", "3"},
        ),
    }


def prepared(name: str) -> tuple[GaussNewtonRows, list[Batch], set[str]]:
    module, objective, data, factored = cases()[name]
    model = FunctionalModel(module.double())
    batches, start = [], 0
    for inputs, targets in data:
        batches.append(Batch(inputs, targets, torch.arange(start, start + len(targets))))
        start += len(targets)
    return GaussNewtonRows(model, objective), batches, factored


def expected_matrix(rows: GaussNewtonRows, batches: list[Batch]) -> torch.Tensor:
    """From plain automatic differentiation, output by output and example by example."""
    names = list(rows.model.parameters)
    parameters = [x.detach().requires_grad_() for x in rows.model.parameters.values()]
    total = torch.zeros(2 * [rows.model.layout.size], dtype=torch.float64)
    for batch in batches:
        for place in range(batch.size):
            one = batch.select(slice(place, place + 1))
            theta = dict(zip(names, parameters, strict=True))
            outputs = rows.model.outputs(theta, one.inputs)
            jacobian = torch.stack(
                [
                    torch.cat(
                        [
                            x.flatten()
                            for x in torch.autograd.grad(
                                y,
                                parameters,
                                retain_graph=True,
                                materialize_grads=True,
                                allow_unused=True,
                            )
                        ]
                    )
                    for y in outputs.flatten()
                ]
            )
            curvature = torch.autograd.functional.hessian(
                lambda f, y=one.targets: rows.objective.losses(f, y).sum(), outputs.detach()
            )
            total += jacobian.T @ curvature.reshape(2 * [len(jacobian)]) @ jacobian
    return total


@pytest.mark.parametrize("name", cases())
class TestSums:
    def test_equal_automatic_differentiation(self, name: str) -> None:
        rows, batches, factored = prepared(name)
        sums = GaussNewtonSums(rows, {"all": slice(0, rows.model.layout.size)})
        for batch in batches:
            sums.add(batch)
        assert {unit.name for unit in sums._one_position} == factored
        found = sums.matrices()["all"]
        expected = expected_matrix(rows, batches)
        assert float(expected.norm()) > 0
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12 * float(expected.norm()))
        assert torch.equal(found, found.T)

    @pytest.mark.parametrize("by", ["parameter", "two halves"])
    def test_blocks_are_cut_out(self, name: str, by: str) -> None:
        """Weights and biases apart, and blocks whose parameters do not lie side by side."""
        rows, batches, _ = prepared(name)
        names = list(rows.model.parameters)
        layout = rows.model.layout
        places = {
            parameter: part.flatten()
            for parameter, part in layout.unflatten(torch.arange(layout.size)).items()
        }
        if by == "parameter":
            blocks: dict[str, Any] = dict(places)
        else:
            blocks = {
                "even": torch.cat([places[x] for x in names[::2]]),
                "odd": torch.cat([places[x] for x in names[1::2]]),
            }
        whole = {"all": slice(0, layout.size)}
        options: dict[str, Any] = {"weight_decay": 0.25, "total": 7, "stage": "blocks"}
        expected = gauss_newton_blocks(rows, batches, whole, **options)["all"]
        found = gauss_newton_blocks(rows, batches, blocks, **options)
        assert list(found) == list(blocks)
        for block, part in blocks.items():
            torch.testing.assert_close(
                found[block], expected[part[:, None], part], rtol=1e-10, atol=1e-13
            )

    @pytest.mark.parametrize("numbers", [1, 60, 400])
    def test_little_room_makes_no_difference(self, name: str, numbers: int) -> None:
        """Down to one column of one example at a time."""
        rows, batches, _ = prepared(name)
        whole = {"all": slice(0, rows.model.layout.size)}
        options: dict[str, Any] = {"weight_decay": 0.0, "total": 7, "stage": "blocks"}
        expected = gauss_newton_blocks(rows, batches, whole, **options)["all"]
        little = GaussNewtonRows(rows.model, rows.objective, numbers)
        found = gauss_newton_blocks(little, batches, whole, **options)["all"]
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_the_mean_over_examples_and_weight_decay() -> None:
    """Least squares in closed form, whatever the batches: the last one is short."""
    torch.manual_seed(0)
    inputs, targets = drawn(7, 3), drawn(7, 1)
    design = torch.cat([inputs, torch.ones(7, 1).double()], dim=1)
    expected = 2 * design.T @ design / 7 + 0.3 * torch.eye(4).double()
    model = FunctionalModel(nn.Linear(3, 1).double())
    for size in (1, 3, 7):
        batches = [
            Batch(inputs[i : i + size], targets[i : i + size], torch.arange(7)[i : i + size])
            for i in range(0, 7, size)
        ]
        found = gauss_newton_blocks(
            GaussNewtonRows(model, MeanSquaredError()),
            batches,
            {"all": slice(0, 4)},
            weight_decay=0.3,
            total=7,
            stage="matrix",
        )["all"]
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_float32_products_are_added_up_in_float64() -> None:
    torch.manual_seed(0)
    module = mlp()
    inputs, targets = torch.randn(6, 3), labels(6)
    batch = Batch(inputs, targets, torch.arange(6))
    found = {}
    for dtype in (torch.float32, torch.float64):
        rows = GaussNewtonRows(FunctionalModel(module, dtype=dtype), CrossEntropy())
        sums = GaussNewtonSums(rows, {"all": slice(0, rows.model.layout.size)})
        sums.add(batch.to("cpu", dtype))
        found[dtype] = sums.matrices()["all"]
        assert found[dtype].dtype == torch.float64
    torch.testing.assert_close(found[torch.float32], found[torch.float64], rtol=1e-4, atol=1e-5)
