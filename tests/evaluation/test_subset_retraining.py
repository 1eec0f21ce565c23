from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.evaluation import GroundTruth, Problem, retraining_parts
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.subset_masks import draw_masks
from hessinf.evaluation.subset_retraining import SubsetRetraining
from hessinf.models import Measurement
from hessinf.runtime.randomness import derive_seed
from tests.evaluation.problems import small_network_problem

SMALL = 1e-6
"""GiB, so few that models are trained in several chunks."""


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    return small_network_problem(tmp_path, train_size=40, queries=6, epochs=15)


def changed(problem: Problem, **changes: Any) -> Problem:
    return Problem(**{**vars(problem), "warnings": [], **changes})


def files(problem: Problem) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in problem.store.directory.iterdir()}


class TestValues:
    def test_values_are_those_of_models_trained_alone(self, problem: Problem) -> None:
        (truth,) = SubsetRetraining(alphas=(0.4,), subsets=3, repeats=2).produce(problem)
        masks = draw_masks(examples=40, alpha=0.4, subsets=3, seed=problem.seed)
        assert np.array_equal(truth.masks, masks)
        assert truth.values.shape == (3, 2, 6)
        assert truth.values.dtype == np.float32
        assert problem.trainer is not None
        for subset in range(3):
            for repeat in range(2):
                seed = derive_seed(problem.seed, f"subset-retraining/0.4/{subset}/{repeat}")
                module = problem.make_module(seed)
                part = problem.train.subset(np.flatnonzero(masks[subset]).tolist())
                record = problem.trainer.fit(module, part, problem.objective, seed=seed)
                inputs = torch.stack([query.inputs for query in problem.queries])  # [Q, D]
                targets = torch.stack([query.target for query in problem.queries])  # [Q]
                with torch.no_grad():
                    losses = problem.objective.losses(module.eval()(inputs), targets)  # [Q]
                np.testing.assert_allclose(
                    truth.values[subset, repeat], -losses.numpy(), rtol=1e-4, atol=1e-5
                )
                assert truth.training_losses is not None
                assert truth.training_losses[subset, repeat] == pytest.approx(record.loss, rel=1e-4)

    def test_repeats_are_other_models_on_the_same_subset(self, problem: Problem) -> None:
        (truth,) = SubsetRetraining(subsets=3, repeats=2).produce(problem)
        assert not np.isclose(truth.values[:, 0], truth.values[:, 1]).any()

    def test_measurements_where_more_is_better_keep_their_sign(self, problem: Problem) -> None:
        method = SubsetRetraining(subsets=3)
        (losses,) = method.produce(problem)
        (log_probabilities,) = method.produce(
            changed(problem, measurement=Measurement.from_config("log-probability"))
        )
        # The loss is minus the log-probability: turned, they are the same.
        np.testing.assert_allclose(losses.values, log_probabilities.values, rtol=1e-5, atol=1e-7)

    def test_one_truth_for_each_alpha(self, problem: Problem) -> None:
        truths = SubsetRetraining(alphas=(0.5, 0.25), subsets=3).produce(problem)
        assert [truth.alpha for truth in truths] == [0.5, 0.25]
        assert [set(truth.masks.sum(axis=1).tolist()) for truth in truths] == [{20}, {10}]


