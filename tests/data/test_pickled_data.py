from __future__ import annotations

import os
import pickle
import re
from collections import OrderedDict
from decimal import Decimal

import pytest

from hessinf.data.errors import DataError
from hessinf.data.pickled_data import Description, describe_pickle

PLAIN = [
    None,
    True,
    False,
    0,
    255,
    65_535,
    -1,
    2**40,
    2**100,
    0.1,
    "text",
    "x" * 300,
    b"bytes",
    b"x" * 300,
    (),
    (1,),
    (1, 2),
    (1, 2, 3),
    (1, 2, 3, 4),
    [],
    [1],
    [1, "two", [3.0]],
    {},
    {"a": 1},
    {"a": 1, "b": {"c": (1, [2])}},
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_plain_values_are_themselves(value):
    # Protocol 2 has no bytes, but a call that makes them.
    for protocol in range(3 if isinstance(value, bytes) else 2, 6):
        assert describe_pickle(pickle.dumps(value, protocol)) == value


def test_byte_arrays():
    assert describe_pickle(pickle.dumps(bytearray(b"abc"), 5)) == bytearray(b"abc")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_appears_twice_is_one_thing(protocol):
    shared = ["shared"]
    first, second = describe_pickle(pickle.dumps([shared, shared], protocol))
    assert first is second
    assert first == shared


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_calls_are_described_and_not_made(tmp_path, protocol):
    path = str(tmp_path / "made")
    content = pickle.dumps(Harmful(path), protocol)
    described = describe_pickle(content)
    assert isinstance(described, Description)
    assert described.name == f"{os.mkdir.__module__}.mkdir"
    assert described.arguments == (path,)
    assert not os.path.exists(path)
    pickle.loads(content)
    assert os.path.exists(path), "the same pickle does call it where it is unpickled"


def test_nothing_is_imported():
    content = pickle.dumps(Decimal(1), 4).replace(b"\x07decimal", b"\x07no.such")
    described = describe_pickle(content)
    assert (described.name, described.arguments) == ("no.such.Decimal", ("1",))


def test_states():
    error = ValueError("a")
    error.__dict__["note"] = 1
    described = describe_pickle(pickle.dumps(error))
    assert (described.name, described.arguments, described.state) == (
        "builtins.ValueError",
        ("a",),
        {"note": 1},
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "it is no whole pickle: pickle exhausted before seeing STOP"),
        (b"hello", "byte 0 has the instruction BINGET, which is not followed there"),
        (
            pickle.dumps([1, 2, 3])[:-1],
            "it is no whole pickle: pickle exhausted before seeing STOP",
        ),
        (
            pickle.dumps({1, 2}),
            "byte 11 has the instruction EMPTY_SET, which is not followed there",
        ),
        (
            pickle.dumps(OrderedDict(a=1)),
            "has the instruction SETITEM, which is not followed there",
        ),
        (pickle.dumps({(1, ()): 1}).replace(b")", b"]"), "SETITEM, which is not followed there"),
        (b"\x80\x04.", "it ends with 0 values, expected one"),
        (b"\x80\x04NN.", "it ends with 2 values, expected one"),
        (b"\x80\x04(N.", "it ends with 1 values, expected one"),
        (b"\x80\x04h\x07.", "byte 2 has the instruction BINGET, which is not followed there"),
        (b"\x80\x04R.", "byte 2 has the instruction REDUCE, which is not followed there"),
        (b"\x80\x04K\x01K\x02R.", "byte 6 has the instruction REDUCE, which is not followed there"),
        (b"\x80\x04t.", "byte 2 has the instruction TUPLE, which is not followed there"),
        (b"\x80\x04N\x85\x86.", "byte 4 has the instruction TUPLE2, which is not followed there"),
        (b"\x80\x05\x97.", "byte 2 has the instruction NEXT_BUFFER, which is not followed there"),
        (b"\x80\x02cos\nsystem\nP1\n.", "has the instruction PERSID, which is not followed there"),
    ],
)
def test_refusals(content, text):
    with pytest.raises(DataError, match=re.escape(text)):
        describe_pickle(content)
