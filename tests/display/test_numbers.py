"""How numbers are written for people."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hessinf.display.numbers import (
    bytes_,
    counted,
    estimate,
    interval,
    measured,
    number,
    percent,
    seconds,
    setting,
    signed,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (7, "7"),
        (34000, "34,000"),
        (-1234567, "-1,234,567"),
        (1.0, "1.000"),
        (0.41234, "0.412"),
        (-0.5, "-0.500"),
        (0.0123456, "0.0123"),
        (0.00123, "0.00123"),
        (0.0009996, "0.00100"),
        (0.000999, "9.99e-4"),
        (-2.5e-08, "-2.50e-8"),
        (1e-300, "1.00e-300"),
        (0.99949, "0.999"),
        (0.99951, "1.000"),
        (9.9996, "10.00"),
        (12.345, "12.35"),
        (151.0, "151.0"),
        (999.94, "999.9"),
        (999.96, "1,000"),
        (12345.6, "12,346"),
        (999999.4, "1.00e6"),
        (1.5e7, "1.50e7"),
        (1e300, "1.00e300"),
        (math.nan, "NaN"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        ("nan", "NaN"),
        ("-inf", "-inf"),
        ("undefined", "undefined"),
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (np.float32(0.5), "0.500"),
        (np.int64(5000), "5,000"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (-2000.0, "-2,000"),
        (123456789.0, "123,456,789"),
        (1e9, "1.00e9"),
        (1.25, "1.250"),
        (math.nan, "NaN"),
        (-math.inf, "-inf"),
    ],
)
def test_measured(value, text):
    assert measured(value) == text


@pytest.mark.parametrize("power", [1e-9, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 1e6, 1e9])
def test_what_rounds_to_a_power_of_ten_looks_like_it(power):
    assert number(power * 0.9999999) == number(power)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.5, "+2.500"),
        (-3.0, "-3.000"),
        (0.0, "0"),
        (3, "+3"),
        (1e-9, "+1.00e-9"),
        (None, ""),
        (math.nan, "NaN"),
        (math.inf, "inf"),
        ("nan", "NaN"),
        (True, "yes"),
    ],
)
def test_signed(value, text):
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "0.001"),
        (0.1, "0.1"),
        (1e-4, "1e-4"),
        (4.2e-4, "4.2e-4"),
        (2.0, "2"),
        (100.0, "100"),
        (1000.0, "1,000"),
        (2e6, "2e6"),
        (5000, "5,000"),
        (None, ""),
        (math.inf, "inf"),
    ],
)
def test_setting(value, text):
    assert setting(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (1, "100 %"),
        (0.5, "50.0 %"),
        (0.9731, "97.3 %"),
        (0.99951, "> 99.9 %"),
        (0.99949, "99.9 %"),
        (0.0004, "< 0.1 %"),
        (-0.0004, "> -0.1 %"),
        (-0.25, "-25.0 %"),
        (12.0, "1,200.0 %"),
        (math.nan, "NaN"),
        (None, ""),
        ("nan", "NaN"),
    ],
)
def test_percent(share, text):
    assert percent(share) == text


def test_interval():
    assert interval(0.35, -1234.5) == "[0.350, -1,234]"
    assert interval("nan", None) == "[NaN, ]"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.412345, 0.00451, "0.4123 ± 0.0045"),
        (1234.5, 21.4, "1,234 ± 21"),
        (12345.0, 1200.0, "12,345 ± 1,200"),
        (2.0, 0.0996, "2.00 ± 0.10"),
        (0.5, 1e-12, "0.500000 ± 0.000000"),
        (0.5, 0.0, "0.500 ± 0"),
        (0.5, "nan", "0.500 ± NaN"),
        ("inf", 0.1, "inf ± 0.100"),
    ],
)
def test_estimate(value, error, text):
    assert estimate(value, error) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0, "0 s"),
        (0.0004, "< 1 ms"),
        (0.0014, "1 ms"),
        (0.0421, "42 ms"),
        (0.0996, "0.10 s"),
        (1.254, "1.25 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125.4, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (12000, "3 h 20 min"),
        (36e6, "10,000 h 00 min"),
        (None, ""),
        ("nan", "NaN"),
    ],
)
def test_seconds(duration, text):
    assert seconds(duration) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1.00 KiB"),
        (1536.0, "1.50 KiB"),
        (203 * 2**20, "203 MiB"),
        (999.6 * 2**20, "0.98 GiB"),
        (2**31, "2.00 GiB"),
        (2**50, "1,024 TiB"),
        (None, ""),
        ("nan", "NaN"),
    ],
)
def test_bytes(count, text):
    assert bytes_(count) == text


def test_counted():
    assert counted(1, "byte") == "1 byte"
    assert counted(0, "byte") == "0 bytes"
    assert counted(1200, "query", "queries") == "1,200 queries"
    assert counted(1, "query", "queries") == "1 query"
