"""Rows of the Gauss-Newton matrix in factors, against the same rows in full."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.curvature import CurvatureError
from hessinf.curvature.dual_rows import DualRows
from hessinf.curvature.gauss_newton_rows import GaussNewtonRows
from hessinf.data import as_dataset
from hessinf.data.batching import Batch, batches
from hessinf.gradients import FunctionalModel
from hessinf.models import CrossEntropy, Objective
from hessinf.testing.problems import BY_NAME
from tests.gradients.linearizable import Idle

Data = list[Batch]


def of_problem(name: str, batch_size: int = 7) -> tuple[GaussNewtonRows, Data]:
    problem = BY_NAME[name]()
    module = problem.module().eval()
    data = batches(as_dataset(problem.train), batch_size, dtype=torch.float64)
    objective: Objective = Objective.from_config(problem.objective)
    return GaussNewtonRows(FunctionalModel(module), objective), list(data)


def in_full(rows: GaussNewtonRows, data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    """U ``[M, P]``, and how many rows each example has."""
    counts = torch.cat([rows.counts(batch) for batch in data])
    parts = []
    for batch in data:
        found = rows(batch)  # [B, R, P]
        parts += [own[:count] for own, count in zip(found, rows.counts(batch), strict=True)]
    return torch.cat(parts) / len(counts) ** 0.5, counts


def check(rows: GaussNewtonRows, data: Data, numbers_kept: int) -> DualRows:
    """Compare all that is asked of rows, twice: at first, and when they may be kept."""
    expected, counts = in_full(rows, data)
    dual = DualRows(rows, data, counts, numbers_kept=numbers_kept)
    assert dual.number == len(expected)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(3, expected.shape[1], generator=generator, dtype=torch.float64)
    weights = torch.randn(3, len(expected), generator=generator, dtype=torch.float64)
    for _ in range(2):
        torch.testing.assert_close(dual.gram("gram"), expected @ expected.T, rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(
            dual.project(vectors), vectors @ expected.T, rtol=1e-10, atol=1e-13
        )
        torch.testing.assert_close(
            dual.combine(weights), weights @ expected, rtol=1e-10, atol=1e-13
        )
    return dual


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("numbers_kept", [300, 10**9])
def test_factors_are_as_good_as_rows(name: str, numbers_kept: int) -> None:
    """All rows kept, or some of them at a time."""
    rows, data = of_problem(name)
    dual = check(rows, data, numbers_kept)
    assert (dual._kept is not None) == (numbers_kept == 10**9)


@pytest.mark.parametrize(
    ("name", "numbers", "numbers_kept"),
    [
        ("logistic_regression", 1, 50),
        ("convolutional_network", 300, 1_000),
        ("transformer", 2_000, 5_000),
        ("language_model", 200, 500),
    ],
)
def test_little_room_makes_no_difference(name: str, numbers: int, numbers_kept: int) -> None:
    """Rows come in an order of their own, some columns of some examples at a time."""
    rows, data = of_problem(name)
    rows.numbers_at_once = numbers
    data = data[:1]
    dual = check(rows, data, numbers_kept)
    assert dual._kept is None
    check(rows, data, 10**9)


def test_what_is_in_factors() -> None:
    """Linear layers; not what positions make too many of, nor what is no matrix."""
    for name, layers, full in (
        ("multilayer_perceptron", {"0", "4"}, ()),
        ("convolutional_network", {"6"}, ("0.weight", "0.bias", "1.weight", "1.bias", "3.weight")),
    ):
        rows, data = of_problem(name)
        layout = check(rows, data, 0)._layout
        assert layout is not None
        assert {unit.name for unit in layout.units} == layers
        assert layout.names == full


def test_nothing_of_the_size_of_theta_is_made_for_a_row() -> None:
    """2·10⁶ parameters and 12 rows: in full they would be 24·10⁶ numbers."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 1400), nn.Tanh(), nn.Linear(1400, 1400), nn.Linear(1400, 4))
    model = FunctionalModel(module, dtype=torch.float64)
    batch = Batch(torch.randn(4, 3).double(), torch.arange(4), torch.arange(4))
    rows = GaussNewtonRows(model, CrossEntropy())
    counts = rows.counts(batch)
    dual = DualRows(rows, [batch], counts, numbers_kept=10**9)
    gram = dual.gram("gram")
    assert dual._kept is not None
    assert sum(piece.numbers for piece in dual._kept) < 10**5
    eye = torch.eye(12, dtype=torch.float64)[[0, 5, 11]]
    torch.testing.assert_close(dual.project(dual.combine(eye)), eye @ gram, rtol=1e-10, atol=1e-13)


