from __future__ import annotations

import pickle

import pytest

from hessinf.errors import HessinfError
from hessinf.registry import (
    ConfigError,
    JsonnetError,
    PluginError,
    Problem,
    RegistrationError,
    UnknownNameError,
)


@pytest.mark.parametrize("kind", [JsonnetError, PluginError, RegistrationError, UnknownNameError])
def test_one_family_of_errors(kind):
    assert issubclass(kind, ConfigError)
    assert issubclass(kind, HessinfError)
    assert kind("x").exit_status == 2


def test_the_example_of_the_design_to_the_letter():
    error = ConfigError(
        [
            Problem(
                "interpreter.dampning",
                'unknown argument of "kfac" (hessinf.interpreters.kfac.Kfac); '
                'did you mean "damping"?',
            ),
            Problem("model.hidden_sizes.1", 'expected int, found "64" (str)'),
            Problem(
                "dataset_reader.type",
                'no DatasetReader is registered as "digit"; did you mean "digits"?',
            ),
        ],
        "configs/digits/kfac.jsonnet",
    )
    assert str(error) == (
        "config error: 3 problems in configs/digits/kfac.jsonnet\n"
        '  interpreter.dampning   unknown argument of "kfac" (hessinf.interpreters.kfac.Kfac); '
        'did you mean "damping"?\n'
        '  model.hidden_sizes.1   expected int, found "64" (str)\n'
        '  dataset_reader.type    no DatasetReader is registered as "digit"; '
        'did you mean "digits"?'
    )
    assert error.path == "interpreter.dampning"
    assert len(error.problems) == 3


def test_details_stand_below_the_message():
    error = ConfigError([Problem("a.b", "wrong", ("accepts: x", "or y"), "--set a.b=3")])
    assert str(error) == (
        "config error: 1 problem\n"
        "  a.b   wrong   [from --set a.b=3]\n"
        "        accepts: x\n"
        "        or y"
    )


def test_a_message_about_the_whole():
    assert str(ConfigError("no good")) == "config error: no good"
    assert str(ConfigError("no good", "a.jsonnet")) == "config error: a.jsonnet: no good"
    error = ConfigError([Problem("", "no good", ("more",))])
    assert str(error) == "config error: no good\n  more"


def test_a_message_of_several_lines_stays_in_its_column():
    error = ConfigError([Problem("a", "first\nsecond", origin="-o a"), Problem("bcd", "x")])
    assert str(error) == (
        "config error: 2 problems\n  a     first   [from -o a]\n        second\n  bcd   x"
    )


def test_a_long_path_moves_only_its_own_message():
    long = "x" * 60
    error = ConfigError([Problem(long, "first"), Problem("a", "second")])
    assert str(error).splitlines()[1:] == [
        f"  {long}   first",
        f"  {'a':<48}   second",
    ]


def test_errors_come_back_from_other_processes():
    error = ConfigError([Problem("a", "b", ("c",), "d")], "e")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.problems == error.problems
    assert again.source == "e"
    assert isinstance(pickle.loads(pickle.dumps(PluginError("x"))), PluginError)


def test_below_moves_a_problem_up():
    assert Problem("b.0", "x").below("a").path == "a.b.0"
    assert Problem("", "x").below("a").path == "a"
