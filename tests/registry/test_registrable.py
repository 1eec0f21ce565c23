from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hessinf.registry import ConfigError, Registrable, RegistrationError, UnknownNameError

HERE = re.escape(__file__)


@pytest.fixture
def solver():
    class Solver(Registrable):
        default_implementation = "conjugate-gradient"
        injected = ("model",)

        def __init__(self, damping: float = 0.1) -> None:
            self.damping = damping

    @Solver.register("lissa")
    class Lissa(Solver):
        def __init__(self, depth: int = 3, **kwargs) -> None:
            super().__init__(**kwargs)
            self.depth = depth

    @Solver.register("conjugate-gradient")
    class ConjugateGradient(Solver):
        @classmethod
        def quick(cls, steps: int = 1) -> ConjugateGradient:
            made = cls()
            made.steps = steps
            return made

    Solver.Lissa, Solver.ConjugateGradient = Lissa, ConjugateGradient
    return Solver


def test_register_returns_the_class_unchanged(solver):
    class Exact(solver):
        pass

    assert solver.register("exact")(Exact) is Exact
    assert solver.by_name("exact") is Exact


def test_several_names_and_constructors_for_one_class(solver):
    solver.register("quick", constructor="quick")(solver.ConjugateGradient)
    solver.register("cg")(solver.ConjugateGradient)
    assert solver.by_name("cg") is solver.ConjugateGradient
    assert solver.by_name("quick") == solver.ConjugateGradient.quick
    assert solver.from_config({"type": "quick", "steps": 5}).steps == 5


def test_register_checks_the_subclass(solver):
    class Stranger:
        pass

    with pytest.raises(
        RegistrationError,
        match=r'^registration error: cannot register \S+\.Stranger as "stranger": '
        r"it is no subclass of \S+\.Solver$",
    ):
        solver.register("stranger")(Stranger)


def test_register_a_factory_function(solver):
    @solver.register("made")
    def make(model, depth: int = 7):
        return solver.Lissa(depth=depth), model

    made, model = solver.from_config({"type": "made", "depth": 8}, model="the model")
    assert (made.depth, model) == (8, "the model")
    with pytest.raises(ConfigError) as raised:
        solver.from_config({"type": "made", "model": 1}, model="the model")
    assert raised.value.problems[0].message.startswith("the program passes this argument to ")


def test_unknown_constructor(solver):
    for constructor in ("slow", "damping"):
        with pytest.raises(RegistrationError, match=rf'it has no class method "{constructor}"$'):
            solver.register("x", constructor=constructor)(solver.ConjugateGradient)


def test_an_instance_method_is_no_constructor(solver):
    class Odd(solver):
        def make(self) -> None: ...

    with pytest.raises(RegistrationError, match=r'it has no class method "make"$'):
        solver.register("odd", constructor="make")(Odd)


def test_duplicate_name_names_both_classes_and_places(solver):
    class Other(solver):
        pass

    with pytest.raises(
        RegistrationError,
        match=rf"^registration error: cannot register (\S+)\.Other \({HERE}:\d+\) as "
        rf'"lissa": the name belongs to \S+\.Lissa \({HERE}:\d+\); choose another name, '
        r"or pass exist_ok=True to take it over$",
    ):
        solver.register("lissa")(Other)
    assert solver.by_name("lissa") is solver.Lissa


def test_duplicate_name_through_underscore(solver):
    class Other(solver):
        pass

    with pytest.raises(RegistrationError, match=r"the name belongs to \S+\.ConjugateGradient"):
        solver.register("conjugate_gradient")(Other)


def test_exist_ok_takes_a_name_over(solver):
    class Other(solver):
        pass

    solver.register("lissa", exist_ok=True)(Other)
    assert solver.by_name("lissa") is Other


def test_same_class_again_is_no_error(solver):
    solver.register("lissa")(solver.Lissa)
    # as a notebook's cell that is run again, or importlib.reload
    again = type("Lissa", (solver,), {"__qualname__": solver.Lissa.__qualname__})
    again.__module__ = solver.Lissa.__module__
    solver.register("lissa")(again)
    assert solver.by_name("lissa") is again


def test_same_class_as_main_and_as_module_is_no_error(solver):
    twin = type("Lissa", (solver,), {"__qualname__": solver.Lissa.__qualname__})
    twin.__module__ = "__main__"
    solver.register("lissa")(twin)
    assert solver.by_name("lissa") is twin


SCRIPT = """
from hessinf.registry import Registrable
import base_of_script
@base_of_script.Base.register("mine")
class Mine(base_of_script.Base): ...
if __name__ == "__main__":
    import script
    print(base_of_script.Base.list_available(), script.Mine is not Mine)
"""


def test_a_script_that_imports_itself_registers_once(tmp_path):
    (tmp_path / "base_of_script.py").write_text(
        "from hessinf.registry import Registrable\nclass Base(Registrable): ...\n"
    )
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert output == "['mine'] True\n"


