"""Groups of training examples: by label, by what is shown of them, by id, by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from hessinf.data.display_field import display_field, fields_there
from hessinf.interpreters.errors import InterpreterError
from hessinf.registry import RegularExpression

if TYPE_CHECKING:
    from hessinf.data import Dataset, Instance


@dataclass(frozen=True)
class ByField:
    """A group for each value of a field of what is shown of an example.

    Parameters
    ----------
    field
        The field, inner ones behind a dot: "row.sex" for a table with the column sex.
    """

    field: str


@dataclass(frozen=True)
class ById:
    """A group for each text that an expression finds in the ids of examples.

    Parameters
    ----------
    id_pattern
        Searched in each id; what its first group matches names the group of the example, all that
        it matches where it has no group. Examples in which it is not found are in no group.
    """

    id_pattern: Annotated[str, RegularExpression()]


GroupsConfig = Literal["label"] | ByField | ById | dict[str, list[int]] | list[list[int]]
"""What a config may say: "label", {"field": ...}, {"id_pattern": ...}, indices by name, or lists of
indices."""

GroupsBy = (
    Literal["label"]
    | ByField
    | ById
    | Mapping[str, Any]
    | Sequence[Iterable[int]]
    | Callable[["Instance"], Any]
)
"""The same, or a function of an instance."""


@dataclass(frozen=True)
class Groups:
    """Groups by name; an example may be in several, or in none.

    Parameters
    ----------
    names
        Of the G groups.
    members
        The indices of each, ascending.
    """

    names: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]

    @property
    def sizes(self) -> list[int]:
        """How many examples each group has."""
        return [len(members) for members in self.members]


def find_groups(by: GroupsBy, data: Dataset) -> Groups:
    """Sort examples into groups.

    Parameters
    ----------
    by
        "label" for a group each class, in the order of the classes; :class:`ByField` or
        {"field": ...}; :class:`ById` or {"id_pattern": ...}; indices by name; a list of lists of
        indices, whose groups are called "0", "1", ...; or a function of an instance that returns
        the name of its group, None for no group. Where examples name their groups, those stand in
        the order in which they first appear.
    data
        The examples.

    Raises
    ------
    ValueError
        When ``by`` is nothing of that kind.
    InterpreterError
        When the examples have no such groups, or an index is wrong.
    """
    if isinstance(by, Mapping) and len(by) == 1 and isinstance(next(iter(by.values())), str):
        by = _as_rule(by)
    if by == "label":
        return _by_label(data)
    if isinstance(by, ByField):
        fields = (_field(example, by.field, place) for place, example in enumerate(data))
        return _collected(map(_name, fields), f'field "{by.field}"')
    if isinstance(by, ById):
        return _collected(map(_finder(by), data.ids), f'id_pattern "{by.id_pattern}"')
    if isinstance(by, Mapping):
        return _checked({str(name): indices for name, indices in by.items()}, len(data))
    if callable(by):
        keys = (None if (key := by(example)) is None else str(key) for example in data)
        return _collected(keys, "the function that was given")
    if isinstance(by, Sequence) and not isinstance(by, str):
        return _checked({str(place): indices for place, indices in enumerate(by)}, len(data))
    raise _unknown(by)


def _as_rule(by: Mapping[str, Any]) -> ByField | ById:
    (key, value), *_ = by.items()
    if key == "field":
        return ByField(value)
    if key == "id_pattern":
        return ById(value)
    raise _unknown(dict(by))


def _unknown(by: Any) -> ValueError:
    return ValueError(
        'groups are given by "label", {"field": "row.sex"}, {"id_pattern": "^([a-z]+)-"}, a dict '
        f"or list of lists of training indices, or a function of an instance; found {by!r}"
    )


def _by_label(data: Dataset) -> Groups:
    if not data.is_classification or data.target_shape != ():
        kind = "several labels" if data.is_classification else "numbers for targets"
        raise InterpreterError(
            f'groups by "label" need one class for each training example, and these have {kind}; '
            'give groups by a field, such as {"field": "row.sex"}, or by indices'
        )
    labels = data.targets.tolist()  # N
    inside: dict[int, list[int]] = {label: [] for label in sorted(set(labels))}
    for index, label in enumerate(labels):
        inside[label].append(index)
    names = data.label_names
    return Groups(
        tuple(str(label) if names is None else names[label] for label in inside),
        tuple(tuple(indices) for indices in inside.values()),
    )


def _field(example: Instance, field: str, place: int) -> Any:
    try:
        return display_field(example.display, field)
    except KeyError:
        raise InterpreterError(
            f'groups by field "{field}": training example {place} (id "{example.id}") has no such '
            f"field; {fields_there(example.display, field)}"
        ) from None


def _name(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _finder(by: ById) -> Callable[[str], str | None]:
    pattern = re.compile(by.id_pattern)

    def find(identity: str) -> str | None:
        match = pattern.search(identity)
        return None if match is None else match[min(pattern.groups, 1)]

    return find


def _collected(keys: Iterable[str | None], rule: str) -> Groups:
    inside: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        if key is not None:
            inside.setdefault(key, []).append(index)
    if not inside:
        raise InterpreterError(f"groups by {rule}: no training example is in any group")
    return Groups(tuple(inside), tuple(tuple(indices) for indices in inside.values()))


def _checked(groups: Mapping[str, Any], count: int) -> Groups:
    """Refuse what cannot be the indices of groups."""
    if not groups:
        raise InterpreterError("no groups were given, expected at least one")
    members = []
    for name, given in groups.items():
        indices = given.tolist() if hasattr(given, "tolist") else list(given)
        where = f'group "{name}"'
        for index in indices:
            if isinstance(index, bool) or not isinstance(index, int):
                raise InterpreterError(f"{where} holds {index!r}, expected training indices")
            if not 0 <= index < count:
                raise InterpreterError(
                    f"{where} holds the index {index}, and there are {count} training examples"
                )
        if not indices:
            raise InterpreterError(f"{where} is empty, expected at least one training index")
        if len(set(indices)) < len(indices):
            doubled = next(index for index in indices if indices.count(index) > 1)
            raise InterpreterError(f"{where} holds the index {doubled} twice")
        members.append(tuple(sorted(indices)))
    return Groups(tuple(groups), tuple(members))
