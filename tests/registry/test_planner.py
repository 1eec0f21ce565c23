"""The two phases: everything is checked before anything is built."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from hessinf.registry import AtLeast, ConfigError, Lazy, Registrable, load_config, plan

BUILT: list[str] = []


class DatasetReader(Registrable):
    pass


@DatasetReader.register("digits")
class Digits(DatasetReader):
    def __init__(self, path: str = "here", parts: list[DatasetReader] | None = None) -> None:
        BUILT.append("digits")
        self.path = path


@DatasetReader.register("table")
class Table(DatasetReader):
    def __init__(self, path: str) -> None:
        BUILT.append("table")
        if path == "bad":
            raise ValueError("path must not be bad")


class Model(Registrable):
    default_implementation = "mlp"
    injected = ("in_features", "seed")


@Model.register("mlp")
class Mlp(Model):
    def __init__(self, in_features: int, hidden_sizes: list[int], seed: int = 0) -> None:
        BUILT.append("mlp")
        self.in_features, self.hidden_sizes, self.seed = in_features, hidden_sizes, seed


class Interpreter(Registrable):
    injected = ("model",)

    def __init__(self, model: Any, damping: Annotated[float, AtLeast(0)] = 0.1) -> None:
        BUILT.append("interpreter")
        self.model, self.damping = model, damping


@Interpreter.register("kfac")
class Kfac(Interpreter):
    injected = ("train_data",)

    def __init__(self, train_data: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.train_data = train_data


@dataclass
class Run:
    dataset_reader: DatasetReader
    interpreter: Lazy[Interpreter]
    model: Lazy[Model] = field(default_factory=lambda: Lazy(Mlp, hidden_sizes=[4]))


@pytest.fixture(autouse=True)
def _nothing_built():
    BUILT.clear()


def write(tmp_path, text: str):
    file = tmp_path / "kfac.jsonnet"
    file.write_text(text)
    return str(file)


WRONG = """{
  interpreter: {type: "kfac", dampning: 0.1},
  model: {hidden_sizes: [3, "64"]},
  dataset_reader: {type: "digit"},
}"""


def test_the_example_of_the_design(tmp_path):
    file = write(tmp_path, WRONG)
    with pytest.raises(ConfigError) as raised:
        plan(Run, load_config(file))
    lines = str(raised.value).splitlines()
    assert lines[0] == f"config error: 3 problems in {file}"
    first, second, third = sorted(line for line in lines[1:] if not line.startswith("   "))
    assert (
        first == '  dataset_reader.type    no DatasetReader is registered as "digit"; did '
        'you mean "digits"?'
    )
    assert second == (
        f'  interpreter.dampning   unknown argument of "kfac" ({__name__}.Kfac); '
        'did you mean "damping"?'
    )
    assert third == '  model.hidden_sizes.1   expected int, found "64" (str)'


def test_problems_carry_path_found_value_expectation_and_accepted_names(tmp_path):
    with pytest.raises(ConfigError) as raised:
        plan(Run, load_config(write(tmp_path, WRONG)))
    problems = {problem.path: problem for problem in raised.value.problems}
    assert problems["interpreter.dampning"].details == ("accepts: damping",)
    assert problems["dataset_reader.type"].details[0] == "registered: digits, table"
    assert raised.value.source.endswith("kfac.jsonnet")


def test_origin_of_overrides(tmp_path):
    file = write(tmp_path, '{interpreter: "kfac", dataset_reader: "digits"}')
    config = load_config(
        file,
        overrides='{"interpreter.dampng": 1, dataset_reader: {type: "tabel"}}',
        settings=["interpreter.damping=true", "modle.hidden_sizes=3", "dataset_reader.pth=x"],
    )
    with pytest.raises(ConfigError) as raised:
        plan(Run, config, label="the config")
    assert [
        (problem.path, problem.message, problem.origin) for problem in raised.value.problems
    ] == [
        (
            "dataset_reader.type",
            'no DatasetReader is registered as "tabel"; did you mean "table"?',
            "-o dataset_reader",
        ),
        (
            "interpreter.dampng",
            f'unknown argument of "kfac" ({__name__}.Kfac); did you mean "damping"?',
            "-o interpreter.dampng",
        ),
        (
            "interpreter.damping",
            "expected float, found true (bool)",
            "--set interpreter.damping=true",
        ),
        (
            "modle",
            'unknown argument of the config; did you mean "model"?',
            "--set modle.hidden_sizes=3",
        ),
    ]
    assert 'did you mean "model"?   [from --set modle.hidden_sizes=3]' in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dataset_reader": {"type": "digits", "pth": "x"}},
        {"interpreter": {"type": "kfac", "damping": -1}},
        {"interpreter": "kfca"},
        {"model": {"hidden_sizes": "64"}},
        {"modle": 3},
        {"dataset_reader": {"type": "digits", "parts": ["digits", {"type": "table"}]}},
    ],
)
def test_nothing_is_built_when_there_is_a_problem_anywhere(wrong):
    good = {"dataset_reader": "digits", "interpreter": "kfac"}
    plan(Run, good)
    with pytest.raises(ConfigError):
        plan(Run, {**good, **wrong})
    assert BUILT == []


def test_a_plan_is_built_in_order():
    planned = plan(Run, {"interpreter": "kfac", "dataset_reader": "digits"})
    assert BUILT == []
    run = planned.build({"in_features": 7, "model": "m"})
    assert BUILT == ["digits"]
    assert run.interpreter.construct().model == "m"
    assert run.model.construct(in_features=2).in_features == 2
    assert BUILT == ["digits", "interpreter", "mlp"]


def test_missing_required_argument():
    with pytest.raises(ConfigError) as raised:
        DatasetReader.from_config("table")
    assert str(raised.value) == (
        "config error: 1 problem\n"
        f'  path   missing required argument of "table" ({__name__}.Table), expected str'
    )


def test_bare_name_keeps_the_path():
    with pytest.raises(ConfigError) as raised:
        plan(Run, {"dataset_reader": "table", "interpreter": "kfac"})
    assert raised.value.path == "dataset_reader.path"


def test_missing_type_without_default():
    with pytest.raises(ConfigError) as raised:
        plan(Run, {"dataset_reader": {"path": "x"}, "interpreter": "kfac"})
    (problem,) = raised.value.problems
    assert problem.path == "dataset_reader.type"
    assert problem.message == "missing: which DatasetReader? (registered: digits, table)"


def test_abstract_base_with_nothing_registered():
    class Empty(Registrable):
        pass

    with pytest.raises(ConfigError) as raised:
        Empty.from_config({})
    (problem,) = raised.value.problems
    assert problem.message == "missing: which Empty? (nothing is registered yet)"
    assert problem.details == (
        "plugins loaded: none; load one with --include-package PKG, "
        '"include": ["PKG"] in the config, or a line in .hessinf_plugins',
    )


def test_abstract_class():
    class Shape(Registrable, abc.ABC):
        @abc.abstractmethod
        def area(self) -> float: ...

    @Shape.register("half")
    class Half(Shape):
        pass

    with pytest.raises(ConfigError) as raised:
        Shape.from_config("half")
    assert str(raised.value).endswith(".Half) is abstract: it does not define area")


def test_an_abstract_class_in_between_takes_the_default():
    class Solver(Registrable):
        default_implementation = "cg"

    class Iterative(Solver, abc.ABC):
        @abc.abstractmethod
        def step(self) -> None: ...

    @Solver.register("cg")
    class Cg(Iterative):
        def step(self) -> None: ...

    @Solver.register("exact")
    class Exact(Solver):
        pass

    assert isinstance(plan(Iterative, {}).build({}), Cg)
    with pytest.raises(ConfigError) as raised:
        plan(Iterative, "exact")
    assert raised.value.problems[0].message == (
        '"exact" is a Solver, but no Iterative, which is expected here'
    )


def test_injected_argument_given_in_the_config():
    with pytest.raises(ConfigError) as raised:
        Interpreter.from_config({"type": "kfac", "model": 3}, model="m")
    assert str(raised.value) == (
        "config error: 1 problem\n"
        f'  model   the program passes this argument to "kfac" ({__name__}.Kfac); leave it out, '
        "found 3 (int)"
    )


def test_injected_argument_missing():
    with pytest.raises(ConfigError) as raised:
        Interpreter.from_config("kfac")
    assert str(raised.value) == (
        "config error: 1 problem\n"
        f'  model   "kfac" ({__name__}.Kfac) needs this argument, which the program passes, not '
        "the config: from_config(..., model=...)"
    )


def test_injected_arguments_are_inherited_and_optional_ones_may_be_left_out():
    assert Kfac.injected_names() == ("model", "train_data")
    assert Interpreter.from_config("kfac", model=1).train_data is None
    assert Interpreter.from_config("kfac", model=1, train_data=2).train_data == 2


def test_arguments_may_be_written_with_dashes_but_once():
    assert Mlp.from_config({"hidden-sizes": [1]}, in_features=1).hidden_sizes == [1]
    with pytest.raises(ConfigError) as raised:
        Mlp.from_config({"hidden_sizes": [1], "hidden-sizes": [2]}, in_features=1)
    (problem,) = raised.value.problems
    assert problem.path == "hidden-sizes"
    assert problem.message == 'the same argument as "hidden_sizes"; give it once'


def test_keys_that_are_no_text():
    with pytest.raises(ConfigError) as raised:
        DatasetReader.from_config({"type": "digits", 3: 4})
    assert raised.value.path == "3"


def test_value_error_of_a_constructor_becomes_a_config_error_with_the_path(tmp_path):
    file = write(tmp_path, '{interpreter: "kfac", dataset_reader: {type: "table", path: "bad"}}')
    planned = plan(Run, load_config(file))
    with pytest.raises(ConfigError) as raised:
        planned.build({})
    assert str(raised.value) == (
        f"config error: 1 problem in {file}\n"
        f'  dataset_reader   "table" ({__name__}.Table) refused its arguments: '
        "path must not be bad"
    )
    assert isinstance(raised.value.__cause__, ValueError)


def test_label_names_the_outermost_object_only():
    with pytest.raises(ConfigError) as raised:
        plan(Run, {"dataset_reader": {"type": "digits", "x": 1}}, label="the config")
    assert [problem.message for problem in raised.value.problems] == [
        f'unknown argument of "digits" ({__name__}.Digits)',
        "missing required argument of the config, expected Interpreter",
    ]


def test_a_registered_class_needs_no_type():
    planned = plan(Table, {"path": "x"})
    assert planned.resolved() == {"type": "table", "path": "x"}