class TestKeeping:
    def test_the_file_holds_arrays_and_says_what_they_are(self, problem: Problem) -> None:
        SubsetRetraining(subsets=3, repeats=2).produce(problem)
        (archive,) = problem.store.directory.glob("subset-retraining-*.npz")
        with np.load(archive, allow_pickle=False) as arrays:
            assert {name: (arrays[name].dtype.name, arrays[name].shape) for name in arrays} == {
                "masks": ("uint8", (3, 40)),
                "values": ("float32", (3, 2, 6)),
                "training_losses": ("float32", (3, 2)),
            }
        identity = json.loads(archive.with_suffix(".json").read_text())
        assert identity == SubsetRetraining(subsets=3, repeats=2).identity(problem, 0.5)
        assert identity["subsets"] == 3
        assert identity["recipe"]["model"]["type"] == "mlp"

    def test_what_is_kept_is_not_trained_again(
        self, problem: Problem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        method = SubsetRetraining(subsets=3)
        (first,) = method.produce(problem)

        def refuse(*args: Any, **kwargs: Any) -> None:
            raise AssertionError("trained again")

        monkeypatch.setattr(retraining_parts, "train_members", refuse)
        (second,) = method.produce(problem)
        assert np.array_equal(first.values, second.values)
        with pytest.raises(AssertionError, match="trained again"):
            SubsetRetraining(subsets=4).produce(problem)

    @pytest.mark.parametrize(
        "change",
        [
            lambda problem: changed(problem, seed=1),
            lambda problem: changed(problem, recipe={**problem.recipe, "trainer": "another"}),
            lambda problem: changed(problem, queries=problem.queries[:5]),
            lambda problem: changed(problem, train=problem.train[:39]),
            lambda problem: changed(problem, measurement=Measurement.from_config("margin")),
        ],
        ids=["seed", "recipe", "queries", "train", "measurement"],
    )
    def test_whatever_decides_values_is_in_the_key(
        self, problem: Problem, change: Callable[[Problem], Problem]
    ) -> None:
        method = SubsetRetraining(subsets=3)
        assert method.identity(change(problem), 0.5) != method.identity(problem, 0.5)

    def test_counts_and_shares_are_in_the_key(self, problem: Problem) -> None:
        identities = [
            SubsetRetraining(subsets=subsets, repeats=repeats).identity(problem, alpha)
            for subsets, repeats, alpha in [(3, 1, 0.5), (4, 1, 0.5), (3, 2, 0.5), (3, 1, 0.4)]
        ]
        assert len({json.dumps(identity) for identity in identities}) == 4

    def test_killed_and_resumed_gives_the_same_bytes(
        self, problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        method = SubsetRetraining(subsets=4, repeats=2)
        small = changed(problem, memory_limit=SMALL)  # several chunks
        method.produce(small)
        whole = files(small)

        class Killed(Exception):
            pass

        real = retraining_parts.train_members
        trained: list[int] = []

        def killed_after(count: int) -> Callable[..., Iterator[Any]]:
            def train(*args: Any, **kwargs: Any) -> Iterator[Any]:
                for place, some in enumerate(real(*args, **kwargs)):
                    if place == count:
                        raise Killed
                    trained.append(some.chunk)
                    yield some

            return train

        again = changed(small, store=type(problem.store)(tmp_path / "again"))
        monkeypatch.setattr(retraining_parts, "train_members", killed_after(1))
        with pytest.raises(Killed):
            method.produce(again)
        assert trained == [0]
        assert not list(again.store.directory.glob("*.npz"))
        monkeypatch.setattr(retraining_parts, "train_members", killed_after(10**6))
        method.produce(again)
        assert len(trained) > 1
        assert trained == sorted(set(trained))  # no chunk was trained twice
        assert files(again) == whole

    def test_parts_of_another_division_are_made_anew(
        self, problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        method = SubsetRetraining(subsets=4, repeats=2)
        method.produce(problem)
        whole = files(problem)
        again = changed(problem, memory_limit=SMALL, store=type(problem.store)(tmp_path / "again"))
        real = retraining_parts.train_members

        def killed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            yield next(real(*args, **kwargs))
            raise KeyboardInterrupt

        monkeypatch.setattr(retraining_parts, "train_members", killed)
        with pytest.raises(KeyboardInterrupt):
            method.produce(again)
        monkeypatch.setattr(retraining_parts, "train_members", real)
        method.produce(changed(again, memory_limit=problem.memory_limit))
        assert files(again) == whole


class TestRefusals:
    def test_no_trainer(self, problem: Problem) -> None:
        text = (
            'the ground truth "subset-retraining" trains models again, and the config has no '
            'trainer: give one ("trainer": {...}) and an untrained model, not an archive'
        )
        with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
            SubsetRetraining().check(changed(problem, trainer=None))

    def test_empty_subsets(self, problem: Problem) -> None:
        text = "alpha 0.01 of 40 training examples gives subsets of 0"
        with pytest.raises(EvaluationError, match=re.escape(text)):
            SubsetRetraining(alphas=(0.5, 0.01)).check(problem)

    @pytest.mark.parametrize("call", ["check", "produce"])
    def test_warm_start(self, problem: Problem, call: str) -> None:
        trained = problem.models[0].module
        warm = changed(problem, make_module=lambda seed: copy.deepcopy(trained))
        with pytest.raises(EvaluationError, match="make_module gives the same weights for the see"):
            getattr(SubsetRetraining(subsets=3), call)(warm)
        assert not problem.store.directory.exists()

    def test_models_that_diverge(self, problem: Problem) -> None:
        def broken(seed: int) -> torch.nn.Module:
            return Broken(problem.make_module(seed))

        with pytest.raises(EvaluationError, match="its training diverged; lower the learning rate"):
            SubsetRetraining(subsets=3).produce(changed(problem, make_module=broken))

    @pytest.mark.parametrize(
        ("alphas", "text"),
        [
            ((), "alphas is empty, expected the share of examples in a subset: [0.5]"),
            ((0.5, 0.3, 0.5), "alphas has the same share twice: [0.5, 0.3, 0.5]"),
        ],
    )
    def test_shares(self, alphas: tuple[float, ...], text: str) -> None:
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            SubsetRetraining(alphas=alphas)


class Broken(torch.nn.Module):
    """Finite on batches of training, NaN for the queries, whose number no batch has."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.inner(inputs)  # [B, C]
        return outputs * float("nan") if len(inputs) == 6 else outputs


def test_models_that_learn_nothing_are_counted(problem: Problem) -> None:
    assert problem.trainer is not None
    lazy = copy.copy(problem.trainer)
    lazy.epochs = 0
    unlearned = changed(problem, trainer=lazy, recipe={**problem.recipe, "trainer": "lazy"})
    SubsetRetraining(subsets=5).produce(unlearned)
    (warning,) = unlearned.warnings
    assert re.fullmatch(
        r"\d of 5 models retrained with alpha 0\.5 have a mean loss on their own subset that is no "
        r"lower than that of a constant prediction \(1\.\d+\): they have learnt nothing, and their "
        "values are noise",
        warning,
    )
    SubsetRetraining(subsets=5).produce(unlearned)
    assert len(unlearned.warnings) == 1
    SubsetRetraining(subsets=5).produce(problem)
    assert not problem.warnings


def test_it_is_registered_as_the_default() -> None:
    made = GroundTruth.from_config({"alphas": [0.5], "repeats": 3})
    assert isinstance(made, SubsetRetraining)
    assert (made.alphas, made.subsets, made.repeats) == ((0.5,), 100, 3)
