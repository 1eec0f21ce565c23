"""Shorter factors are used where that makes sense, and refused with a reason elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch

from hessinf.interpreters import GradientDot
from hessinf.scores import precision
from hessinf.scores.contraction import InnerProducts
from hessinf.scores.cost_model import Strategy
from hessinf.scores.precision import (
    add_product,
    check_precision,
    multiplied,
    products_in,
    shortened,
)
from hessinf.testing import multilayer_perceptron

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("kind", "dtype", "device", "text"),
    [
        (
            "half",
            torch.float32,
            CPU,
            'score_precision must be "model", "tf32" or "bfloat16", found \'half\'',
        ),
        (
            "bfloat16",
            torch.float64,
            CPU,
            'score_precision "bfloat16" shortens products of float32, and the model is float64; '
            'use score_precision "model"',
        ),
        (
            "tf32",
            torch.bfloat16,
            GPU,
            'score_precision "tf32" shortens products of float32, and the model is bfloat16; use '
            'score_precision "model"',
        ),
        (
            "tf32",
            torch.float32,
            CPU,
            'score_precision "tf32" is a format of NVIDIA GPUs, and the device is "cpu"; use '
            'score_precision "model"',
        ),
    ],
)
def test_refusals(kind: str, dtype: torch.dtype, device: torch.device, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        check_precision(kind, dtype, device)


def test_a_cpu_without_the_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: False)
    text = (
        'score_precision "bfloat16": this CPU has no instructions for it, and would be slower than '
        'in float32; use score_precision "model"'
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        check_precision("bfloat16", torch.float32, CPU)
    check_precision("bfloat16", torch.float32, GPU)


def test_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)
    check_precision("bfloat16", torch.float32, CPU)
    check_precision("tf32", torch.float32, GPU)
    for dtype in (torch.float64, torch.bfloat16):
        check_precision("model", dtype, CPU)


def test_factors_are_shortened() -> None:
    single, double = torch.ones(2), torch.ones(2, dtype=torch.float64)
    assert shortened(single, "bfloat16").dtype == torch.bfloat16
    assert shortened(double, "bfloat16") is double
    assert shortened(single, "model") is single
    assert shortened(single, "tf32") is single


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_added_up_in_the_longer_type(dtype: torch.dtype) -> None:
    left, right = torch.randn(3, 4).to(dtype), torch.randn(4, 5).to(dtype)
    total = torch.full((3, 5), 1e-3)
    expected = total + (left @ right).float()
    add_product(total, left, right)
    torch.testing.assert_close(total, expected, rtol=1e-6, atol=1e-6)
    out = torch.empty(3, 5)
    assert multiplied(left, right, out) is out
    torch.testing.assert_close(out, (left @ right).float(), rtol=1e-6, atol=1e-6)


def test_settings_are_put_back() -> None:
    before = torch.backends.cuda.matmul.allow_tf32

    def fail() -> None:
        with products_in("tf32", GPU):
            assert torch.backends.cuda.matmul.allow_tf32
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert torch.backends.cuda.matmul.allow_tf32 == before
    with products_in("bfloat16", GPU):
        assert torch.backends.cuda.matmul.allow_tf32 == before


def test_float64_is_not_shortened(make_case: Callable[..., Any]) -> None:
    case = make_case("mlp")
    compute = case.compute
    with case.model.evaluating():
        queries, train = compute(case.queries)[0], compute(case.train)[0]
    exact = InnerProducts(queries)(train)
    assert torch.equal(InnerProducts(queries, precision="bfloat16")(train), exact)


@pytest.mark.parametrize("strategy", [None, *get_args(Strategy)])
@pytest.mark.parametrize("kind", ["mlp", "convolutions", "tied", "words", "transposed"])
def test_bfloat16_in_float32(make_case: Callable[..., Any], kind: str, strategy: Any) -> None:
    case = make_case(kind, torch.float32)
    compute = case.compute
    with case.model.evaluating():
        queries, train = compute(case.queries)[0], compute(case.train)[0]
    exact = InnerProducts(queries)(train)
    for factors in (queries, queries.like(queries.flatten())):
        found = InnerProducts(factors, precision="bfloat16", strategy=strategy)(train)
        assert found.dtype == torch.float32
        error = float((found - exact).norm() / exact.norm())
        assert 1e-5 < error < 1e-2


def test_an_interpreter_takes_it() -> None:
    problem = multilayer_perceptron()
    text = re.escape(
        'score_precision "tf32" shortens products of float32, and the model is float64'
    )
    with pytest.raises(ValueError, match=text):
        GradientDot(problem.module(), problem.train, score_precision="tf32")
    assert GradientDot(problem.module(), problem.train).score_precision == "model"
