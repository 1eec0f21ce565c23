"""What stays: the caller's model as it was, and factors saved for the same model and data."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.testing.problems import logistic_regression, multilayer_perceptron
from hessinf.testing.suite import ConformanceSuite

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class _TrippedError(Exception):
    """No error that any method could know of."""


class _Tripwire(nn.Module):
    """Raises at the n-th call."""

    def __init__(self, module: nn.Module, call: int) -> None:
        super().__init__()
        self.module = module
        self.calls_left = call

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Compute the outputs ``[B, C]``, or raise."""
        self.calls_left -= 1
        if self.calls_left <= 0:
            raise _TrippedError
        outputs: torch.Tensor = self.module(inputs)
        return outputs


def _snapshot(module: nn.Module) -> dict[str, Any]:
    """Write down everything about a module that a caller could notice."""
    parts = dict(module.named_modules())
    parameters = dict(module.named_parameters())
    return {
        "modes": {name: part.training for name, part in parts.items()},
        "hooks": {
            name: [list(getattr(part, kind)) for kind in HOOKS] for name, part in parts.items()
        },
        "attributes": {name: sorted(vars(part)) for name, part in parts.items()},
        "classes": {name: type(part) for name, part in parts.items()},
        "requires_grad": {name: value.requires_grad for name, value in parameters.items()},
        "identity": {name: (id(value), value.data_ptr()) for name, value in parameters.items()},
        "tensor hooks": {name: value._backward_hooks for name, value in parameters.items()},
        "grads": {
            name: None if value.grad is None else (id(value.grad), value.grad.tolist())
            for name, value in parameters.items()
        },
        "places": {
            name: (str(value.device), value.dtype) for name, value in module.state_dict().items()
        },
        "bytes": {
            name: value.cpu().numpy().tobytes() for name, value in module.state_dict().items()
        },
    }


@contextmanager
def _unchanged(module: nn.Module) -> Iterator[None]:
    before = _snapshot(module)
    yield
    after = _snapshot(module)
    for aspect, value in before.items():
        assert after[aspect] == value, f"the caller's model has other {aspect} than before"


def _numpy_state() -> list[int]:
    """Read numpy's global generator."""
    keys: list[int] = cast("tuple[str, np.ndarray]", np.random.get_state())[1].tolist()
    return keys


class StateChecks(ConformanceSuite):
    """No traces in the caller's model; what was learnt is kept for those it fits."""

    def test_the_model_stays_as_it_was(self, device: str) -> None:
        """Modes, ``.grad``, hooks, parameters, buffers and device, through all that one can ask."""
        problem = multilayer_perceptron()
        module = problem.module()
        weight = next(module.parameters())
        weight.grad = torch.full_like(weight, 0.25)
        with _unchanged(module):
            interpreter = self.make(problem, model=module, device=device).fit()
        with _unchanged(module):
            interpreter.scores(problem.queries)
        with _unchanged(module):
            interpreter.self_influence()
        with _unchanged(module):
            results = interpreter.interpret(problem.queries)
            next(results)
            assert module.training, "between two queries the model is the caller's"
            list(results)

    def test_the_model_stays_as_it_was_when_reading_stops(self) -> None:
        """A caller who takes one interpretation and goes away leaves no traces."""
        problem = multilayer_perceptron()
        module = problem.module()
        with _unchanged(module):
            results = self.make(problem, model=module, query_batch_size=1).interpret(
                problem.queries
            )
            next(results)
            results.close()  # type: ignore[attr-defined]

    @pytest.mark.parametrize("call", [1, 2, 4, 8, 12, 16, 20, 24])
    def test_the_model_stays_as_it_was_after_an_exception(self, call: int) -> None:
        """An exception somewhere inside leaves no traces either."""
        problem = multilayer_perceptron()
        tripwire = _Tripwire(problem.module(), call)
        tripwire.train()
        tripwire.module.get_submodule("0").eval()
        with _unchanged(tripwire):
            try:
                self.make(problem, model=tripwire, batch_size=10).scores(problem.queries)
            except _TrippedError:
                return
        assert call > 2, "the model was hardly called at all"

    def test_random_numbers_of_the_caller_do_not_move(self) -> None:
        """PyTorch's, numpy's and Python's own generators are left alone."""
        problem = multilayer_perceptron()
        before = (torch.get_rng_state(), _numpy_state(), random.getstate())
        self.make(problem).scores(problem.queries)
        assert torch.equal(before[0], torch.get_rng_state())
        assert before[1] == _numpy_state()
        assert before[2] == random.getstate()

    def test_saved_factors_give_the_same_bytes(self, tmp_path: Path, device: str) -> None:
        """``save`` and ``load``: the same scores, without fitting."""
        problem = multilayer_perceptron()
        interpreter = self.make(problem, device=device).fit()
        scores = interpreter.scores(problem.queries)
        interpreter.save(tmp_path / "factors")
        loaded = InfluenceInterpreter.load(
            tmp_path / "factors", problem.module(), problem.train, device=device
        )
        assert type(loaded) is type(interpreter)
        assert loaded.fitted
        assert loaded.scores(problem.queries).tobytes() == scores.tobytes()
        restored = self.make(problem, device=device).restore(tmp_path / "factors")
        assert restored.scores(problem.queries).tobytes() == scores.tobytes()

    def test_saved_factors_of_something_else_are_refused(self, tmp_path: Path) -> None:
        """Another model, other data, another argument: the error names what differs."""
        problem = logistic_regression()
        folder = tmp_path / "factors"
        self.make(problem).fit().save(folder)

        other = problem.module()
        with torch.no_grad():
            next(other.parameters())[0, 0] += 1e-9
        with pytest.raises(InterpreterError, match=r"belong to something else:\n  model: saved"):
            InfluenceInterpreter.load(folder, other, problem.train)

        fewer = tuple(column[:-1] for column in problem.train)
        with pytest.raises(
            InterpreterError, match=r"belong to something else:\n  train_data: saved"
        ):
            InfluenceInterpreter.load(folder, problem.module(), fewer)

        with pytest.raises(InterpreterError, match=r"else:\n  weight_decay: saved .*, now 0.125$"):
            self.make(problem, weight_decay=0.125).restore(folder)
        with pytest.raises(InterpreterError, match=r"else:\n  seed: saved 0, now 3$"):
            self.make(problem, seed=3).restore(folder)

        with pytest.raises(InterpreterError, match=r"arguments\.params_to_freeze: saved \[\], now"):
            self.make(problem, params_to_freeze=["bias"]).restore(folder)
        if self.larger_damping is not None:
            message = rf"arguments\.damping: saved {self.damping}, now {self.larger_damping}"
            with pytest.raises(InterpreterError, match=message):
                self.make(problem, damping=self.larger_damping).restore(folder)
