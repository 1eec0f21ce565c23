from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from hessinf.display.pixels import image_of, pixels_of, reduced, value_range


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((4, 5), (4, 5)),
        ((4, 5, 3), (4, 5, 3)),
        ((3, 4, 5), (4, 5, 3)),
        ((1, 4, 5), (4, 5)),
        ((4, 5, 1), (4, 5)),
        ((3, 4, 3), (3, 4, 3)),
        ((1, 1), (1, 1)),
    ],
)
def test_channels_come_last(shape, found):
    values = np.arange(np.prod(shape), dtype=float).reshape(shape)
    for given in (values, values.tolist(), torch.tensor(values)):
        image = image_of(given)
        assert image.shape == found
        if shape[0] == 3 and found != shape:
            np.testing.assert_array_equal(image[:, :, 1], values[1])
        else:
            np.testing.assert_array_equal(image.ravel(), values.ravel())


@pytest.mark.parametrize(
    "given",
    [
        None, "picture.png", {"a": 1}, [], [[]], [1, 2], [[1, 2], [3]], [["a"]], [[None]],
        [[10**400]], np.zeros((2, 2, 4)), np.zeros((2, 2, 2, 2)), [[1j]],
    ],
)  # fmt: skip
def test_what_is_no_image_is_none(given):
    assert image_of(given) is None
    assert pixels_of(given) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.3], (0, 1)),
        ([0, 1], (0, 1)),
        ([3, 16], (0, 16)),
        ([3, 12.5], (0, 12.5)),
        ([0, 17], (0, 255)),
        ([0, 254.7], (0, 255)),
        ([0, 40.5], (0, 40.5)),
        ([0, 300], (0, 300)),
        ([-0.5, 0.5], (-1, 1)),
        ([-0.5, 2], (-0.5, 2)),
        ([-7, -7], (-8, -6)),
        ([0, 0], (0, 1)),
        ([float("nan"), 0.5], (0, 1)),
        ([float("nan")], (0, 1)),
    ],
)
def test_the_range_is_the_smallest_usual_one_that_holds_all(values, expected):
    images = [np.array([[value]]) for value in values]
    assert value_range(images) == expected
    assert value_range([np.array([values])]) == expected


def test_one_range_for_all_keeps_dark_pictures_dark():
    dark, bright = np.array([[0.0, 10.0]]), np.array([[0.0, 255.0]])
    shown = value_range([dark, bright])
    assert pixels_of(dark, shown).tolist() == [[0, 10]]
    assert pixels_of(dark).tolist() == [[0, 159]]  # by itself: of 16


@pytest.mark.parametrize(
    ("image", "pixels"),
    [
        ([[0, 0.5, 1]], [[0, 128, 255]]),
        ([[-1.0, 1.0]], [[0, 255]]),
        ([[1e308, -1e308]], [[255, 0]]),
        ([[float("nan"), float("inf"), float("-inf"), 1.0]], [[0, 255, 0, 255]]),
        ([[True, False]], [[255, 0]]),
    ],
)
def test_values_become_bytes(image, pixels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pixels_of(image)
    assert found.dtype == np.uint8
    assert found.tolist() == pixels


class TestReduced:
    def test_whole_cells_are_averaged(self):
        pixels = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
        cells = pixels.astype(float).reshape(14, 2, 14, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(reduced(pixels, 14), cells, atol=0.51)

    @pytest.mark.parametrize(
        ("shape", "small"), [((9, 5), (4, 2)), ((300, 2), (4, 1)), ((6, 9, 3), (3, 4, 3))]
    )
    def test_sides_keep_their_relation(self, shape, small):
        found = reduced(np.full(shape, 200, dtype=np.uint8), 4)
        assert found.shape == small
        assert found.dtype == np.uint8
        assert (found == 200).all()

    def test_what_is_small_stays(self):
        pixels = np.zeros((8, 8), dtype=np.uint8)
        assert reduced(pixels, 8) is pixels
