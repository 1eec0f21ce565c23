"""Leave-one-out ground truth: which examples, kept how, refused when."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hessinf.evaluation import EvaluationError, GroundTruth, convex_retraining
from hessinf.evaluation.exact_retraining import ExactRetraining
from hessinf.models import Measurement
from hessinf.registry import ConfigError
from hessinf.training import Trainer
from hessinf.training.lbfgs import Lbfgs
from tests.evaluation.problems import small_network_problem, small_problem


def truth(**arguments: object):
    return GroundTruth.from_config({"type": "leave-one-out", **arguments})


class TestExamples:
    def test_all_some_and_a_list(self, tmp_path: Path) -> None:
        """A row belongs to the index beside it, whichever way it was chosen."""
        problem = small_problem(tmp_path, train_size=30)
        everything = truth().produce(problem)
        assert everything.indices.tolist() == list(range(30))
        assert everything.changes.shape == (30, 12)
        assert everything.changes.dtype == np.float64
        drawn = truth(examples=5).produce(problem)
        assert len(set(drawn.indices.tolist())) == 5
        assert drawn.indices.tolist() == sorted(drawn.indices.tolist())
        chosen = truth(examples=[17, 3]).produce(problem)
        assert chosen.indices.tolist() == [17, 3]
        for some in (drawn, chosen):
            np.testing.assert_allclose(
                some.changes, everything.changes[some.indices], atol=1e-6, rtol=1e-5
            )

    def test_a_real_trainer_finds_the_same(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=40)
        found = truth(examples=[7]).produce(problem)
        trainer = Trainer(
            optimizer=Lbfgs(), epochs=500, gradient_tolerance=1e-10, weight_decay=0.02
        )
        module = problem.make_module(5)
        rest = [index for index in range(40) if index != 7]
        trainer.fit(module, problem.train.subset(rest), problem.objective, seed=5)
        whole = problem.make_module(6)
        trainer.fit(whole, problem.train, problem.objective, seed=6)

        def losses(of: object) -> np.ndarray:
            outputs = of(problem.queries.stacked.inputs)
            return problem.objective.losses(outputs, problem.queries.targets).detach().numpy()

        np.testing.assert_allclose(found.before, losses(whole), atol=1e-6)
        np.testing.assert_allclose(found.changes[0], losses(module) - losses(whole), atol=1e-6)

    def test_other_measurements_are_turned(self, tmp_path: Path) -> None:
        """The log-probability falls where the loss rises: the change is the same."""
        of_loss = truth(examples=4).produce(small_problem(tmp_path, train_size=30))
        problem = small_problem(tmp_path, train_size=30)
        turned = truth(examples=4).produce(
            small_problem(
                tmp_path, train_size=30, measurement=Measurement.from_config("log-probability")
            )
        )
        np.testing.assert_allclose(turned.changes, of_loss.changes, atol=1e-9)
        assert not problem.warnings


class TestKept:
    def files(self, folder: Path) -> dict[str, bytes]:
        return {x.name: x.read_bytes() for x in (folder / "ground_truth").iterdir()}

    def test_a_killed_run_goes_on_and_gives_the_same_bytes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(convex_retraining, "MODELS_IN_A_PART", 8)
        truth().produce(small_problem(tmp_path / "straight", train_size=30))
        made, real = [], ExactRetraining.optima

        def killed(self: object, masks: object, names: list[str]):
            made.append(names)
            if len(made) == 3:
                raise KeyboardInterrupt
            return real(self, masks, names)

        monkeypatch.setattr(ExactRetraining, "optima", killed)
        with pytest.raises(KeyboardInterrupt):
            truth().produce(small_problem(tmp_path / "killed", train_size=30))
        assert made[0][0] == "all examples but 0"
        made.clear()
        made.extend([[], [], []])
        truth().produce(small_problem(tmp_path / "killed", train_size=30))
        assert len(made) == 3 + 2  # two of four parts were there
        assert self.files(tmp_path / "killed") == self.files(tmp_path / "straight")

    def test_what_was_kept_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        problem = small_problem(tmp_path, train_size=30)
        first = truth(examples=3).produce(problem)
        monkeypatch.setattr(convex_retraining, "_retraining", None)
        again = truth(examples=3).produce(problem)
        np.testing.assert_array_equal(first.changes, again.changes)


class TestRefusals:
    def test_a_network(self, tmp_path: Path) -> None:
        problem = small_network_problem(tmp_path, epochs=1)
        expected = (
            r'"leave-one-out" retrains convex models to the last digit, and the outputs of this '
            r"FlatSequential are not linear in its parameters .*; what leaving one example out "
            r"does to a network that is trained by chance is mostly noise; use the metric "
            r'"lds", which averages over many subsets and seeds'
        )
        with pytest.raises(EvaluationError, match=f"^{expected}$"):
            truth().check(problem)

    def test_examples_that_do_not_exist(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=30)
        with pytest.raises(EvaluationError) as raised:
            truth(examples=[4, 30]).check(problem)
        assert str(raised.value) == (
            '"leave-one-out": examples names 30, and there are 30 training examples, 0 to 29'
        )
        with pytest.raises(EvaluationError) as raised:
            truth(examples=31).check(problem)
        assert str(raised.value) == (
            '"leave-one-out": examples is 31, and there are 30 training examples; give a smaller '
            "number, or null for all"
        )

    @pytest.mark.parametrize(
        ("examples", "message"),
        [
            ([], "examples is an empty list; null stands for all"),
            ([2, 5, 2], "examples names 2 more than once"),
        ],
    )
    def test_lists_that_say_nothing(self, examples: list[int], message: str) -> None:
        with pytest.raises(ConfigError, match=re.escape(message)):
            truth(examples=examples)

    def test_a_model_that_was_not_trained_to_its_optimum(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=30)
        next(problem.models[0].module.parameters()).data *= 0.2
        truth(examples=2).produce(problem)
        truth(examples=2).produce(problem)
        assert len(problem.warnings) == 1
        assert re.fullmatch(
            r"the attributed model is not at its optimum: what is measured of queries differs by "
            r"[0-9.]+ \(root of the mean square; [0-9.]+ at the optimum\), so that its scores are "
            r"about another model than the one that is retrained here; train it with "
            r'\{"optimizer": "lbfgs", "gradient_tolerance": 1e-8\}',
            problem.warnings[0],
        )
