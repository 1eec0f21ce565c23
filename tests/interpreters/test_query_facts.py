"""What is recorded of a query beside its lists: probabilities, and the distribution of scores."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.models import BinaryCrossEntropy, CrossEntropy
from hessinf.scores import Interpretation
from hessinf.testing import problems


def linear(features: int, outputs: int, dtype: torch.dtype = torch.float64) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(features, outputs).to(dtype)


def data(targets: torch.Tensor, dtype: torch.dtype = torch.float64) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(targets), 3, generator=generator, dtype=torch.float64).to(dtype), targets


def explained(module: nn.Module, pairs: Any, objective: Any, **given: Any) -> list[Interpretation]:
    interpreter = InfluenceInterpreter.by_name("gradient-dot")(
        module, pairs, objective=objective, **given
    )
    found = list(interpreter.interpret(pairs, k=2))
    assert len(found) == len(pairs[0])
    return found


CLASSES = torch.tensor([0, 2, 1, 2, 0, 1, 1])


class TestProbability:
    @pytest.mark.parametrize("measurement", ["loss", "margin", "logit"])
    def test_of_classes(self, measurement: str) -> None:
        module, pairs = linear(3, 3), data(CLASSES)
        expected = module(pairs[0]).detach().softmax(1)  # [N, C]
        for row, one in enumerate(
            explained(module, pairs, "cross-entropy", measurement=measurement)
        ):
            assert one.query.prediction == int(expected[row].argmax())
            assert one.query.probability["prediction"] == pytest.approx(float(expected[row].max()))
            target = float(expected[row, CLASSES[row]])
            assert one.query.probability["target"] == pytest.approx(target)
            assert math.log(target) == pytest.approx(-one.query.loss)
            json.dumps(one.to_json(), allow_nan=False)

    @pytest.mark.parametrize("shape", [(7,), (7, 1)])
    def test_of_one_question(self, shape: tuple[int, ...]) -> None:
        targets = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.25, 0.0]).view(shape).double()
        module, pairs = linear(3, 1), data(targets)
        yes = module(pairs[0]).sigmoid()[:, 0].tolist()
        for row, one in enumerate(explained(module, pairs, "binary-cross-entropy")):
            found = one.query.probability
            assert found["prediction"] == pytest.approx(max(yes[row], 1 - yes[row]))
            if row == 5:  # between the classes
                assert found["target"] is None
            else:
                expected = yes[row] if targets.flatten()[row] else 1 - yes[row]
                assert found["target"] == pytest.approx(expected)

    def test_a_sure_model_keeps_its_digits(self) -> None:
        sure = torch.tensor([[40.0], [-40.0]])
        found = BinaryCrossEntropy().probabilities(sure)
        assert found.dtype == torch.float64
        assert found[0, 0].item() == pytest.approx(math.exp(-40), rel=1e-12)
        assert found[1, 1].item() == pytest.approx(math.exp(-40), rel=1e-12)

    def test_an_ignored_target_has_none(self) -> None:
        targets = CLASSES.masked_fill(CLASSES == 1, -100)
        found = explained(linear(3, 3), data(targets), "cross-entropy")
        for target, one in zip(targets.tolist(), found, strict=True):
            assert (one.query.probability["target"] is None) == (target == -100)
            assert one.query.probability["prediction"] >= 1 / 3

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision(self, dtype: torch.dtype) -> None:
        found = explained(linear(3, 3, dtype), data(CLASSES, dtype), "cross-entropy")
        for one in found:
            assert 1 / 3 <= one.query.probability["prediction"] <= 1

    def test_none_where_nothing_is_classified(self) -> None:
        values = torch.linspace(-1, 1, 7, dtype=torch.float64)[:, None]
        several = torch.ones(7, 2, dtype=torch.float64).triu()
        for module, targets, objective in (
            (linear(3, 1), values, "mean-squared-error"),
            (linear(3, 2), several, "binary-cross-entropy"),
            (linear(3, 3), CLASSES, _own_loss),
        ):
            for one in explained(module, data(targets), objective):
                assert one.query.probability is None
                assert "probability" not in one.to_json()["query"]

    def test_none_for_several_positions(self) -> None:
        problem = problems.language_model()
        interpreter = InfluenceInterpreter.by_name("gradient-dot")(
            problem.module(), problem.train, objective=problem.objective
        )
        found = [one.query.probability for one in interpreter.interpret(problem.queries, k=2)]
        assert found == [None] * len(problem.queries[0])

    def test_one_query(self) -> None:
        inputs, targets = data(CLASSES)
        interpreter = InfluenceInterpreter.by_name("gradient-dot")(linear(3, 3), (inputs, targets))
        alone, *_ = interpreter.interpret((inputs[:1], targets[:1]))
        first, *_ = interpreter.interpret((inputs, targets))
        assert alone.query.probability == pytest.approx(first.query.probability)


class TestObjectivesOfOthers:
    def test_predictions_said_anew_leave_the_probabilities(self) -> None:
        class Names(CrossEntropy):
            def predictions(self, outputs: torch.Tensor) -> torch.Tensor:
                return outputs.sort(dim=1).indices[:, -2:]  # the two most probable

        for one in explained(linear(3, 3), data(CLASSES), Names()):
            assert len(one.query.prediction) == 2
            assert one.query.probability is None

    def test_a_wrong_shape_is_named(self) -> None:
        class Half(CrossEntropy):
            def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
                return outputs.softmax(1).amax(1)

        with pytest.raises(InterpreterError) as refused:
            explained(linear(3, 3), data(CLASSES), Half())
        assert str(refused.value) == (
            "the objective Half gives probabilities of shape [7] with predictions of shape [7], "
            "expected [7, C] and the places [7] of what is predicted among the C; correct its "
            "method `probabilities`, or return None where no single class is predicted"
        )


class TestDistribution:
    @pytest.mark.parametrize("name", ["gradient-dot", "ekfac", "simple-influence"])
    def test_counts_all_scores(self, name: str) -> None:
        problem = problems.multilayer_perceptron()
        interpreter = InfluenceInterpreter.by_name(name)(
            problem.module(), problem.train, objective=problem.objective, query_batch_size=2
        )
        scores = interpreter.scores(problem.queries)  # [Q, N]
        for row, one in zip(scores, interpreter.interpret(problem.queries, k=2), strict=True):
            assert one.scores is not None
            assert one.scores["count"] == problem.num_train
            assert one.scores["mean"] == pytest.approx(row.mean(), abs=1e-12 * np.abs(row).max())
            assert one.scores["standard_deviation"] == pytest.approx(row.std())
            histogram = one.scores["histogram"]
            positive = sum(histogram["positive"].values())
            assert positive == (row > 0).sum()
            assert sum(histogram["negative"].values()) == (row < 0).sum()
            assert positive + sum(histogram["negative"].values()) + histogram["zero"] == len(row)

    def test_nothing_but_zeros(self) -> None:
        """Queries whose target is ignored have no gradient, and influence nothing."""
        inputs, targets = data(CLASSES)
        interpreter = InfluenceInterpreter.by_name("kfac")(
            linear(3, 3), (inputs, targets), objective={"type": "cross-entropy", "ignore_index": 1}
        )
        (one,) = interpreter.interpret((inputs[2:3], targets[2:3]))
        assert one.scores == {
            "count": 7,
            "mean": 0.0,
            "standard_deviation": 0.0,
            "histogram": {"positive": {}, "negative": {}, "zero": 7},
        }


def _own_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(outputs, targets, reduction="none")
