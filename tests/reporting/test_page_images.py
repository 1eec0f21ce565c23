from __future__ import annotations

import gzip

import numpy as np
import pytest

from hessinf.reporting import page_images
from hessinf.reporting.page_images import ImageStore
from tests.reporting.opened_page import images_of

PLENTY = 10**9


def store_of(*images):
    store = ImageStore()
    for image in images:
        store.add(image)
    return store


def packed(store, room=PLENTY):
    segments, note = store.pack(room, store.value_range)
    return [image for one in segments for image in images_of(gzip.decompress(one))], note


def noise(count, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape))


def test_images_are_written_row_by_row():
    found, note = packed(store_of([[0, 16, 8], [4, 1, 2]], [[[0, 8, 16]]]))
    assert note is None
    assert found == [
        ((2, 3, 1), bytes([0, 255, 128, 64, 16, 32])),
        ((1, 1, 3), bytes([0, 128, 255])),
    ]


def test_channels_may_come_first():
    image = np.arange(12).reshape(3, 2, 2) * 20
    found, _ = packed(store_of(image))
    assert found == [((2, 2, 3), image.transpose(1, 2, 0).astype(np.uint8).tobytes())]


def test_there_is_one_range_for_all():
    dark, bright = [[0.0, 0.1]], [[0.5, 1.0]]
    found, _ = packed(store_of(dark, bright))
    assert [values for _, values in found] == [bytes([0, 26]), bytes([128, 255])]


def test_bytes_stay_what_they_are():
    image = noise(1, (8, 8))[0]
    found, _ = packed(store_of(image, np.full((1, 1), 255)))
    assert found[0] == ((8, 8, 1), image.astype(np.uint8).tobytes())


@pytest.mark.filterwarnings("error")
def test_odd_values_are_shown_without_a_word():
    found, _ = packed(store_of([[float("nan"), float("inf")], [0.0, -1e300]], [[1e300, 0.5]]))
    assert [shape for shape, _ in found] == [(2, 2, 1), (1, 2, 1)]
    assert found[0][1][0] == 0


@pytest.mark.parametrize("image", [None, "a", [], [[]], [[1], [2, 3]], [["a"]], {}, 3])
def test_what_is_no_image_has_no_number(image):
    store = ImageStore()
    assert store.add(image) is None
    assert store.add([[1]]) == 0
    assert len(store) == 1


def test_without_images_there_is_nothing_to_pack():
    assert ImageStore().value_range is None
    assert ImageStore().pack(PLENTY, None) == ([], None)


def test_a_segment_holds_256_images(monkeypatch):
    store = store_of(*noise(600, (2, 2)))
    segments, _ = store.pack(PLENTY, store.value_range)
    assert [len(images_of(gzip.decompress(one))) for one in segments] == [256, 256, 88]


def test_images_are_made_smaller_until_they_fit():
    store = store_of(*noise(300, (32, 32, 3)))
    room = 150_000
    segments, note = store.pack(room, store.value_range)
    taken = sum(-(-len(one) // 3) * 4 for one in segments)
    assert 0.75 * room < taken <= room
    found, _ = packed(store, room)
    assert len(found) == 300
    assert {shape for shape, _ in found} == {(11, 11, 3)}
    assert note == "reduced to at most 11 × 11 pixels to keep the page small"


def test_images_that_compress_well_stay_as_they_are():
    found, note = packed(store_of(*[np.full((32, 32, 3), 7)] * 300), 150_000)
    assert note is None
    assert found[0][0] == (32, 32, 3)


def test_large_images_are_made_smaller_first():
    small, large = noise(50, (8, 8), 1), noise(50, (64, 32), 2)
    found, note = packed(store_of(*small, *large), 30_000)
    shapes = [shape for shape, _ in found]
    assert shapes[:50] == [(8, 8, 1)] * 50
    height, width, _ = shapes[50]
    assert 8 < height < 64
    assert width == round(height / 2)
    assert note == f"reduced to at most {height} × {height} pixels to keep the page small"


def test_the_same_images_give_the_same_bytes():
    images = noise(300, (16, 16, 3))
    first, second = (store_of(*images).pack(60_000, (0, 255)) for _ in range(2))
    assert first == second


def test_where_nothing_fits_something_can_be_seen_still():
    found, note = packed(store_of(*noise(300, (16, 16))), 10)
    assert found[0][0] == (4, 4, 1)
    assert note == "reduced to at most 4 × 4 pixels to keep the page small"


def test_very_many_large_images_are_made_smaller_as_they_come(monkeypatch):
    monkeypatch.setattr(page_images, "MOST_HELD", 100_000)
    images = np.random.default_rng(0).random((40, 64, 64))  # float32 when held: 16 KiB each
    store = store_of(*images)
    held = sum(one.nbytes for one in store._images)
    assert held <= 100_000
    found, note = packed(store)
    assert {shape for shape, _ in found} == {(16, 16, 1)}
    assert note == "reduced to at most 16 × 16 pixels to keep the page small"
    mean = np.frombuffer(found[0][1], np.uint8).mean() / 255
    assert mean == pytest.approx(images[0].mean(), abs=0.01)