class Deeper(nn.Module):
    """A layer that only long sequences reach, and a table that they also look up."""

    def __init__(self, looks_up: bool) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(5, 3))
        self.second = nn.Linear(3, 3)
        self.last = nn.Linear(5, 3)
        self.looks_up = looks_up

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = inputs
        if inputs.shape[1] > 1:
            hidden = hidden + torch.tanh(self.second(hidden))
            if self.looks_up:
                ids = (inputs[..., 0] > 0).long()
                hidden = hidden + functional.embedding(ids, self.table)
        found: torch.Tensor = self.last(torch.tanh(functional.linear(hidden, self.table)))
        return found


@pytest.mark.parametrize("numbers_kept", [0, 10**9])
def test_parameters_without_effect(numbers_kept: int) -> None:
    """They take no room, until an output depends on them."""
    torch.manual_seed(0)
    model = FunctionalModel(Idle().double())
    data: Data = []
    for start, width in ((0, 2), (3, 3), (6, 2)):
        places = torch.arange(start, start + 3)
        data.append(Batch(torch.randn(3, width).double(), torch.randint(3, (3,)), places))
    layout = check(GaussNewtonRows(model, CrossEntropy()), data[:1], numbers_kept)._layout
    assert layout is not None
    assert layout.names == ("scale",)
    assert set(layout.idle) == {f"{x}.{y}" for x in ("head", "unused") for y in ("weight", "bias")}
    layout = check(GaussNewtonRows(model, CrossEntropy()), data, numbers_kept)._layout
    assert layout is not None
    assert set(layout.idle) == {"unused.weight", "unused.bias"}


@pytest.mark.parametrize("looks_up", [False, True])
@pytest.mark.parametrize("numbers_kept", [0, 10**9])
def test_what_later_examples_do_is_learnt(looks_up: bool, numbers_kept: int) -> None:
    torch.manual_seed(0)
    model = FunctionalModel(Deeper(looks_up).double())
    data: Data = []
    start = 0
    for count, positions in ((3, 1), (2, 3), (3, 2), (2, 1)):
        inputs = torch.randn(count, positions, 3).double()
        targets = torch.randint(3, (count, positions))
        data.append(Batch(inputs, targets, torch.arange(start, start + count)))
        start += count
    fresh = GaussNewtonRows(model, CrossEntropy())
    expected, counts = in_full(GaussNewtonRows(model, CrossEntropy()), data)
    gram = DualRows(fresh, data, counts, numbers_kept=numbers_kept).gram("gram")
    torch.testing.assert_close(gram, expected @ expected.T, rtol=1e-10, atol=1e-13)
    check(fresh, data, numbers_kept)


def test_other_rows_than_before_are_refused() -> None:
    """An example that has other rows than those of the Gram matrix is named."""
    rows, data = of_problem("multilayer_perceptron")
    counts = torch.cat([rows.counts(batch) for batch in data])
    counts[9] -= 1
    dual = DualRows(rows, data, counts, numbers_kept=0)
    text = (
        "training example 9 has 2 Gauss-Newton rows that are not zero, and had 1 when the Gram "
        "matrix was formed; fit again, on this device and with this batch_size"
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        dual.gram("gram")


def test_no_rows_at_all() -> None:
    """Every target is ignored: the Gauss-Newton matrix is zero."""
    rows, data = of_problem("multilayer_perceptron")
    ignored: Any = [Batch(x.inputs, torch.full_like(x.targets, -100), x.indices) for x in data]
    counts = torch.cat([rows.counts(batch) for batch in ignored])
    dual = DualRows(rows, ignored, counts, numbers_kept=100)
    assert dual.gram("gram").shape == (0, 0)
    size = rows.model.layout.size
    assert dual.project(torch.ones(2, size).double()).shape == (2, 0)
    assert torch.equal(dual.combine(torch.ones(2, 0).double()), torch.zeros(2, size).double())
