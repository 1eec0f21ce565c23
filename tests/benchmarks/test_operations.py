"""Watching operations: flops, bytes, stages."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.nn import functional

from benchmarks.operations import Operations, Work, memory_of

Clock = Callable[[], float]


def ticking() -> Clock:
    """A clock that goes on by a second whenever it is read."""
    seconds = iter(range(1_000_000))
    return lambda: float(next(seconds))


def watched(work: Callable[[], object], *packages: Path) -> Operations:
    with Operations(packages, clock=ticking()) as counted:
        work()
    return counted


def flops(work: Callable[[], object]) -> int:
    return watched(work).table.total.flops


class TestFlops:
    def test_products(self) -> None:
        left, right = torch.ones(3, 4), torch.ones(4, 5)
        assert flops(lambda: left @ right) == 2 * 3 * 4 * 5
        assert flops(lambda: torch.bmm(torch.ones(7, 3, 4), torch.ones(7, 4, 5))) == 840
        assert flops(lambda: torch.einsum("bi,bo->io", torch.ones(6, 3), torch.ones(6, 4))) == 144

    def test_in_place_and_into_a_tensor(self) -> None:
        left, right, total = torch.ones(3, 4), torch.ones(4, 5), torch.zeros(3, 5)
        assert flops(lambda: total.addmm_(left, right)) == 120
        assert flops(lambda: torch.mm(left, right, out=total)) == 120

    def test_products_with_vectors(self) -> None:
        matrix, vector = torch.ones(3, 4), torch.ones(4)
        assert flops(lambda: matrix.mv(vector)) == 24
        assert flops(lambda: vector.dot(vector)) == 8
        assert flops(lambda: torch.addmv(torch.ones(3), matrix, vector)) == 24

    def test_decompositions(self) -> None:
        matrices = torch.eye(6, dtype=torch.float64).repeat(2, 1, 1)
        assert flops(lambda: torch.linalg.cholesky_ex(matrices)) == 2 * 6**3 // 3
        assert flops(lambda: torch.linalg.ldl_factor_ex(matrices)) == 2 * 6**3 // 3
        assert flops(lambda: torch.linalg.eigh(matrices)) == 2 * 9 * 6**3
        assert flops(lambda: torch.linalg.svd(torch.ones(8, 4))) == 6 * 8 * 16 + 20 * 64

    def test_solves(self) -> None:
        triangle, right = torch.eye(5), torch.ones(5, 3)
        solve = torch.linalg.solve_triangular
        assert flops(lambda: solve(triangle, right, upper=False)) == 5 * 5 * 3
        assert flops(lambda: torch.cholesky_solve(right, triangle)) == 2 * 5 * 5 * 3

    def test_convolutions_and_their_groups(self) -> None:
        inputs, weight = torch.ones(2, 4, 6, 6), torch.ones(8, 2, 3, 3, requires_grad=True)
        forward = 2 * 2 * 36 * weight.numel()

        def work() -> None:
            functional.conv2d(inputs, weight, padding=1, groups=2).sum().backward()

        assert flops(work) == 2 * forward  # one gradient is wanted, of the weight

    def test_gradients_of_both_sides_of_a_convolution(self) -> None:
        inputs = torch.ones(2, 4, 6, 6, requires_grad=True)
        weight = torch.ones(8, 4, 3, 3, requires_grad=True)
        forward = 2 * 2 * 16 * weight.numel()
        assert flops(lambda: functional.conv2d(inputs, weight).sum().backward()) == 3 * forward

    def test_attention(self) -> None:
        parts = [torch.ones(2, 3, 5, 8, requires_grad=True) for _ in range(3)]

        def work() -> None:
            functional.scaled_dot_product_attention(*parts).sum().backward()

        assert flops(work) == (2 + 5) * 2 * 2 * 3 * 5 * 5 * 8

    def test_inside_of_inference_mode_and_vmap(self) -> None:
        left, right = torch.ones(3, 4), torch.ones(4, 5)
        with torch.inference_mode():
            assert flops(lambda: functional.linear(left, right.T)) == 120
        rows = torch.ones(7, 3, 4)
        assert flops(lambda: torch.func.vmap(lambda x: x @ right)(rows)) == 7 * 120

    def test_element_by_element_there_are_none(self) -> None:
        assert flops(lambda: (torch.ones(5) * 2).exp()) == 0


class TestBytes:
    def test_operands_and_result(self) -> None:
        left, right = torch.ones(3, 4), torch.ones(4, 5)
        assert watched(lambda: left @ right).table.total.bytes == 4 * (12 + 20 + 15)

    def test_what_is_changed_in_place_counts_once(self) -> None:
        values = torch.ones(10, dtype=torch.float64)
        assert watched(lambda: values.mul_(2)).table.total.bytes == 80

    def test_views_move_none(self) -> None:
        values = torch.ones(4, 5)
        table = watched(lambda: values.T.reshape(20, 1)[:3]).table
        assert {name: work.bytes for name, work in table.by(lambda key: key[1]).items()} == {
            "permute": 0,
            "clone": 160,
            "_unsafe_view": 0,
            "slice": 0,
        }

    def test_memory_that_is_only_asked_for_is_not_moved(self) -> None:
        assert watched(lambda: torch.empty(100)).table.total.bytes == 0
        assert watched(lambda: torch.zeros(100)).table.total.bytes == 400

    def test_rows_that_are_looked_up_or_added(self) -> None:
        table, ids, rows = torch.ones(100, 4), torch.tensor([5, 7, 5]), torch.ones(3, 4)
        assert watched(lambda: table[ids]).table.total.bytes == 24 + 2 * 48
        assert watched(lambda: table.index_select(0, ids)).table.total.bytes == 24 + 2 * 48
        assert watched(lambda: table.index_add_(0, ids, rows)).table.total.bytes == 24 + 3 * 48

    def test_what_is_expanded_counts_once(self) -> None:
        assert memory_of(torch.ones(1, 5).expand(1000, 5)) == 20
        assert memory_of(torch.ones(3, 5)) == 60


class TestTable:
    def test_seconds_are_those_of_the_clock_around_each_operation(self) -> None:
        values = torch.ones(3)
        assert watched(lambda: values.add(1).mul(2)).table.total == Work(2, 0, 48, 2.0)

    def test_grouping(self) -> None:
        left, right = torch.ones(3, 4), torch.ones(4, 5)
        table = watched(lambda: [left @ right, left @ right, left.exp()]).table
        assert table.by(lambda key: key[1]) == {
            "mm": Work(2, 240, 2 * 188, 2.0),
            "exp": Work(1, 0, 96, 1.0),
        }
        assert table.by(lambda key: key[2] if key[1] == "mm" else None) == {
            "[3, 4] × [4, 5]": Work(2, 240, 376, 2.0)
        }

    def test_results_larger_than_operands_are_shown(self) -> None:
        table = watched(lambda: [torch.zeros(3, 4), torch.ones(3, 1) * torch.ones(1, 4)]).table
        assert "[3, 1] × [1, 4] → [3, 4]" in {key[2] for key in table.entries}
        assert " → [3, 4]" in {key[2] for key in table.entries}

    def test_ideal_seconds_by_precision(self) -> None:
        def work() -> None:
            torch.ones(3, 4) @ torch.ones(4, 5)
            torch.ones(3, 4, dtype=torch.float64) @ torch.ones(4, 5, dtype=torch.float64)

        table = watched(work).table
        assert table.ideal_seconds({"float32": 120.0, "float64": 60.0}) == 3.0


@pytest.fixture
def package(tmp_path: Path) -> tuple[Path, ModuleType]:
    """A package whose one module multiplies, as a user of PyTorch that is watched."""
    file = tmp_path / "room" / "products.py"
    file.parent.mkdir()
    file.write_text("def square(x):\n    y = x @ x\n    y.sum().backward()\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("products", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tmp_path, module


class TestStages:
    def test_the_innermost_file_of_the_package_counts(
        self, package: tuple[Path, ModuleType]
    ) -> None:
        folder, module = package
        matrix = torch.ones(3, 3, requires_grad=True)
        table = watched(
            lambda: [module.square(matrix), torch.ones(2, 2) @ torch.ones(2, 2)], folder
        )
        products = {key[0]: work.flops for key, work in table.table.entries.items() if work.flops}
        assert products == {"room/products": 3 * 54, "elsewhere": 16}

    def test_the_backward_pass_belongs_to_who_asks_for_it(
        self, package: tuple[Path, ModuleType]
    ) -> None:
        folder, module = package
        matrix = torch.ones(3, 3, requires_grad=True)
        counted = watched(lambda: module.square(matrix), folder)
        assert set(counted.table.by(lambda key: key[0])) == {"room/products"}
        assert counted.table.by(lambda key: key[1])["mm"].calls == 3
