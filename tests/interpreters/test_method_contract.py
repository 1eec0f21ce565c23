"""An author's slips are named where they were made."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from hessinf.gradients import Gradients
from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.interpreters.method_contract import config_arguments, given_by_name

INPUTS = torch.linspace(-1, 1, 12).reshape(6, 2)
DATA = (INPUTS, torch.tensor([0, 1, 0, 1, 1, 0]))


class Scaled(InfluenceInterpreter):
    """A method with an argument that may be given by position."""

    def __init__(self, model: Any, data: Any, power: float = 1.0, **kwargs: Any) -> None:
        super().__init__(model, data, **kwargs)
        self.power = power

    def precondition(self, gradients: Gradients) -> Gradients:
        return gradients * self.power


class Behind(Scaled):
    """Its own argument stands before those of its base."""

    def __init__(self, shift: float, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shift = shift


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(2, 2)


class TestArguments:
    def test_by_position_and_by_name_are_the_same(self) -> None:
        by_position = Scaled(network(), DATA, 4.0)
        by_name = Scaled(network(), DATA, power=4.0)
        assert by_position.arguments == by_name.arguments
        assert by_position.arguments["power"] == 4.0

    def test_defaults_are_written_out(self) -> None:
        assert Scaled(network(), DATA).arguments["power"] == 1.0
        assert Scaled(network(), DATA).arguments["query_batch_size"] == "auto"

    def test_behind_star_args(self) -> None:
        given = config_arguments(Behind, given_by_name(Behind, (0.5, "model", "data", 3.0), {}))
        assert (given["shift"], given["power"]) == (0.5, 3.0)

    def test_what_code_passes_is_left_out(self) -> None:
        assert {"model", "train_data", "seed"}.isdisjoint(Scaled(network(), DATA).arguments)


class TestFit:
    def test_returns_the_interpreter_whatever_the_method_returns(self) -> None:
        class Returning(Scaled):
            def fit(self) -> str:
                return "something else"

        interpreter = Returning(network(), DATA)
        assert interpreter.fit() is interpreter
        assert interpreter.fitted

    def test_what_is_learnt_ends_in_an_underscore(self) -> None:
        class Forgetful(Scaled):
            def fit(self) -> None:
                self.diagonal = torch.ones(6)

        with pytest.raises(
            InterpreterError,
            match=re.escape(
                "Forgetful.fit() sets self.diagonal: the name of what fit() learns ends in _ "
                "(self.diagonal_), so that it is saved with the factors and found again"
            ),
        ):
            Forgetful(network(), DATA).fit()

    def test_arguments_may_not_be_changed(self) -> None:
        class Changing(Scaled):
            def fit(self) -> None:
                self.power = 2.0

        with pytest.raises(InterpreterError, match=re.escape("Changing.fit() sets self.power:")):
            Changing(network(), DATA).fit()

    def test_what_is_cached_or_private_may_be_used(self) -> None:
        class Using(Scaled):
            def fit(self) -> None:
                self._note = 1
                self.trace_ = float(self.ggn.products(torch.eye(6)).trace())
                self.report(seen=True)

        assert Using(network(), DATA).fit().trace_ > 0


def test_a_constructor_that_forgets_its_base() -> None:
    class Orphan(InfluenceInterpreter):
        def __init__(self, model: Any, train_data: Any) -> None:
            self.model = model

    for use in (lambda it: it.fit(), lambda it: it.scores(DATA)):
        with pytest.raises(
            InterpreterError,
            match=re.escape(
                "Orphan.__init__() has to call super().__init__(*args, **kwargs), and to take "
                "*args and **kwargs for it"
            ),
        ):
            use(Orphan(network(), DATA))


class TestPrecondition:
    def test_has_to_return_gradients(self) -> None:
        class Flat(InfluenceInterpreter):
            def precondition(self, gradients: Gradients) -> Any:
                return gradients.flatten()

        with pytest.raises(
            InterpreterError,
            match=re.escape(
                "Flat.precondition() returned a Tensor, expected Gradients of 6 examples; "
                "gradients.like(matrix) makes them from [Q, P]"
            ),
        ):
            Flat(network(), DATA).scores(DATA)

    def test_has_to_return_as_many(self) -> None:
        class Losing(InfluenceInterpreter):
            def precondition(self, gradients: Gradients) -> Gradients:
                return gradients.select(slice(0, 2))

        with pytest.raises(
            InterpreterError,
            match=re.escape(
                "Losing.precondition() returned Gradients of 2 examples, expected Gradients of 6 "
            ),
        ):
            Losing(network(), DATA).scores(DATA)


def test_scores_that_only_rank_predict_no_changes() -> None:
    class Cosine(InfluenceInterpreter):
        predicts_loss_changes = False

        def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
            first, second = query_gradients.flatten(), train_gradients.flatten()
            sizes = first.norm(dim=1)[:, None] * second.norm(dim=1)  # [Q, B]
            return first @ second.T / sizes

    interpreter = Cosine(network(), DATA)
    result = next(iter(interpreter.interpret(DATA, k=2)))
    assert [item.loss_change_if_removed for item in result.helpful] == [None, None]
    with pytest.raises(InterpreterError, match="loss changes are defined for"):
        interpreter.loss_changes(DATA)
