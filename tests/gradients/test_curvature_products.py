"""Products with the Hessian and the Gauss-Newton matrix equal dense references."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.data.batching import Batch
from hessinf.gradients import (
    CurvatureProducts,
    FunctionalModel,
    GaussNewtonProducts,
    GradientError,
    HessianProducts,
    curvature_products,
)
from hessinf.models import (
    BinaryCrossEntropy,
    CallableObjective,
    CrossEntropy,
    LanguageModeling,
    MeanSquaredError,
    Objective,
)

BOTH = pytest.mark.parametrize("kind", [HessianProducts, GaussNewtonProducts])
ROUTES = ("forward", "reverse", "one by one")
NO_FORWARD_MODE = {"old-function", "branch", "lstm", "gru"}


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def directions(size: int, count: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, size, generator=generator, dtype=torch.float64).to(dtype)


class TestEveryKindOfModel:
    def test_hessian_equals_differences_of_gradients(self, case: Any) -> None:
        model = case.model
        vectors = directions(model.layout.size, 6)
        with model.evaluating():
            found = HessianProducts(model, case.objective, [case.batch]).sum_products(
                case.batch, vectors
            )
        assert relative(found, case.hessian_products(vectors)) < 1e-7

    def test_gauss_newton_equals_jacobians(self, case: Any) -> None:
        model = case.model
        vectors = directions(model.layout.size, 6)
        with model.evaluating():
            found = GaussNewtonProducts(model, case.objective, [case.batch]).sum_products(
                case.batch, vectors
            )
        assert relative(found, vectors @ case.gauss_newton()) < 1e-10

    @BOTH
    def test_all_routes_give_the_same(
        self, case: Any, case_name: str, kind: type[CurvatureProducts]
    ) -> None:
        model = case.model
        products = kind(model, case.objective, [case.batch])
        vectors = directions(model.layout.size, 3)
        with model.evaluating():
            reference = products._along("one by one", case.batch, vectors)
            for route in ROUTES[:2]:
                try:
                    found = products._along(route, case.batch, vectors)  # type: ignore[arg-type]
                except RuntimeError:
                    assert case_name in NO_FORWARD_MODE, route
                else:
                    assert relative(found, reference) < 1e-12, route

    @BOTH
    def test_many_vectors_take_another_route_to_the_same(
        self, case: Any, kind: type[CurvatureProducts], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = case.model
        vectors = directions(model.layout.size, 3)
        with model.evaluating():
            few = kind(model, case.objective, [case.batch]).products(vectors)
            monkeypatch.setattr(kind, "few_vectors", 0)
            monkeypatch.setattr(kind, "few_numbers", 0)
            many = kind(model, case.objective, [case.batch]).products(vectors)
        assert relative(many, few) < 1e-12


class TestDense:
    """Against torch.func.hessian, on an MLP whose Hessian is indefinite."""

    sizes = (4, 3)

    def make(self, dtype: torch.dtype = torch.float64) -> tuple[FunctionalModel, Batch]:
        torch.manual_seed(1)
        module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(3)
        batch = Batch(
            torch.randn(11, 3, dtype=torch.float64), torch.arange(11) % 3, torch.arange(11)
        )
        return FunctionalModel(module, dtype=dtype), batch.to("cpu", dtype)

    def hessian(self, weight_decay: float = 0.0) -> torch.Tensor:
        model, batch = self.make()
        assert isinstance(batch.inputs, torch.Tensor)

        def mean_loss(flat: torch.Tensor) -> torch.Tensor:
            weights = model.layout.unflatten(flat)
            hidden = torch.tanh(batch.inputs @ weights["0.weight"].T + weights["0.bias"])
            outputs = hidden @ weights["2.weight"].T + weights["2.bias"]
            losses = torch.logsumexp(outputs, 1) - outputs[torch.arange(11), batch.targets]
            return losses.mean() + weight_decay / 2 * (flat**2).sum()

        hessian: Any = torch.func.hessian(mean_loss)(model.layout.flatten(model.parameters))
        return hessian

    def test_hessian_with_weight_decay(self) -> None:
        model, batch = self.make()
        identity = torch.eye(model.layout.size, dtype=torch.float64)
        products = HessianProducts(model, CrossEntropy(), [batch], weight_decay=0.3)
        expected = self.hessian(0.3)
        assert float(torch.linalg.eigvalsh(self.hessian()).min()) < -1e-3  # indefinite
        torch.testing.assert_close(products.products(identity), expected, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(products @ identity, expected, rtol=1e-10, atol=1e-12)
        found = products.batch_products(batch, identity)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)

    def test_matmul_takes_columns(self) -> None:
        model, batch = self.make()
        products = HessianProducts(model, CrossEntropy(), [batch])
        columns = directions(model.layout.size, 4).T
        expected = self.hessian() @ columns
        assert (products @ columns).shape == (model.layout.size, 4)
        torch.testing.assert_close(products @ columns, expected, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(products @ columns[:, 0], expected[:, 0], rtol=1e-9, atol=1e-12)

    @BOTH
    @pytest.mark.parametrize("count", [1, 7, 200])
    @pytest.mark.parametrize("chunk", [1, 3, None])
    def test_many_vectors_are_one_after_another(
        self, kind: type[CurvatureProducts], count: int, chunk: int | None
    ) -> None:
        model, batch = self.make()
        vectors = directions(model.layout.size, count)
        products = kind(model, CrossEntropy(), [batch], 0.1, chunk)
        together = products.products(vectors)
        alone = torch.stack([(products @ vector) for vector in vectors])
        torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-13)

    @BOTH
    @pytest.mark.parametrize("sizes", [[11], [10, 1], [4, 4, 3], [1] * 11, [1, 10]])
    def test_batches_make_no_difference(
        self, kind: type[CurvatureProducts], sizes: list[int]
    ) -> None:
        model, batch = self.make()
        vectors = directions(model.layout.size, 5)
        expected = kind(model, CrossEntropy(), [batch], 0.1).products(vectors)
        for order in (torch.arange(11), torch.randperm(11)):
            parts = [batch.select(places) for places in order.split(sizes)]
            found = kind(model, CrossEntropy(), parts, 0.1).products(vectors)
            torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-14)

    @BOTH
    def test_float32_is_near_float64(self, kind: type[CurvatureProducts]) -> None:
        results = []
        for dtype in (torch.float32, torch.float64):
            model, batch = self.make(dtype)
            vectors = directions(model.layout.size, 5, dtype)
            results.append(kind(model, CrossEntropy(), [batch]).products(vectors))
        assert results[0].dtype == torch.float32
        assert results[1].dtype == torch.float64
        assert relative(results[0].double(), results[1]) < 2e-6

    @BOTH
    def test_no_vectors(self, kind: type[CurvatureProducts]) -> None:
        model, batch = self.make()
        products = kind(model, CrossEntropy(), [batch])
        assert products.products(torch.zeros(0, products.size).double()).shape == (0, products.size)

    @BOTH
    def test_no_examples(self, kind: type[CurvatureProducts]) -> None:
        model, _ = self.make()
        products = kind(model, CrossEntropy(), [])
        with pytest.raises(GradientError, match="of the training loss needs training examples, fo"):
            products.products(directions(products.size, 1))

    @BOTH
    def test_caller_and_module_are_left_alone(self, kind: type[CurvatureProducts]) -> None:
        model, batch = self.make()
        with torch.no_grad():
            found = kind(model, CrossEntropy(), [batch]).products(directions(model.layout.size, 9))
        assert not found.requires_grad
        assert all(p.grad is None for p in model.module.parameters())
        assert torch.is_grad_enabled()


OBJECTIVES: list[tuple[Objective, tuple[int, ...], torch.Tensor]] = [
    (CrossEntropy(), (3,), torch.tensor([0, 2, 1, 1])),
    (CrossEntropy(weight=[0.5, 2.0, 1.0]), (3,), torch.tensor([0, 2, 1, 1])),
    (CrossEntropy(label_smoothing=0.2), (3,), torch.tensor([0, -100, 1, 1])),
    (CrossEntropy(), (2, 3), torch.tensor([[0, 2], [-100, 1], [1, 1], [2, -100]])),
    (
        CrossEntropy(example_reduction="mean"),
        (2, 3),
        torch.tensor([[0, 2], [-100, 1], [1, 1], [2, -100]]),
    ),
    (LanguageModeling(), (3, 2), torch.tensor([[0, 1, 1], [1, -100, 0], [1, 1, 0], [0, 0, 1]])),
    (BinaryCrossEntropy(), (1,), torch.tensor([0, 1, 1, 0])),
    (BinaryCrossEntropy(pos_weight=[3.0]), (2,), torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0]])),
    (MeanSquaredError(), (2,), torch.tensor([[0.5, 1], [1, 2], [0, -3], [1, 0]])),
    (MeanSquaredError("sum"), (2,), torch.tensor([[0.5, 1], [1, 2], [0, -3], [1, 0]])),
    (CallableObjective(lambda f, y: (f - y).abs().pow(3).sum(1)), (2,), torch.zeros(4, 2)),
]


def objective_name(value: Any) -> str | None:
    return type(value).__name__ if isinstance(value, Objective) else None


@pytest.mark.parametrize(("objective", "shape", "targets"), OBJECTIVES, ids=objective_name)
class TestEveryObjective:
    def make(
        self, shape: tuple[int, ...], targets: torch.Tensor, hidden: bool
    ) -> tuple[FunctionalModel, Batch]:
        torch.manual_seed(2)
        out = int(torch.tensor(shape).prod())
        layers = [nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, out)] if hidden else [nn.Linear(3, out)]
        module = nn.Sequential(*layers, nn.Unflatten(1, shape)).double()
        batch = Batch(torch.randn(4, 3, dtype=torch.float64), targets, torch.arange(4))
        return FunctionalModel(module), batch.to("cpu", torch.float64)

    def dense(
        self, kind: type[CurvatureProducts], model: FunctionalModel, objective: Any, batch: Batch
    ) -> torch.Tensor:
        products = kind(model, objective, [batch])
        return products.products(torch.eye(products.size, dtype=torch.float64))

    def test_equal_to_the_hessian_of_a_linear_model(
        self, objective: Objective, shape: tuple[int, ...], targets: torch.Tensor
    ) -> None:
        model, batch = self.make(shape, targets, hidden=False)
        hessian = self.dense(HessianProducts, model, objective, batch)
        found = self.dense(GaussNewtonProducts, model, objective, batch)
        assert float(hessian.norm()) > 1e-3
        torch.testing.assert_close(found, hessian, rtol=1e-10, atol=1e-13)

    def test_positive_semidefinite_and_symmetric(
        self, objective: Objective, shape: tuple[int, ...], targets: torch.Tensor
    ) -> None:
        model, batch = self.make(shape, targets, hidden=True)
        found = self.dense(GaussNewtonProducts, model, objective, batch)
        torch.testing.assert_close(found, found.T, rtol=1e-9, atol=1e-13)
        assert float(torch.linalg.eigvalsh(found).min()) > -1e-12

    def test_equal_to_the_square_root_of_the_output_hessian(
        self, objective: Objective, shape: tuple[int, ...], targets: torch.Tensor
    ) -> None:
        if isinstance(objective, CallableObjective):
            return  # has none
        model, batch = self.make(shape, targets, hidden=True)

        def outputs(flat: torch.Tensor) -> torch.Tensor:
            return model.outputs(model.layout.unflatten(flat), batch.inputs)

        flat = model.layout.flatten(model.parameters)
        jacobian: Any = torch.func.jacrev(outputs)(flat)  # [B, *shape, P]
        roots = objective.hessian_square_root(outputs(flat), batch.targets)
        pulled = torch.einsum(
            "bcr,bcp->brp",
            roots.reshape(4, -1, roots.shape[-1]),
            jacobian.reshape(4, -1, len(flat)),
        )
        expected = torch.einsum("brp,brq->pq", pulled, pulled) / 4
        found = self.dense(GaussNewtonProducts, model, objective, batch)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)


class Once(torch.autograd.Function):
    """The square, with a derivative that has none itself."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


