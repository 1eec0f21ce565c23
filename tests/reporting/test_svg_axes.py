from __future__ import annotations

import itertools

import pytest

from hessinf.reporting.svg_axes import linear, logarithmic, written


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0", "0.5", "1"]),
        (-0.2, 0.9, ["0", "0.5"]),
        (1e-12, 3e-12, ["1e-12", "1.5e-12", "2e-12", "2.5e-12", "3e-12"]),
        (0.3, 0.3, ["−0.2", "0", "0.2", "0.4", "0.6", "0.8"]),
        (5e8, 5e8, ["3e+08", "4e+08", "5e+08", "6e+08", "7e+08"]),
    ],
)
def test_a_linear_axis_has_round_numbers(low, high, texts):
    scale = linear(low, high, 0, 100)
    assert [text for _, text in scale.ticks()] == texts
    assert all(0 <= scale(value) <= 100 for value, _ in scale.ticks())
    assert 0 < scale(low) <= scale(high) < 100


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.04, 0.06, ["0.02", "0.05", "0.1"]),
        (0.1, 900.0, ["0.1", "1", "10", "100", "1000"]),
        (1e-9, 1e-7, ["10⁻⁹", "10⁻⁸", "10⁻⁷"]),
        (1e-30, 1.0, ["10⁻³⁰", "10⁻²⁵", "10⁻²⁰", "10⁻¹⁵", "10⁻¹⁰", "10⁻⁵", "1"]),
    ],
)
def test_a_logarithmic_axis_has_round_factors(low, high, texts):
    scale = logarithmic(low, high, 0, 100)
    assert [text for _, text in scale.ticks()] == texts
    assert all(0 <= scale(value) <= 100 for value, _ in scale.ticks())


def test_equal_factors_are_equal_distances():
    scale = logarithmic(1.0, 1e4, 100, 0)
    places = [scale(10.0**power) for power in range(5)]
    steps = [b - a for a, b in itertools.pairwise(places)]
    assert steps == pytest.approx([steps[0]] * 4)
    assert steps[0] < 0


def test_what_has_no_logarithm_lies_at_the_start():
    scale = logarithmic(1.0, 100.0, 7, 100)
    assert scale(0.0) == scale(-3.0) == 7


def test_powers_are_written_short():
    assert [written(value) for value in (1e-3, 5e-4, 2e5, 1e6, 5e-10)] == [
        "0.001", "5·10⁻⁴", "200000", "10⁶", "5·10⁻¹⁰",
    ]  # fmt: skip
