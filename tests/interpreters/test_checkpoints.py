"""Several checkpoints of one model: means over interpreters of each."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from hessinf.gradients import Gradients
from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.interpreters.query_factors import InfluenceFactors
from hessinf.models import ModelError, save_archive
from hessinf.registry import ConfigError
from hessinf.testing import logistic_regression, multilayer_perceptron
from hessinf.testing.problems import Problem


def moved(problem: Problem, place: int) -> nn.Module:
    """Copy the model, somewhere on the way to where it is."""
    module = problem.module()
    generator = torch.Generator().manual_seed(place)
    with torch.no_grad():
        for value in module.parameters():
            noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
            value.add_(0.1 * noise)
    return module


def saved(problem: Problem, folder: Path, count: int = 2) -> list[str]:
    """Save some checkpoints, each in another form."""
    paths = []
    for place in range(count):
        module = moved(problem, place)
        if place % 3 == 0:
            path = folder / f"checkpoint-{place}.safetensors"
            safetensors.torch.save_file(module.state_dict(), path)
        elif place % 3 == 1:
            path = folder / f"checkpoint-{place}.pt"
            torch.save({"state_dict": module.state_dict(), "epoch": place}, path)
        else:
            path = folder / f"archive-{place}"
            save_archive(path, config={}, module=module, training={})
        paths.append(str(path))
    return paths


def make(problem: Problem, name: str = "exact", model: Any = None, **given: Any) -> Any:
    return InfluenceInterpreter.by_name(name)(
        problem.module() if model is None else model,
        problem.train,
        **{"objective": problem.objective, "weight_decay": problem.weight_decay, **given},
    )


def each(problem: Problem, count: int, name: str = "exact", **given: Any) -> list[Any]:
    """Make an interpreter of each checkpoint, without the feature under test."""
    return [make(problem, name, moved(problem, place), **given) for place in range(count)]


def mean_of(interpreters: list[Any], ask: Callable[[Any], Any]) -> Any:
    return np.mean([ask(interpreter) for interpreter in interpreters], axis=0)


NAMES = ["exact", "simple-influence", "gradient-dot", "gradient-cosine"]


class TestMeans:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("make_problem", [logistic_regression, multilayer_perceptron])
    def test_scores(self, name: str, make_problem: Any, tmp_path: Path) -> None:
        problem = make_problem()
        paths = saved(problem, tmp_path, 3)
        found = make(problem, name, checkpoints=paths, query_batch_size=2, batch_size=5)
        expected = mean_of(each(problem, 3, name), lambda one: one.scores(problem.queries))
        np.testing.assert_allclose(
            found.scores(problem.queries), expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max()
        )

    @pytest.mark.parametrize("name", NAMES)
    def test_self_influence(self, name: str, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        found = make(problem, name, checkpoints=saved(problem, tmp_path)).self_influence()
        expected = mean_of(each(problem, 2, name), lambda one: one.self_influence())
        np.testing.assert_allclose(found, expected, rtol=1e-9)

    def test_everything_else_that_can_be_asked(self, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        found = make(problem, "ggn", checkpoints=saved(problem, tmp_path))
        singles = each(problem, 2, "ggn")
        queries = problem.queries

        def check(ask: Callable[[Any], Any]) -> None:
            np.testing.assert_allclose(ask(found), mean_of(singles, ask), rtol=1e-8, atol=1e-11)

        check(lambda one: one.loss_changes(queries))
        check(lambda one: one.group_influence(queries, "label").scores)
        check(lambda one: one.group_influence(queries, "label").loss_changes)
        check(lambda one: one.perturbation_influence(queries, [3, 0]))
        check(lambda one: one.scores_by_block(queries)["4"])
        check(lambda one: one.influence_factors(queries).scores(problem.queries))
        check(lambda one: one.scores_by_damping(queries, [0.5, {"relative": 0.1}]))
        check(lambda one: one.embed(queries, as_queries=True) @ one.embed(problem.train).T)

    def test_one_checkpoint_is_that_model(self, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        found = make(problem, checkpoints=saved(problem, tmp_path, 1)).scores(problem.queries)
        np.testing.assert_allclose(found, each(problem, 1)[0].scores(problem.queries), rtol=1e-12)

    def test_any_measurement(self, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        paths = saved(problem, tmp_path)
        for measurement in ("margin", {"type": "logit", "index": 1}):
            found = make(problem, checkpoints=paths, measurement=measurement)
            singles = each(problem, 2, measurement=measurement)
            expected = mean_of(singles, lambda one: one.scores(problem.queries))
            np.testing.assert_allclose(found.scores(problem.queries), expected, rtol=1e-9)

    def test_frozen_parameters_and_precision(self, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        paths = saved(problem, tmp_path)
        given: dict[str, Any] = {"params_to_freeze": ["0.bias"], "dtype": "float32"}
        found = make(problem, checkpoints=paths, **given)
        assert [list(member.model.parameters) for member in found.members] == [
            ["0.weight", "4.weight"]  # 4.bias has requires_grad=False
        ] * 2
        scores = found.scores(problem.queries)
        assert scores.dtype == np.float32
        expected = mean_of(each(problem, 2, **given), lambda one: one.scores(problem.queries))
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)

    def test_the_rows_of_a_run_are_the_same(self, tmp_path: Path) -> None:
        """Both ends of the ranking, losses and predictions: of the mean, and of the given model."""
        problem = multilayer_perceptron()
        found = make(problem, checkpoints=saved(problem, tmp_path), query_batch_size=2)
        scores = found.scores(problem.queries)
        plain = list(make(problem).interpret(problem.queries, k=3))
        losses = make(problem).train_losses()
        for row, result, single in zip(
            scores, found.interpret(problem.queries, 3), plain, strict=True
        ):
            assert [one.index for one in result.helpful] == np.argsort(-row)[:3].tolist()
            assert [one.index for one in result.harmful] == np.argsort(row)[:3].tolist()
            assert result.query == single.query
            for one in (*result.helpful, *result.harmful):
                np.testing.assert_allclose(one.loss, losses[one.index], rtol=1e-12)
            assert result.diagnostics["checkpoints"] == 2
            json.dumps(result.to_json(), allow_nan=False)


class TestSaving:
    @pytest.mark.parametrize("name", NAMES)
    def test_the_same_bytes_without_fitting(self, name: str, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        interpreter = make(problem, name, checkpoints=saved(problem, tmp_path)).fit()
        scores = interpreter.scores(problem.queries)
        interpreter.save(tmp_path / "factors")
        loaded = InfluenceInterpreter.load(tmp_path / "factors", problem.module(), problem.train)
        assert loaded.fitted
        assert all(member.fitted for member in loaded.members)
        assert loaded.scores(problem.queries).tobytes() == scores.tobytes()

    def test_files_may_be_elsewhere(self, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        paths = saved(problem, tmp_path)
        interpreter = make(problem, checkpoints=paths).fit()
        interpreter.save(tmp_path / "factors")
        elsewhere = []
        for path in paths:
            new = tmp_path / "elsewhere" / Path(path).name
            new.parent.mkdir(exist_ok=True)
            Path(path).rename(new)
            elsewhere.append(str(new))
        with pytest.raises(ModelError, match="does not exist"):
            InfluenceInterpreter.load(tmp_path / "factors", problem.module(), problem.train)
        loaded = InfluenceInterpreter.load(
            tmp_path / "factors", problem.module(), problem.train, checkpoints=elsewhere
        )
        np.testing.assert_array_equal(
            loaded.scores(problem.queries), interpreter.scores(problem.queries)
        )

    def test_other_checkpoints_are_refused(self, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        paths = saved(problem, tmp_path, 3)
        make(problem, checkpoints=paths[:2]).fit().save(tmp_path / "factors")
        for others in (paths[1:], paths, paths[:1], paths[1::-1]):
            with pytest.raises(InterpreterError, match=r"something else:\n  checkpoints: saved \["):
                make(problem, checkpoints=others).restore(tmp_path / "factors")
        with pytest.raises(InterpreterError, match=r"checkpoints: saved \[.*\], now null$"):
            make(problem).restore(tmp_path / "factors")

    def test_another_given_model_is_refused(self, tmp_path: Path) -> None:
        """Losses and predictions are shown of it."""
        problem = multilayer_perceptron()
        make(problem, checkpoints=saved(problem, tmp_path)).fit().save(tmp_path / "factors")
        with pytest.raises(InterpreterError, match=r"else:\n  model: saved"):
            InfluenceInterpreter.load(tmp_path / "factors", moved(problem, 7), problem.train)

    def test_influence_factors_of_queries(self, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        paths = saved(problem, tmp_path)
        factors = make(problem, checkpoints=paths).influence_factors(problem.queries)
        factors.save(tmp_path / "factors")
        loaded = InfluenceFactors.load(tmp_path / "factors", problem.module())
        np.testing.assert_array_equal(loaded.scores(problem.train), factors.scores(problem.train))
        with pytest.raises(InterpreterError, match=r"another model:\n  checkpoints: saved"):
            InfluenceFactors.load(tmp_path / "factors", problem.module(), checkpoints=paths[::-1])


class Solver(InfluenceInterpreter):
    """Reports what a solver reports."""

    def precondition(self, gradients: Gradients) -> Gradients:
        size = float(self.model.parameters["0.weight"].norm())
        self.report(
            relative_residual=gradients.flatten().norm(dim=1) * size,
            converged=torch.arange(gradients.count) % 2 == int(size) % 2,
            steps=int(1000 * size),
            all_well=size < 0,
            scale=size,
            route="same",
            other=str(size),
        )
        return gradients


def test_diagnostics_are_the_worst_of_all(tmp_path: Path) -> None:
    problem = multilayer_perceptron()
    paths = saved(problem, tmp_path)

    def rows(**given: Any) -> list[dict[str, Any]]:
        interpreter = Solver(**{"model": problem.module(), "train_data": problem.train, **given})
        return [one.diagnostics for one in interpreter.interpret(problem.queries, 1)]

    singles = [rows(model=moved(problem, place)) for place in range(2)]
    for row, first, second in zip(rows(checkpoints=paths), *singles, strict=True):
        assert row["relative_residual"] == max(
            first["relative_residual"], second["relative_residual"]
        )
        assert row["converged"] == (first["converged"] and second["converged"])
        assert row["steps"] == max(first["steps"], second["steps"])
        assert row["scale"] == max(first["scale"], second["scale"])
        assert row["all_well"] is False
        assert row["route"] == "same"
        assert "other" not in row


def test_damping_by_checkpoint(tmp_path: Path) -> None:
    problem = multilayer_perceptron()
    paths = saved(problem, tmp_path)
    found = make(problem, checkpoints=paths, damping={"relative": 0.1})
    result = next(found.interpret(problem.queries, 1))
    singles = each(problem, 2, damping={"relative": 0.1})
    assert result.diagnostics["damping"] == {
        path: single.fit().damping_ for path, single in zip(paths, singles, strict=True)
    }
    found.change_damping(0.5)
    result = next(found.interpret(problem.queries, 1))
    assert result.diagnostics["damping"] == dict.fromkeys(paths, 0.5)
    np.testing.assert_allclose(
        found.scores(problem.queries),
        mean_of(each(problem, 2, damping=0.5), lambda one: one.scores(problem.queries)),
        rtol=1e-9,
    )


class TestTheGivenModel:
    def test_it_stays_as_it_was(self, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        module = problem.module()
        before = copy.deepcopy(module.state_dict())
        modes = [part.training for part in module.modules()]
        interpreter = make(problem, model=module, checkpoints=saved(problem, tmp_path))
        list(interpreter.interpret(problem.queries))
        interpreter.self_influence()
        assert [part.training for part in module.modules()] == modes
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
        assert all(value.grad is None for value in module.parameters())

    def test_each_has_its_share_of_the_memory(self, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        interpreter = make(problem, checkpoints=saved(problem, tmp_path), memory_limit=3.0)
        assert [member.memory_limit for member in interpreter.members] == [1.5, 1.5]

    def test_a_model_that_cannot_be_copied(self, tmp_path: Path) -> None:
        problem = logistic_regression()
        paths = saved(problem, tmp_path)
        module = problem.module()
        module.kept = module(problem.train[0])  # activations with a graph
        with pytest.raises(InterpreterError, match=r"^the model cannot be copied for its check"):
            make(problem, model=module, checkpoints=paths)


class TestRefusals:
    def test_one_path_is_no_list(self, tmp_path: Path) -> None:
        path = saved(logistic_regression(), tmp_path, 1)[0]
        for given in (path, Path(path)):
            message = f'checkpoints must be a list of paths; write ["{path}"]'
            with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                make(logistic_regression(), checkpoints=given)

    def test_paths_of_pathlib(self, tmp_path: Path) -> None:
        path = Path(saved(logistic_regression(), tmp_path, 1)[0])
        assert make(logistic_regression(), checkpoints=[path]).checkpoints == (str(path),)

    def test_a_checkpoint_that_counts_twice(self, tmp_path: Path) -> None:
        path = saved(logistic_regression(), tmp_path, 1)[0]
        message = f'checkpoints names "{path}" twice, so that it would count twice; leave one out'
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make(logistic_regression(), checkpoints=[path, path])

    def test_missing_files(self) -> None:
        with pytest.raises(ModelError, match=r'^the weights file "nowhere\.pt" does not exist'):
            make(logistic_regression(), checkpoints=["nowhere.pt"])

    def test_weights_of_another_model(self, tmp_path: Path) -> None:
        paths = saved(multilayer_perceptron(), tmp_path, 1)
        with pytest.raises(ModelError, match="do not fit the model"):
            make(logistic_regression(), checkpoints=paths)

    def test_configs(self, tmp_path: Path) -> None:
        problem = multilayer_perceptron()
        paths = saved(problem, tmp_path)
        built = InfluenceInterpreter.from_config(
            {"type": "exact", "checkpoints": paths},
            model=problem.module(),
            train_data=problem.train,
            weight_decay=problem.weight_decay,
        )
        np.testing.assert_array_equal(
            built.scores(problem.queries),
            make(problem, checkpoints=paths).scores(problem.queries),
        )
        with pytest.raises(ConfigError, match=r"checkpoints +expected list\[str\], found"):
            InfluenceInterpreter.from_config(
                {"type": "exact", "checkpoints": "a.pt"},
                model=problem.module(),
                train_data=problem.train,
            )

    def test_refined_loss_changes_are_of_one_model(self, tmp_path: Path) -> None:
        problem = logistic_regression()
        paths = saved(problem, tmp_path)
        message = (
            'refinement "newton-step" is of one model, and is not averaged over checkpoints; leave '
            "out one of them"
        )
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make(problem, checkpoints=paths, refinement="newton-step")
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            make(problem, checkpoints=paths).loss_changes(problem.queries, "newton-step")
