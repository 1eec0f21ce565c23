from __future__ import annotations

import itertools

from hessinf.reporting.label_places import Box, along, label_places

PANEL = Box(0, 0, 400, 300)


def test_one_name_stands_to_the_right_of_its_point():
    (place,) = label_places([(100, 100)], [50], height=10, gap=6, inside=PANEL)
    assert place.box == Box(106, 95, 156, 105)
    assert not place.far


def test_at_the_right_edge_it_stands_to_the_left():
    (place,) = label_places([(390, 100)], [50], height=10, gap=6, inside=PANEL)
    assert place.box == Box(334, 95, 384, 105)


def test_names_of_one_point_are_all_placed_inside_and_apart():
    places = label_places([(200, 150)] * 20, [60] * 20, height=10, gap=6, inside=PANEL)
    for one, other in itertools.combinations(places, 2):
        assert one.box.shared(other.box) == 0
    assert all(place.box.beyond(PANEL) == 0 for place in places)
    assert [place.far for place in places[:4]] == [False] * 4
    assert places[-1].far


def test_lines_are_left_free():
    line = Box(106, 50, 108, 150)
    (place,) = label_places([(100, 100)], [50], height=10, gap=6, inside=PANEL, lines=[line])
    assert place.box.shared(line) == 0


def test_points_are_left_free():
    places = label_places([(100, 100), (120, 100)], [50, 50], height=10, gap=6, inside=PANEL)
    assert places[0].box.right <= 100
    assert places[1].box.left >= 120


def test_a_line_through_points_is_covered_by_boxes():
    boxes = along([(0, 0), (30, 40)], 10)
    assert len(boxes) == 6
    assert boxes[0] == Box(-1, -1, 1, 1)
    assert boxes[-1] == Box(29, 39, 31, 41)
    assert along([(3, 3)], 10) == []
