from __future__ import annotations

import json

import numpy as np
import pytest

from hessinf.display.pixels import image_of
from hessinf.reporting.image_texts import ImageText, parsed


def line(value) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "image",
    [
        [[0, 16], [3, 4]],
        [[0.5, -1e-3, 2.5e10]],
        [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [0, 0, 0]]],
        [[255]],
    ],
)
def test_an_image_has_the_numbers_of_its_text(image):
    found = parsed(line({"id": "a", "display": {"image": image, "label": "1"}}))
    display = found["display"]
    assert isinstance(display["image"], ImageText)
    assert display["image"].tolist() == image
    np.testing.assert_array_equal(np.asarray(display["image"]), np.array(image, dtype=float))
    assert {**found, "display": {"label": "1"}} == {"id": "a", "display": {"label": "1"}}


@pytest.mark.parametrize("image", [[[1, 2], [3]], [[1, [2]]], [[]], [[], []]])
def test_what_is_no_image_stays_what_it_is(image):
    found = parsed(line({"image": image}))["image"]
    assert (found.tolist() if isinstance(found, ImageText) else found) == image
    assert image_of(found) is None


@pytest.mark.parametrize("image", [None, "a", 3, [], [1, 2], {"a": 1}, [["a"]], [[None, 1]]])
def test_what_is_no_list_of_numbers_is_read_as_json(image):
    assert parsed(line({"image": image})) == {"image": image}


def test_several_images_of_a_line_keep_their_places():
    images = [[[place, place]] for place in range(12)]
    found = parsed(line([{"image": image} for image in images]))
    assert [one["image"].tolist() for one in found] == images


def test_an_image_at_another_place_is_found_too():
    found = parsed(line({"row": {"image": [[1, 2]]}}))
    assert found["row"]["image"].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "value",
    [
        {"text": '"image": [[1, 2]]'},
        {"image": '"image": [[1]]', "text": 'ends in "image'},
        {"image": "\1image 0", "other": {"image": [[5]]}},
        {"\1image 0": {"image": "\1image 7"}},
    ],
)
def test_texts_that_look_like_images_or_marks_stay_texts(value):
    assert parsed(line(value)) == value


def test_what_is_no_json_is_refused():
    with pytest.raises(ValueError, match="Expecting"):
        parsed(b'{"image": [[1, 2]]')


def test_numbers_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"could not be read to its end|cannot reshape"):
        np.asarray(parsed(b'{"image": [[1-2, 3]]}')["image"])