class OnceDifferentiable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Once.apply(self.one(x))


class WrongProduct(torch.autograd.Function):
    """A product whose derivative forgets that it depends on one of the factors."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = ctx.saved_tensors
        return y.detach() * gradient, x * gradient


class WrongTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.one(x).unbind(1)
        return torch.stack([WrongProduct.apply(first, second), first], dim=1)


class TestWhatCannotBeDone:
    def batch(self) -> Batch:
        return Batch(torch.randn(3, 2), torch.tensor([0, 1, 1]), torch.arange(3))

    def test_hessian(self) -> None:
        products = HessianProducts(FunctionalModel(OnceDifferentiable()), CrossEntropy(), [])
        text = (
            "products with the Hessian of the training loss cannot be computed: an "
            "operation is marked as differentiable once only; the model or the loss has an "
            "operation that cannot be differentiated as often as that needs; "
            'replace the operation, or use the curvature "ggn", or freeze the parameters before it '
            "with params_to_freeze"
        )
        with pytest.raises(GradientError, match=f"^{re.escape(text)}$"):
            products.sum_products(self.batch(), torch.ones(1, 6))

    def test_gauss_newton(self) -> None:
        products = GaussNewtonProducts(FunctionalModel(OnceDifferentiable()), CrossEntropy(), [])
        with pytest.raises(
            GradientError,
            match=re.escape(
                "products with the Gauss-Newton matrix of the training loss cannot be computed: "
            ),
        ):
            products.sum_products(self.batch(), torch.ones(1, 6))

    @BOTH
    def test_distances(
        self, kind: type[CurvatureProducts], make_case: Callable[[str], Any]
    ) -> None:
        case = make_case("distances")
        products = kind(case.model, case.objective, [case.batch])
        with pytest.raises(
            GradientError, match=re.escape("the derivative for '_cdist_backward' is not implem")
        ):
            products.products(directions(products.size, 2))

    def test_a_wrong_second_derivative_is_noticed(self) -> None:
        products = HessianProducts(FunctionalModel(WrongTwice()), CrossEntropy(), [])
        with pytest.raises(
            GradientError, match=r"its products are not symmetric \(.*\), so a derivative of an ope"
        ):
            products.sum_products(self.batch(), torch.ones(1, 6))

    def test_the_way_taken_is_said_once(
        self, make_case: Callable[[str], Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        case = make_case("old-function")
        model = case.model
        products = HessianProducts(model, case.objective, [case.batch])
        products.few_vectors = products.few_numbers = 0  # type: ignore[misc]
        with caplog.at_level(logging.WARNING):
            products.products(directions(products.size, 2))
            products.products(directions(products.size, 2))
        (message,) = [r.getMessage() for r in caplog.records]
        assert message.startswith("the model cannot be differentiated in forward mode (")
        assert message.endswith(
            "); going on another way, which may be slower and gives the same products"
        )

    def test_an_error_of_the_model_names_its_cause(self) -> None:
        products = HessianProducts(FunctionalModel(nn.Linear(5, 2)), CrossEntropy(), [])
        with pytest.raises(GradientError, match="mat1 and mat2 shapes cannot be multiplied"):
            products.sum_products(self.batch(), torch.ones(1, 12))


class TestOutOfMemory:
    @BOTH
    def test_vectors_are_halved(
        self,
        kind: type[CurvatureProducts],
        make_case: Callable[[str], Any],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        case = make_case("mlp")
        vectors = directions(case.model.layout.size, 7)
        expected = kind(case.model, case.objective, [case.batch]).products(vectors)
        real = kind._along
        asked = []

        def along(self: Any, route: Any, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
            if not self._probing:
                asked.append(len(vectors))
            if len(vectors) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return real(self, route, batch, vectors)

        monkeypatch.setattr(kind, "_along", along)
        products = kind(case.model, case.objective, [case.batch], kept_bytes=0)
        with caplog.at_level(logging.WARNING, logger=curvature_products.__name__):
            found = products.products(vectors)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-14)
        assert asked == [7, 4, 2, 2, 2, 1]
        assert [r.getMessage() for r in caplog.records] == [
            "out of memory with 7 vectors at once: halving",
            "out of memory with 4 vectors at once: halving",
        ]
