"""Groups of training examples, whichever way they are given."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.data import Dataset, Instance
from hessinf.interpreters import ByField, ById, InterpreterError
from hessinf.interpreters.groups import GroupsConfig, find_groups
from hessinf.registry import ConfigError
from hessinf.registry.planner import plan

ROWS = [
    ("paris-0", {"row": {"sex": "f", "age": 41}, "label": "yes"}, 1),
    ("paris-1", {"row": {"sex": "m", "age": 17}, "label": "no"}, 0),
    ("rome-0", {"row": {"sex": "f", "age": 17}, "label": "yes"}, 1),
    ("x", {"row": {"sex": None, "age": 41}, "label": "yes"}, 1),
]


def people(**names: Any) -> Dataset:
    return Dataset(
        [
            Instance(inputs=torch.zeros(2), target=torch.tensor(target), id=name, display=display)
            for name, display, target in ROWS
        ],
        **names,
    )


def groups(by: Any, data: Dataset | None = None) -> dict[str, tuple[int, ...]]:
    found = find_groups(by, people() if data is None else data)
    assert found.sizes == [len(members) for members in found.members]
    return dict(zip(found.names, found.members, strict=True))


def refused(message: str, kind: type[Exception] = InterpreterError) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def test_labels_stand_in_the_order_of_the_classes() -> None:
    assert list(groups("label").items()) == [("0", (1,)), ("1", (0, 2, 3))]
    named = people(label_names=["no", "yes", "never seen"])
    assert list(groups("label", named).items()) == [("no", (1,)), ("yes", (0, 2, 3))]


def test_fields_stand_in_the_order_of_their_first_appearance() -> None:
    expected = [("f", (0, 2)), ("m", (1,)), ("null", (3,))]
    assert list(groups({"field": "row.sex"}).items()) == expected
    assert list(groups(ByField("row.sex")).items()) == expected
    assert groups({"field": "row.age"}) == {"41": (0, 3), "17": (1, 2)}
    assert groups({"field": "label"}) == {"yes": (0, 2, 3), "no": (1,)}


def test_fields_whose_names_have_dots() -> None:
    data = Dataset(
        [
            Instance(torch.zeros(1), torch.tensor(0), "a", {"row": {"size.in.cm": 3}}),
            Instance(torch.zeros(1), torch.tensor(1), "b", {"row": {"size.in.cm": 4}}),
        ]
    )
    assert groups({"field": "row.size.in.cm"}, data) == {"3": (0,), "4": (1,)}


def test_ids() -> None:
    assert groups({"id_pattern": "^([a-z]+)-"}) == {"paris": (0, 1), "rome": (2,)}
    assert groups(ById("[a-z]+-0")) == {"paris-0": (0,), "rome-0": (2,)}


def test_functions() -> None:
    def sort(example: Instance) -> int | None:
        return example.display["row"]["age"] if example.display["row"]["sex"] else None

    assert groups(sort) == {"41": (0,), "17": (1, 2)}


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor])
def test_indices_by_hand(kind: Any) -> None:
    assert groups({"a": kind([3, 1]), "b": kind([1])}) == {"a": (1, 3), "b": (1,)}
    assert groups([kind([3, 1]), kind([0])]) == {"0": (1, 3), "1": (0,)}


class TestRefusals:
    def test_labels_of_regressions(self) -> None:
        data = Dataset.from_columns(torch.zeros(3, 2), torch.zeros(3))
        with refused(
            'groups by "label" need one class for each training example, and these have numbers '
            'for targets; give groups by a field, such as {"field": "row.sex"}, or by indices'
        ):
            groups("label", data)

    def test_labels_of_positions(self) -> None:
        data = Dataset.from_columns(torch.zeros(3, 2), torch.zeros(3, 2, dtype=torch.int64))
        with pytest.raises(InterpreterError, match="and these have several labels; give groups"):
            groups("label", data)

    def test_fields_that_are_not_there(self) -> None:
        with refused(
            'groups by field "row.sx": training example 0 (id "paris-0") has no such field; there '
            'are: row.sex, row.age, label; did you mean "row.sex"?'
        ):
            groups({"field": "row.sx"})

    @pytest.mark.parametrize("field", ["row", "row.sex.x", ""])
    def test_fields_that_are_no_values(self, field: str) -> None:
        if field == "row":  # what is shown as a whole is a value too
            assert len(groups({"field": "row"})) == 4
            return
        with pytest.raises(InterpreterError, match=f'groups by field "{field}": training example'):
            groups({"field": field})

    def test_nobody_is_in_a_group(self) -> None:
        with refused('groups by id_pattern "zz": no training example is in any group'):
            groups({"id_pattern": "zz"})
        with refused("groups by the function that was given: no training example is in any group"):
            groups(lambda example: None)

    @pytest.mark.parametrize("by", ["labels", 3, {"fields": "row.sex"}])
    def test_what_is_no_rule(self, by: Any) -> None:
        with refused(
            'groups are given by "label", {"field": "row.sex"}, {"id_pattern": "^([a-z]+)-"}, a '
            "dict or list of lists of training indices, or a function of an instance; found "
            f"{by!r}",
            ValueError,
        ):
            groups(by)

    @pytest.mark.parametrize(
        ("by", "message"),
        [
            ([], "no groups were given, expected at least one"),
            ([[0], []], 'group "1" is empty, expected at least one training index'),
            ({"a": [0, 4]}, 'group "a" holds the index 4, and there are 4 training examples'),
            ({"a": [-1]}, 'group "a" holds the index -1, and there are 4 training examples'),
            ({"a": [1, 0, 1]}, 'group "a" holds the index 1 twice'),
            ({"a": [True, False]}, 'group "a" holds True, expected training indices'),
            ({"a": [1.0]}, 'group "a" holds 1.0, expected training indices'),
        ],
    )
    def test_indices(self, by: Any, message: str) -> None:
        with refused(message):
            groups(by)


class TestConfigs:
    @pytest.mark.parametrize(
        "by",
        [
            "label",
            {"field": "row.sex"},
            {"id_pattern": "^([a-z]+)-"},
            {"a": [3, 1]},
            [[0], [1, 2]],
        ],
    )
    def test_every_form_but_functions(self, by: Any) -> None:
        built = plan(GroupsConfig, by).build({})
        assert groups(built) == groups(by)

    @pytest.mark.parametrize("by", ["labels", {"field": 3}, {"id_pattern": "("}, [["a"]]])
    def test_what_is_wrong_is_found(self, by: Any) -> None:
        with pytest.raises(ConfigError):
            plan(GroupsConfig, by)
