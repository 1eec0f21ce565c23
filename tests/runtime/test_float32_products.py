"""Products of float32 keep their precision, and nothing is left changed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hessinf.runtime import float32_products as module
from hessinf.runtime.float32_products import float32_products


class Settings:
    fp32_precision = "none"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    found = Settings()
    monkeypatch.setattr(module, "_settings", lambda: found)
    monkeypatch.setattr(module, "_gains", lambda: True)
    return found


@pytest.mark.parametrize("shape", [(64, 64, 64), (180, 1000, 70), (3, 4000, 5)])
def test_float32_it_stays(shape: tuple[int, int, int]) -> None:
    rows, inner, columns = shape
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    exact = left.double() @ right.double()
    with float32_products():
        found = left @ right
        batched = torch.bmm(left[None], right[None])[0]
    for values in (found, batched):
        assert float((values - exact).norm() / exact.norm()) < 3e-6


def test_other_types_are_as_they_were() -> None:
    left = torch.randn(70, 70, dtype=torch.float64)
    plain = left @ left
    with float32_products():
        assert torch.equal(left @ left, plain)


def test_the_setting_is_put_back(settings: Settings) -> None:
    def fail() -> None:
        with float32_products():
            assert settings.fp32_precision == "bf16"
            with float32_products():  # inside itself
                assert settings.fp32_precision == "bf16"
            assert settings.fp32_precision == "bf16"
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert settings.fp32_precision == "none"


def test_what_the_caller_set_is_kept(settings: Settings) -> None:
    settings.fp32_precision = "ieee"
    with float32_products():
        assert settings.fp32_precision == "ieee"


def test_nothing_is_set_where_nothing_is_gained(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_gains", lambda: False)
    with float32_products():
        assert settings.fp32_precision == "none"


def test_an_older_pytorch_has_no_such_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_settings", lambda: None)
    with float32_products():
        pass


@pytest.mark.parametrize(("shortens", "gains"), [(False, True), (True, False)])
def test_a_machine_that_shortens_numbers_is_found_out(
    monkeypatch: pytest.MonkeyPatch, shortens: bool, gains: bool
) -> None:
    found = Settings()
    monkeypatch.setattr(module, "_settings", lambda: found)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    plain = torch.Tensor.__matmul__

    def multiply(left: torch.Tensor, right: torch.Tensor) -> Any:
        if shortens and found.fp32_precision == "bf16" and left.dtype == torch.float32:
            return plain(left.bfloat16().float(), right.bfloat16().float())
        return plain(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", multiply)
    assert module._gains.__wrapped__() == gains
    assert found.fp32_precision == "none"


@pytest.mark.parametrize("missing", ["library", "vectors"])
def test_a_machine_without_wide_vectors(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: missing != "library")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not module._gains.__wrapped__()
