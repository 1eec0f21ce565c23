"""``self_influence()`` from factors is what the dense form gives; methods of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.gradients import Gradients
from hessinf.interpreters import Ekfac, InfluenceInterpreter, InterpreterError, Kfac, few_examples
from hessinf.interpreters.diagonal import Diagonal
from hessinf.interpreters.self_influence import own_self_score
from hessinf.testing import problems
from hessinf.testing.layer_problems import texts, volumes, words
from hessinf.testing.problem import Problem

PROBLEMS = [
    problems.multilayer_perceptron,
    problems.convolutional_network,
    problems.transformer,
    problems.language_model,
    texts,
    words,
    volumes,
]

METHODS: list[tuple[str, dict[str, Any]]] = [
    ("kfac", {}),
    ("kfac", {"heuristic_damping": True, "weight_sharing": "reduce"}),
    ("ekfac", {}),
    ("diagonal", {}),
    ("gradient-dot", {}),
    ("exact", {"damping": 10.0}),
    ("exact", {"damping": 1e-2, "inversion": "eigen"}),
    ("block-ggn", {"damping": 0.1}),
    ("ggn", {"form": "primal", "damping": 0.1}),
    ("ggn", {"form": "dual", "damping": 0.1}),
    ("ggn", {"form": "dual", "damping": 0.1, "inversion": "eigen"}),
    ("nystroem", {"rank": 6}),
    ("arnoldi", {"rank": 6, "complement": "drop"}),
    ("arnoldi", {"rank": 6, "complement": "damping", "damping": 0.1}),
]


def make(problem: Problem, name: str, **given: Any) -> InfluenceInterpreter:
    cls = InfluenceInterpreter.by_name(name)
    made: InfluenceInterpreter = cls(
        problem.module(), problem.train, objective=problem.objective, **given
    )
    return made


def dense(interpreter: InfluenceInterpreter) -> np.ndarray:
    """Compute ``∇ℓ_i · (C + λI)⁻¹ ∇ℓ_i`` with influence factors as long as θ, ``[N]``."""
    found = []
    layout = interpreter.model.layout
    with interpreter.model.evaluating():
        for gradients, _ in interpreter.train_pass("gradients"):
            whole = Gradients.from_flat(gradients.flatten().clone(), layout)
            found.append((interpreter.precondition(whole).flatten() * whole.flatten()).sum(1))
    return torch.cat(found).numpy()


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.__name__)
@pytest.mark.parametrize(("name", "given"), METHODS)
def test_is_that_of_the_dense_form(
    problem: Callable[[], Problem], name: str, given: dict[str, Any]
) -> None:
    interpreter = make(problem(), name, **given)
    found = interpreter.self_influence()
    expected = dense(interpreter)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["kfac", "ekfac", "diagonal", "gradient-dot"])
def test_no_gradient_is_formed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problems.multilayer_perceptron()
    interpreter = make(problem, name)
    interpreter.fit()
    monkeypatch.setattr("hessinf.gradients.FactoredGradients.flatten", _must_not_be_called)
    monkeypatch.setattr("hessinf.scores.weighted_norms.formed", _must_not_be_called)
    assert np.isfinite(interpreter.self_influence()).all()


def test_the_dual_form_needs_no_vector_as_long_as_the_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interpreter = make(problems.multilayer_perceptron(), "ggn", form="dual", damping=0.1)
    interpreter.fit()
    monkeypatch.setattr("hessinf.gradients.FactoredGradients.flatten", _must_not_be_called)
    assert np.isfinite(interpreter.self_influence()).all()


def test_the_dual_form_where_rows_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = make(problems.multilayer_perceptron(), "ggn", form="dual", damping=0.1)
    kept = interpreter.self_influence()
    monkeypatch.setattr("hessinf.curvature.dual_rows.DualRows.kept", lambda _: None)
    again = make(problems.multilayer_perceptron(), "ggn", form="dual", damping=0.1)
    np.testing.assert_allclose(again.self_influence(), kept, rtol=1e-10)


def test_negative_curvature_goes_through_whole_factors() -> None:
    problem = problems.convolutional_network()
    interpreter = make(problem, "exact", damping=1e-6)
    interpreter.fit()
    assert interpreter._total_facts()["negative_eigenvalues"] > 0
    found = interpreter.self_influence()
    np.testing.assert_allclose(found, dense(interpreter), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["kfac", "ekfac", "diagonal", "gradient-dot"])
def test_half_precision(name: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 5, generator=generator)
    targets = torch.randint(0, 3, (40,), generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3))
    cls = InfluenceInterpreter.by_name(name)
    given = {} if name == "gradient-dot" else {"damping": 0.1}
    expected = cls(module, (inputs, targets), **given).self_influence()
    found = cls(module.to(dtype), (inputs.to(dtype), targets), **given).self_influence()
    assert found.dtype == (np.float32 if dtype == torch.bfloat16 else np.float16)
    np.testing.assert_allclose(found, expected, rtol=0.1, atol=0.05 * expected.max())


def test_of_checkpoints_is_their_mean(tmp_path: Any) -> None:
    problem = problems.multilayer_perceptron()
    paths, alone = [], []
    for number in range(2):
        module = problem.module()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(1 + 0.1 * number)
        paths.append(tmp_path / f"{number}.pt")
        torch.save(module.state_dict(), paths[-1])
        alone.append(Ekfac(module, problem.train, objective=problem.objective).self_influence())
    found = make(problem, "ekfac", checkpoints=paths).self_influence()
    np.testing.assert_allclose(found, np.mean(alone, axis=0), rtol=1e-10)


# -- methods of others -------------------------------------------------------------------------


class Doubled(Kfac):
    """Says anew how to precondition: what K-FAC knows of self-influence does not hold."""

    def precondition(self, gradients: Gradients) -> Gradients:
        return super().precondition(gradients) * 2.0


class Rescored(Diagonal):
    """Says anew how to score."""

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        return -3.0 * query_gradients.dot(train_gradients)


class Prepared(Ekfac):
    """Says anew how queries are scored."""

    def scorer(self, query_gradients: Gradients) -> Callable[[Gradients], torch.Tensor]:
        scorer = super().scorer(query_gradients)
        return lambda gradients: 5.0 * scorer(gradients)


class Own(Kfac):
    """Says anew what an example is to itself."""

    def self_score(self, gradients: Gradients) -> torch.Tensor:
        return 7.0 * super().self_score(gradients)


@pytest.mark.parametrize(
    ("cls", "base", "factor", "own"),
    [(Doubled, Kfac, 2, False), (Rescored, Diagonal, -3, False), (Own, Kfac, 7, True)],
)
def test_the_most_derived_rule_counts(cls: Any, base: Any, factor: float, own: bool) -> None:
    problem = problems.multilayer_perceptron()
    made, of_base = (
        one(problem.module(), problem.train, objective=problem.objective) for one in (cls, base)
    )
    assert own_self_score(made) == own
    assert own_self_score(of_base)
    np.testing.assert_allclose(made.self_influence(), factor * of_base.self_influence(), rtol=1e-10)


def test_a_new_scorer_beside_precondition_leaves_the_rule() -> None:
    problem = problems.multilayer_perceptron()
    made = Prepared(problem.module(), problem.train, objective=problem.objective)
    assert not own_self_score(made)
    np.testing.assert_allclose(made.self_influence(), dense(made), rtol=1e-10)


class Flat(InfluenceInterpreter):
    """Returns one number for all."""

    def precondition(self, gradients: Gradients) -> Gradients:
        return gradients

    def self_score(self, gradients: Gradients) -> torch.Tensor:
        return gradients.flatten().sum()


def test_a_wrong_shape_is_named() -> None:
    problem = problems.multilayer_perceptron()
    interpreter = Flat(problem.module(), problem.train, objective=problem.objective, batch_size=8)
    with pytest.raises(InterpreterError) as refused:
        interpreter.self_influence()
    assert str(refused.value) == (
        "Flat.self_score() returned shape [], expected [8]: one number an example"
    )


def test_the_base_works_on_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    class Counted(InfluenceInterpreter):
        def precondition(self, gradients: Gradients) -> Gradients:
            sizes.append(gradients.count)
            return gradients * 2.0

    problem = problems.multilayer_perceptron()
    monkeypatch.setattr(few_examples, "AT_ONCE", 10)
    Counted(problem.module(), problem.train, objective=problem.objective).self_influence()
    assert max(sizes) == 10
    assert sum(sizes) == problem.num_train


def _must_not_be_called(*_: Any, **__: Any) -> None:
    raise AssertionError("a gradient was formed")
