from __future__ import annotations

import pytest

from hessinf.data.display_field import display_field, field_names

DISPLAY = {"label": "a", "row": {"sex": "f", "x.y": 3, "deep": {"er": None}}, "none": None}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", "a"),
        ("row.sex", "f"),
        ("row.x.y", 3),
        ("row.deep.er", None),
        ("row.deep", {"er": None}),
        ("none", None),
    ],
)
def test_fields_are_found(field, value):
    assert display_field(DISPLAY, field) == value


@pytest.mark.parametrize("field", ["", "sex", "row.", "row.age", "label.a", "row.sex.f", "none.x"])
def test_what_is_no_field_is_an_error(field):
    with pytest.raises(KeyError):
        display_field(DISPLAY, field)


def test_all_innermost_fields_are_named():
    assert list(field_names(DISPLAY)) == ["label", "row.sex", "row.x.y", "row.deep.er", "none"]