def test_a_module_that_is_reloaded(tmp_path, monkeypatch, solver):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Registrable, "solver_of_reload", solver, raising=False)
    (tmp_path / "module_to_reload.py").write_text(
        "from hessinf.registry import Registrable\n"
        "@Registrable.solver_of_reload.register('reloaded')\n"
        "class Reloaded(Registrable.solver_of_reload): ...\n"
    )
    module = importlib.import_module("module_to_reload")
    first = module.Reloaded
    importlib.reload(module)
    del sys.modules["module_to_reload"]
    assert solver.by_name("reloaded") is module.Reloaded is not first


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("SimpleInfluence", "simple-influence"),
        ("my reader", "my-reader"),
        ("a.b", "a-b"),
        ("-x", "x"),
        ("", "my-name"),
    ],
)
def test_names_are_kebab_case(solver, name, suggestion):
    with pytest.raises(
        RegistrationError,
        match="^"
        + re.escape(
            f'registration error: cannot register "{name}": a name is kebab-case, lower-case '
            f'letters and digits joined by "-"; try "{suggestion}"'
        )
        + "$",
    ):
        solver.register(name)


def test_underscore_finds_the_same_name(solver):
    assert solver.by_name("conjugate_gradient") is solver.by_name("conjugate-gradient")
    assert solver.is_registered("conjugate_gradient")
    assert isinstance(solver.from_config("conjugate_gradient"), solver.ConjugateGradient)


def test_register_without_a_name(solver):
    with pytest.raises(
        RegistrationError,
        match=r'register expects a name, found <class .*>; write @Base\.register\("my-name"\)$',
    ):
        solver.register(solver.Lissa)


def test_by_name_works_from_subclasses(solver):
    assert solver.Lissa.by_name("conjugate-gradient") is solver.ConjugateGradient
    assert solver.Lissa.list_available() == solver.list_available()


def test_by_name_unknown(solver):
    with pytest.raises(UnknownNameError) as raised:
        solver.by_name("lisa")
    assert str(raised.value) == (
        'unknown name: no Solver is registered as "lisa"; did you mean "lissa"?\n'
        "  registered: conjugate-gradient, lissa\n"
        "  plugins loaded: none; load one with --include-package PKG, "
        '"include": ["PKG"] in the config, or a line in .hessinf_plugins'
    )


def test_by_name_when_nothing_is_registered():
    class Empty(Registrable):
        pass

    with pytest.raises(UnknownNameError) as raised:
        Empty.by_name("lissa")
    assert str(raised.value).splitlines()[:2] == [
        'unknown name: no Empty is registered as "lissa"',
        "  no Empty is registered yet",
    ]


def test_list_available_puts_the_default_first(solver):
    assert solver.list_available() == ["conjugate-gradient", "lissa"]


def test_list_available_without_default():
    class Base(Registrable):
        pass

    Base.register("b")(type("B", (Base,), {}))
    Base.register("a")(type("A", (Base,), {}))
    assert Base.list_available() == ["b", "a"]


def test_default_that_is_not_registered():
    class Base(Registrable):
        default_implementation = "lost"

    with pytest.raises(
        RegistrationError,
        match=r'^registration error: the default implementation "lost" of Base is not registered; '
        "registered: nothing$",
    ):
        Base.list_available()


def test_default_may_be_written_with_underscores():
    class Base(Registrable):
        default_implementation = "my_name"

    Base.register("my-name")(type("Mine", (Base,), {}))
    assert Base.list_available() == ["my-name"]
    assert type(Base.from_config({})).__name__ == "Mine"


def test_default_is_used_without_a_type(solver):
    assert isinstance(solver.from_config({"damping": 0.3}), solver.ConjugateGradient)


def test_default_is_not_inherited_by_a_registered_subclass(solver):
    assert isinstance(solver.Lissa.from_config({"depth": 4}), solver.Lissa)


def test_is_registered(solver):
    assert solver.is_registered("lissa")
    assert not solver.is_registered("lisa")


@pytest.mark.parametrize("method", ["by_name", "is_registered", "register", "from_config"])
def test_registrable_itself_has_no_names(method):
    with pytest.raises(
        RegistrationError,
        match=f"^registration error: Registrable itself has no names: call {method} on a "
        "subclass of it$",
    ):
        getattr(Registrable, method)("x")


def test_injected_must_be_a_tuple():
    with pytest.raises(
        RegistrationError,
        match=r'injected must be a tuple of names, found "seed"; write \("seed",\)$',
    ):

        class Base(Registrable):
            injected = "seed"


def test_two_bases_do_not_share_names(solver):
    class Other(Registrable):
        pass

    Other.register("lissa")(type("Lissa", (Other,), {}))
    assert Other.by_name("lissa") is not solver.by_name("lissa")


def test_from_config_reads_files(solver, tmp_path):
    file = tmp_path / "solver.jsonnet"
    file.write_text('{type: "lissa", depth: 2 + 3}')
    assert solver.from_config(str(file)).depth == 5
    assert solver.from_config(Path(file)).depth == 5
    assert solver.from_params({"type": "lissa", "depth": 9}).depth == 9
    assert solver.from_config("lissa").depth == 3
